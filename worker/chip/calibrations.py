"""The files of calibrations: found, recorded and published, with measurements beside them."""

import hashlib
import json
import os
import secrets
import shutil
import time
from contextlib import suppress
from dataclasses import asdict, astuple, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Protocol

from services.errors import ChipUnavailableError, StorageError
from services.files import sync_folder, write_durably
from worker.chip.canary import CanaryReference

LATEST: Final = Path("stable", "latest")
FILE_NAME: Final = "hagen_cocolist.json"
KEPT: Final = 100
"""Calibrations kept of each chip, the newest: three months of nightly ones."""

_CANARY_NAME: Final = "canary.json"
_PATTERN_NAME: Final = "pattern.json"
_EXPECTED: Final = (
    "give a file, a folder with one file hagen_cocolist.*, or one laid out like "
    "<chip>/stable/<date>/hagen_cocolist.* with a link `latest`"
)


@dataclass(frozen=True, slots=True)
class Pattern:
    """The fixed pattern of a chip.

    Attributes:
        before_lsb: Mean deviation of each neuron without any calibration, (512,) LSB.
        after_lsb: The same with the calibration.
        was_flat: True if the chip was as flat before this calibration as after it.
    """

    before_lsb: tuple[float, ...]
    after_lsb: tuple[float, ...]
    was_flat: bool


class WritableCalibration(Protocol):
    """A calibration that can be kept in a file."""

    def write(self, path: Path) -> str:
        """Write it, complete or not at all; the file's sha256."""


@dataclass(frozen=True, slots=True)
class CalibrationRecord:
    """The calibration that a chip has loaded.

    `path` is the file itself, links resolved, for `latest` moves on; `link` is where it was looked for.
    `made_at` is in seconds since 1970.
    """

    path: Path
    link: Path
    sha256: str
    made_at: float

    def describe(self) -> dict[str, Any]:
        """Return the calibration as stated in results; `age_s` is its age now."""
        return {
            "path": str(self.path),
            "link": str(self.link),
            "sha256": self.sha256,
            "made_at": round(self.made_at, 3),
            "age_s": round(max(0.0, time.time() - self.made_at), 1),
        }


def find_calibration(given: Path, identifier: str) -> CalibrationRecord:
    """Return the calibration of a chip at a path: a file, a folder with one, or a tree of chips with `latest` links.

    The time stamp of the file stands for when it was made: calibrations of real chips hold none.

    Raises:
        ChipUnavailableError: there is none.
    """
    link = next((path for path in (given / identifier / LATEST, given / LATEST) if path.exists()), given)
    try:
        path = _file_of(link.resolve(strict=True))
        content = path.read_bytes()
        return CalibrationRecord(
            path, link.absolute(), hashlib.sha256(content).hexdigest(), path.stat().st_mtime
        )
    except OSError as error:
        raise ChipUnavailableError(
            f"the calibration {link} cannot be read ({error.strerror}); {_EXPECTED}"
        ) from None


def publish_calibration(
    calibrations: Path, identifier: str, calibration: WritableCalibration, reference: CanaryReference
) -> Path:
    """Store a calibration as `<identifier>/stable/<UTC time>/hagen_cocolist.json` and move `latest` to it.

    Only the `KEPT` newest calibrations made this way remain; other folders are left alone.

    The folder appears complete or not at all, and so does the new `latest`.

    Returns:
        The link `latest`.

    Raises:
        StorageError: it cannot be written; `latest` is as it was.
    """
    stable = calibrations / identifier / LATEST.parent
    name = datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%S.%fZ")
    unfinished = stable / f".{name}.{secrets.token_hex(4)}"
    latest, link = stable / LATEST.name, stable / f".latest.{secrets.token_hex(4)}"
    try:
        unfinished.mkdir(parents=True)
        calibration.write(unfinished / FILE_NAME)
        write_durably(unfinished / _CANARY_NAME, json.dumps(asdict(reference)).encode())
        unfinished.rename(stable / name)
        sync_folder(stable)
        link.symlink_to(name)
        os.replace(link, latest)  # noqa: PTH105 a rename of the link, in one step
        sync_folder(stable)
        _prune(stable)
    except OSError as error:
        raise StorageError(f"the calibration cannot be kept in {stable}: {error.strerror}") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
        with suppress(OSError):  # it is gone already, or there is no folder it could be in
            link.unlink()
    return latest


def _prune(stable: Path) -> None:
    """Remove all but the newest; their names are times, and so in order."""
    made_here = sorted(path for path in stable.glob("*Z") if (path / _CANARY_NAME).exists())
    for old in made_here[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)


def read_reference(path: Path) -> CanaryReference | None:
    """Return the canary reference stored beside this calibration, if there is one."""
    try:
        kept = json.loads((path.parent / _CANARY_NAME).read_bytes())
        return CanaryReference(gain=float(kept["gain"]), score_lsb=float(kept["score_lsb"]))
    except (OSError, ValueError, KeyError, TypeError):
        return (
            None  # a calibration from outside has none; then the canary starts from the session's first score
        )


def keep_pattern(path: Path, pattern: Pattern) -> None:
    """Store the fixed pattern beside a calibration's file; a failure is ignored."""
    with suppress(OSError):
        write_durably(path.parent / _PATTERN_NAME, json.dumps(astuple(pattern)).encode())


def read_pattern(path: Path) -> Pattern | None:
    """Return the fixed pattern stored beside this calibration, if there is one."""
    try:
        before_lsb, after_lsb, *was_flat = json.loads((path.parent / _PATTERN_NAME).read_bytes())
        return Pattern(tuple(map(float, before_lsb)), tuple(map(float, after_lsb)), was_flat == [True])
    except (OSError, ValueError, TypeError):
        return None


def _file_of(path: Path) -> Path:
    if not path.is_dir():
        return path
    found = sorted(path.glob("hagen_cocolist.*"))
    # Calibrations of real chips are deployed in several formats side by side; hxtorch's examples load this one.
    chosen = [file for file in found if file.suffix == ".pbin"] if len(found) > 1 else found
    if len(chosen) != 1:
        raise ChipUnavailableError(f"{path} holds {len(found)} calibrations hagen_cocolist.*; {_EXPECTED}")
    return chosen[0]

"""Files that name a calibration of a service, in place of hxtorch's files of calibrations."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

_FORMAT: Final = "hxserve-calibration-name-1"


@dataclass(frozen=True, slots=True)
class CalibrationName:
    """A calibration of a service.

    Attributes:
        chip: the chip's name in the service.
        identifier: of its hardware.
        sha256: of the calibration; None if the backend has none.
    """

    chip: str
    identifier: str
    sha256: str | None

    def write(self, path: Path) -> None:
        """Write it to a file."""
        path.write_text(json.dumps({"format": _FORMAT, **asdict(self)}, indent=1) + "\n")


def read_calibration_name(path: Path) -> CalibrationName:
    """Read a file that `write` made.

    Raises:
        RuntimeError: it is missing, or another file.
    """
    advice = "write one with save_nightly_calibration()"
    try:
        fields = json.loads(path.read_bytes())
    except OSError as error:
        raise RuntimeError(f"cannot read the calibration {path}: {error.strerror}; {advice}") from error
    except ValueError:
        fields = None
    match fields:
        case {
            "format": "hxserve-calibration-name-1",
            "chip": str(chip),
            "identifier": str(identifier),
            "sha256": str() | None as sha256,
        }:
            return CalibrationName(chip, identifier, sha256)
        case _:
            raise RuntimeError(f"{path} names no calibration of a service; {advice}")

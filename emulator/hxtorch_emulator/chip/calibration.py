"""A calibration: the trim of every neuron, and how it is kept in a file."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hxtorch_emulator.chip.fixed_pattern import NEURONS

_FORMAT = "hxserve-calibration-1"


@dataclass(frozen=True, slots=True)
class Calibration:
    """Trims of one chip.

    Attributes:
        chip_id: the chip they were measured on.
        temperature_c: its temperature then.
        made_at_s: when, in seconds since 1970.
        target_gain: the gain they aim at, LSB per unit of input times weight.
        gain_codes: one step count per neuron, 512 of them.
        offset_codes: one step count per neuron, 512 of them.
    """

    chip_id: str
    temperature_c: float
    made_at_s: float
    target_gain: float
    gain_codes: tuple[int, ...]
    offset_codes: tuple[int, ...]

    def __post_init__(self) -> None:
        for name in ("gain_codes", "offset_codes"):
            codes = getattr(self, name)
            if len(codes) != NEURONS or not all(type(code) is int for code in codes):
                raise ValueError(f"{name} of a calibration are {NEURONS} whole numbers")

    def write(self, path: Path) -> str:
        """Write it to ``path``, which appears complete or not at all, and return the file's sha256."""
        content = json.dumps({"format": _FORMAT, **asdict(self)}, indent=1).encode()
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        return hashlib.sha256(content).hexdigest()


@dataclass(frozen=True, slots=True)
class CalibrationFile:
    """A calibration as it was read.

    Attributes:
        path: the file itself, links resolved: ``latest`` moves on.
        sha256: of its bytes.
        calibration: its content.
    """

    path: Path
    sha256: str
    calibration: Calibration


def read_calibration(path: Path) -> CalibrationFile:
    """Read the calibration at ``path``, a file or a folder with one file ``hagen_cocolist.*``.

    Raises:
        RuntimeError: there is none, or it is of another format or damaged.
    """
    try:
        resolved = _resolve(path)
        content = resolved.read_bytes()
        fields = json.loads(content)
        if not isinstance(fields, Mapping) or fields.get("format") != _FORMAT:
            raise RuntimeError(
                f"{resolved} is no calibration of a virtual chip; write one with `hxserve calibrate`"
            )
        return CalibrationFile(resolved, hashlib.sha256(content).hexdigest(), _from_fields(fields))
    except OSError as error:
        raise RuntimeError(f"cannot read the calibration {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise RuntimeError(f"{path} is no calibration of a virtual chip, or is damaged: {error}") from error


def _resolve(path: Path) -> Path:
    resolved = path.resolve(strict=True)
    if not resolved.is_dir():
        return resolved
    found = sorted(resolved.glob("hagen_cocolist.*"))
    if len(found) != 1:
        raise RuntimeError(f"{resolved} holds {len(found)} files hagen_cocolist.*, expected one")
    return found[0]


def _from_fields(fields: Mapping[str, Any]) -> Calibration:
    return Calibration(
        chip_id=str(fields["chip_id"]),
        temperature_c=float(fields["temperature_c"]),
        made_at_s=float(fields["made_at_s"]),
        target_gain=float(fields["target_gain"]),
        gain_codes=tuple(fields["gain_codes"]),
        offset_codes=tuple(fields["offset_codes"]),
    )

"""The choice of a virtual chip and its parameters."""

import difflib
import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final

from hxtorch_emulator.chip import ChipParameters, VirtualChip
from hxtorch_emulator.connection import DEFAULT_CHIP_ID
from services.errors import ChipUnavailableError
from worker.chip.real_time import PacedVirtualChip

_FIELDS: Final = {field.name: field.type for field in fields(ChipParameters)}


@dataclass(frozen=True, slots=True)
class VirtualChoice:
    """A virtual chip by its id; the same id is always the same chip.

    Attributes:
        chip_id: which chip.
        realtime: let it take the time a real one takes.
        parameters: JSON file with the numbers of `ChipParameters` that are not to be the default.
        temperature_c: how warm it is, in degrees C; None for its calibration's usual temperature.
    """

    chip_id: str = DEFAULT_CHIP_ID
    realtime: bool = False
    parameters: Path | None = None
    temperature_c: float | None = None

    def make(self) -> VirtualChip:
        """Return the chip.

        Raises:
            ChipUnavailableError: the file of parameters is missing or wrong.
        """
        parameters = ChipParameters() if self.parameters is None else read_parameters(self.parameters)
        chip = (PacedVirtualChip if self.realtime else VirtualChip)(self.chip_id, parameters)
        if self.temperature_c is not None:
            chip.temperature_c = self.temperature_c
        return chip


def read_parameters(path: Path) -> ChipParameters:
    """Read the parameters from a JSON file, `{"noise_std_lsb": 3.0, ...}`; missing ones have their defaults.

    Raises:
        ChipUnavailableError: it cannot be read, names an unknown parameter or gives one an impossible value.
    """
    try:
        given = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ChipUnavailableError(
            f"the parameters of the virtual chip, {path}, cannot be read: {error}"
        ) from None
    if not isinstance(given, dict):
        raise ChipUnavailableError(f'{path} must hold an object such as {{"noise_std_lsb": 3.0}}')
    try:
        for name, value in given.items():
            _check(name, value)
        return ChipParameters(**given)
    except (TypeError, ValueError) as error:
        raise ChipUnavailableError(f"{path}: {error}") from None


def _check(name: str, value: object) -> None:
    if name not in _FIELDS:
        near = difflib.get_close_matches(name, _FIELDS, 1)
        hint = f"did you mean {near[0]}" if near else f"known are {', '.join(_FIELDS)}"
        raise ValueError(f"there is no parameter {name}; {hint}")
    whole = _FIELDS[name] is int
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        raise TypeError(f"{name} must be a {'whole number' if whole else 'number'}, not {value!r}")

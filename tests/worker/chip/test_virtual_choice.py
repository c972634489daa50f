"""A virtual chip of the operator's own making, from a file."""

from pathlib import Path

import pytest

from hxtorch_emulator.chip import ChipParameters
from services.errors import ChipUnavailableError
from tests.worker.chip.conftest import VIRTUAL_CHIP
from worker.chip import VirtualChoice, open_chip


def _write(folder: Path, text: str) -> Path:
    path = folder / "chip.json"
    path.write_text(text)
    return path


def test_what_a_file_leaves_out_is_the_default(tmp_path: Path) -> None:
    path = _write(tmp_path, '{"noise_std_lsb": 4, "gain_trim_steps": 7}')

    chip = VirtualChoice(VIRTUAL_CHIP, parameters=path, temperature_c=80.0).make()

    assert chip.parameters == ChipParameters(noise_std_lsb=4, gain_trim_steps=7)
    assert chip.temperature_c == 80.0


def test_the_chip_that_is_opened_has_the_parameters_of_the_file(tmp_path: Path) -> None:
    path = _write(tmp_path, '{"noise_std_lsb": 5.0}')

    with open_chip(
        "emulator", "c", None, calibrations=tmp_path, virtual=VirtualChoice(VIRTUAL_CHIP, parameters=path)
    ) as session:
        noise_of_two_tiles = (2 * (5.0**2 + 1 / 12)) ** 0.5
        assert session.mock_parameter.noise_std == pytest.approx(noise_of_two_tiles, rel=0.1)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "cannot be read"),
        ("[1]", "must hold an object"),
        ('{"noise_std": 1}', "no parameter noise_std; did you mean noise_std_lsb"),
        ('{"noise_std_lsb": "2"}', "noise_std_lsb must be a number, not '2'"),
        ('{"gain_trim_steps": 1.5}', "gain_trim_steps must be a whole number"),
        ('{"noise_std_lsb": -1}', "noise_std_lsb must not be negative"),
        ('{"noise_std_lsb": NaN}', "noise_std_lsb must be finite"),
        ('{"gain": 0}', "gain must be positive"),
    ],
)
def test_a_wrong_file_is_refused_in_words(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(ChipUnavailableError, match=complaint):
        VirtualChoice(VIRTUAL_CHIP, parameters=_write(tmp_path, text)).make()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ChipUnavailableError, match=r"none\.json"):
        VirtualChoice(VIRTUAL_CHIP, parameters=tmp_path / "none.json").make()

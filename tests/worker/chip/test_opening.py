"""Opening: what was asked for or nothing, and `auto` says aloud what it takes."""

import importlib.util
import logging
import sys
from pathlib import Path

import pytest

import hxtorch_emulator as emulator
from services.errors import ChipUnavailableError
from tests.worker.chip.conftest import VIRTUAL_CHIP
from worker.chip import VirtualChoice, open_chip

without_hxtorch = pytest.mark.skipif(
    importlib.util.find_spec("hxtorch") is not None, reason="the genuine hxtorch is installed here"
)


@without_hxtorch
def test_hxtorch_that_is_not_installed_is_replaced_by_nothing(tmp_path: Path) -> None:
    with (
        pytest.raises(ChipUnavailableError, match="hxtorch is not installed here"),
        open_chip("hxtorch", "c", None, calibrations=tmp_path),
    ):
        pass


def test_the_emulator_under_the_name_of_hxtorch_is_not_hxtorch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "hxtorch", emulator)

    with (
        pytest.raises(ChipUnavailableError, match="hxtorch is not installed here"),
        open_chip("hxtorch", "c", None, calibrations=tmp_path),
    ):
        pass


@without_hxtorch
def test_auto_takes_the_emulator_where_there_is_no_hxtorch_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        caplog.at_level(logging.WARNING),
        open_chip("auto", "c", None, calibrations=tmp_path, virtual=VirtualChoice(VIRTUAL_CHIP)) as session,
    ):
        assert session.backend == "emulator"

    assert "auto takes emulator" in caplog.text


@pytest.mark.usefixtures("faults")
def test_auto_takes_hxtorch_where_it_is_installed_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        caplog.at_level(logging.WARNING),
        open_chip("auto", "c", None, calibrations=tmp_path) as session,
    ):
        assert session.backend == "hxtorch"

    assert "auto takes hxtorch" in caplog.text


def test_the_mock_takes_no_calibration(tmp_path: Path) -> None:
    with (
        pytest.raises(ChipUnavailableError, match="nothing to calibrate; leave the calibration out"),
        open_chip("mock", "c", tmp_path / "x.json", calibrations=tmp_path),
    ):
        pass


def test_the_virtual_chip_is_the_one_asked_for(tmp_path: Path) -> None:
    with open_chip(
        "emulator", "c", None, calibrations=tmp_path, virtual=VirtualChoice(VIRTUAL_CHIP)
    ) as session:
        assert (session.chip, session.identifier) == ("c", VIRTUAL_CHIP)


def test_the_virtual_chip_keeps_the_time_of_a_real_one_when_asked(tmp_path: Path) -> None:
    with open_chip(
        "emulator", "c", None, calibrations=tmp_path, virtual=VirtualChoice(VIRTUAL_CHIP, realtime=True)
    ) as session:
        assert session.identifier == VIRTUAL_CHIP
        assert type(emulator.connection.chosen_chip()).__name__ == "PacedVirtualChip"

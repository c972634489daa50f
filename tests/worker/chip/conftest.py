"""Fixtures for the chip door: one session of each kind, and a clean process."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import hxtorch_emulator as emulator
from hxtorch_emulator import connection
from hxtorch_emulator.chip import VirtualChip
from services.settings import ChipChoice
from tests.worker.chip.standin import Faults, install_standin
from worker.chip import ChipSession, VirtualChoice, open_chip
from worker.chip.environment import VARIABLES

VIRTUAL_CHIP = "hxvirtual3fpga0chip4_1"


@pytest.fixture(autouse=True)
def _clean_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No chip stays open, no mock parameter changed, and the shell's own chip is not reached."""
    torch.manual_seed(0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # products this small gain nothing from more, and wait for busy cores
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    yield
    torch.set_num_threads(threads)
    emulator.release_hardware()
    connection.choose_chip(VirtualChip(connection.DEFAULT_CHIP_ID))
    emulator.perceptron.set_mock_parameter(emulator.perceptron.MockParameter())


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> Faults:
    """A stand-in for hxtorch and a way to its chip."""
    monkeypatch.setenv("QUIGGELDY_ENABLED", "1")
    monkeypatch.setenv("QUIGGELDY_IP", "192.0.2.7")
    monkeypatch.setenv("QUIGGELDY_PORT", "5666")
    return install_standin(monkeypatch)


@pytest.fixture(params=["mock", "emulator", "hxtorch"])
def session(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ChipSession]:
    """An open session of each kind in turn."""
    choice: ChipChoice = request.param
    if choice == "hxtorch":
        request.getfixturevalue("faults")
    with open_chip(
        choice, "chip-1", None, calibrations=tmp_path, virtual=VirtualChoice(VIRTUAL_CHIP)
    ) as session:
        yield session

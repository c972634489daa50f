"""What the tests of the worker share: an open chip without noise, a tiny network, activities that only count."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from hxtorch_emulator import connection as emulated_connection
from hxtorch_emulator import perceptron as emulated
from services.models.files import ModelStore
from services.networks.network import Network
from tests.services.samples import CHIP, an_origin
from tests.worker.counting import Counting
from worker.checkpoints import Saves, pack_weights
from worker.chip import ChipSession, VirtualChoice, open_chip
from worker.crash_marker import CrashMarker
from worker.learning.network import build_network, weights_of

VIRTUAL_CHIP = "hxvirtual5fpga0chip6_1"
TINY = Network.perceptron((6, 5), num_sends=(1, 2, 3))


@pytest.fixture
def session() -> Iterator[ChipSession]:
    """A chip in mock arithmetic, without noise."""
    former = emulated.get_mock_parameter()
    with open_chip("mock", CHIP, None) as session:
        emulated.set_mock_parameter(emulated.MockParameter(noise_std=0.0, gain=0.002))
        yield session
    emulated.set_mock_parameter(former)


@pytest.fixture
def virtual_session(tmp_path: Path) -> Iterator[ChipSession]:
    """The virtual chip, calibrated."""
    former, former_chip = emulated.get_mock_parameter(), emulated_connection.chosen_chip()
    torch.manual_seed(3)
    folder = tmp_path / "calibrations"
    with open_chip(
        "emulator", CHIP, None, calibrations=folder, virtual=VirtualChoice(VIRTUAL_CHIP)
    ) as session:
        yield session
    emulated.set_mock_parameter(former)
    emulated_connection.choose_chip(former_chip)


@pytest.fixture
def saves(tmp_path: Path) -> Saves:
    return Saves(tmp_path / "saves")


@pytest.fixture
def marker(tmp_path: Path) -> CrashMarker:
    return CrashMarker(tmp_path / "saves" / "chip-1.executing")


@pytest.fixture
def tiny_weights(session: ChipSession) -> dict[str, torch.Tensor]:
    """Random weights of the tiny network, large enough that scores differ."""
    torch.manual_seed(5)
    weights = weights_of(build_network(TINY, session.perceptron, "mock"))
    return {name: tensor * 2 for name, tensor in weights.items()}


@pytest.fixture
def tiny_model(models: ModelStore, tiny_weights: dict[str, torch.Tensor]) -> ModelStore:
    """A registry with two versions of the model `digits`."""
    for job in ("a", "b"):
        models.publish(an_origin(job=job, network=TINY), pack_weights(tiny_weights))
    return models


@pytest.fixture
def counting() -> Counting:
    return Counting(steps=5)

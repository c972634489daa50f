"""What the tests of learning share: the arithmetic, small data sets, the real MNIST where it is."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from hxtorch_emulator import perceptron as emulator_perceptron
from tests.needs import shared_folder
from worker.learning.arithmetic import Perceptron
from worker.learning.datasets import Dataset, load_dataset


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Two threads on cores that others use wait for each other most of the time."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def perceptron() -> Iterator[Perceptron]:
    """The emulator with hxtorch's default gain and noise."""
    former = emulator_perceptron.get_mock_parameter()
    emulator_perceptron.set_mock_parameter(emulator_perceptron.MockParameter(noise_std=2.0, gain=0.002))
    yield emulator_perceptron
    emulator_perceptron.set_mock_parameter(former)


@pytest.fixture(scope="session")
def digits() -> Dataset:
    """The 1,797 digits inside scikit-learn."""
    return load_dataset("digits")


@pytest.fixture(scope="session")
def mnist_folder() -> Path:
    """The folder of MNIST."""
    return shared_folder("mnist")

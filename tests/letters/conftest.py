"""Letters written with the digits inside scikit-learn, which are everywhere."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from hxserve_letters.digits import Digits, load_digits
from hxserve_letters.directory import Directory, invent_directory
from hxserve_letters.envelopes import Letter, Writer
from tests.client.conftest import _elsewhere, service
from tests.needs import shared_folder

__all__ = ["_elsewhere", "service"]


@pytest.fixture(scope="session")
def small_digits() -> Digits:
    return load_digits()


@pytest.fixture(scope="session")
def directory() -> Directory:
    return invent_directory()


@pytest.fixture(scope="session")
def mnist() -> Path:
    """The folder of MNIST."""
    return shared_folder("mnist")


@pytest.fixture(scope="session")
def letters(mnist: Path, directory: Directory) -> list[Letter]:
    """A hundred letters in hands of MNIST."""
    writer = Writer(load_digits(mnist), directory, seed=3)
    return [writer.draw(number) for number in range(100)]


def points_in_picture(mask: NDArray[np.uint8], to_picture: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where the points of a mask are in the picture, (n, 2)."""
    y, x = np.nonzero(mask)
    return np.asarray(np.stack([x, y], 1) @ to_picture[:, :2].T + to_picture[:, 2])

"""A service with a chip to share, and programs' `hxtorch` on it."""

import logging
from collections.abc import Callable, Iterator

import pytest
import torch

import hxtorch_emulator as hxtorch
from hxserve.programs.remote_chip import RemoteChip
from hxtorch_emulator import connection
from tests.client.programs.sharing_service import GAIN, SharingService
from tests.client.service import TOKEN, running


@pytest.fixture
def sharing() -> Iterator[SharingService]:
    service = SharingService()
    with running(service):
        yield service


@pytest.fixture
def told() -> Iterator[list[logging.LogRecord]]:
    """The records of hxtorch's log, in order."""
    records: list[logging.LogRecord] = []

    class Listening(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)

    handler, root = Listening(), hxtorch.logger.get_root().python_logger
    root.addHandler(handler)
    yield records
    root.removeHandler(handler)


@pytest.fixture
def make_chip(sharing: SharingService) -> Callable[..., RemoteChip]:
    """Makes a `RemoteChip` of the service that is not patient for long."""

    def make(token: str = TOKEN, *, patience_s: float = 5.0, chip: str | None = None) -> RemoteChip:
        return RemoteChip(sharing.url, token, chip=chip, program="notebook.ipynb", patience_s=patience_s)

    return make


@pytest.fixture
def chip(make_chip: Callable[..., RemoteChip]) -> Iterator[RemoteChip]:
    """The chip that hxtorch opens: the service's."""
    former, parameter = connection.chosen_chip(), hxtorch.perceptron.get_mock_parameter()
    chip = make_chip()
    connection.choose_chip(chip)
    torch.manual_seed(0)
    hxtorch.perceptron.set_mock_parameter(hxtorch.perceptron.MockParameter(noise_std=0.0, gain=GAIN))
    yield chip
    hxtorch.release_hardware()
    hxtorch.perceptron.set_mock_parameter(parameter)
    connection.choose_chip(former)


@pytest.fixture
def opened(chip: RemoteChip) -> RemoteChip:
    """The chip, opened."""
    hxtorch.init_hardware()
    return chip

"""Waiting: for one's place in line, a maintenance, a restart; and when it ends."""

import logging
from collections.abc import Callable

import pytest
import torch

import hxtorch_emulator as hxtorch
from hxserve.errors import SharedChipError
from hxserve.programs.patience import PATIENCE_S
from hxserve.programs.remote_chip import RemoteChip
from hxserve.programs.session import OPENING_PATIENCE_S
from tests.client.programs.sharing_service import SharingService
from tests.client.service import DROPPED, Reply, problem

X, W = torch.full((2, 3), 5.0), torch.full((3, 4), 9.0)


def _still_waiting() -> Reply:
    refusal = problem(504, "still_waiting", "send it again under the same key")
    return Reply(504, refusal.document | {"retryable": True}, headers=refusal.headers)


def test_the_service_may_stay_away_for_a_minute() -> None:
    assert min(PATIENCE_S, OPENING_PATIENCE_S) >= 60


@pytest.mark.usefixtures("opened")
@pytest.mark.parametrize(
    "faults",
    [
        [problem(503, "unavailable", "the service starts", retry_after="0")] * 3,
        [problem(503, "chip_lost", "the chip is opened again", retry_after="1")],
        [Reply(502, body=b"<html>Bad gateway</html>")],
        [problem(429, "queue_full", "later", retry_after="0")],
        [DROPPED, problem(503, "unavailable", "the service starts", retry_after="0"), DROPPED],
        [_still_waiting()] * 3,
    ],
    ids=["unavailable", "chip_lost", "proxy", "queue_full", "restart", "still_waiting"],
)
def test_what_passes_is_waited_for(sharing: SharingService, faults: list[Reply]) -> None:
    sharing.operation_faults.extend(faults)

    y = hxtorch.perceptron.matmul(X, W)

    assert torch.equal(y, hxtorch.perceptron.matmul(X, W, mock=True))
    assert len(sharing.computed) == 1


@pytest.mark.usefixtures("opened")
def test_the_log_says_why_and_how_long_a_program_waits(
    sharing: SharingService, told: list[logging.LogRecord]
) -> None:
    sharing.operation_faults.extend(
        [problem(503, "chip_lost", "the chip is opened again", retry_after="1"), _still_waiting()]
    )

    hxtorch.perceptron.matmul(X, W)

    lines = [record.getMessage() for record in told]
    assert any("waiting for the service" in line and "the chip is opened again" in line for line in lines)
    assert "the program goes on after 1 s" in lines


@pytest.mark.usefixtures("opened")
def test_a_place_in_line_is_mentioned(sharing: SharingService, told: list[logging.LogRecord]) -> None:
    sharing.position = 3
    sharing.operation_faults.append(_still_waiting())

    hxtorch.perceptron.matmul(X, W)

    assert any("for 0 s so far: 3 operations of others go before" in record.getMessage() for record in told)


def test_waiting_in_line_outlasts_any_patience(
    sharing: SharingService, make_chip: Callable[..., RemoteChip]
) -> None:
    chip = make_chip(patience_s=0.1)
    chip.open(None)
    sharing.operation_faults.extend([_still_waiting()] * 4)
    sharing.operation_faults.extend([problem(503, "chip_in_maintenance", "new cables", retry_after="0")] * 4)

    y = chip.multiply(X, W, num_sends=1, wait_between_events=5)

    assert y.shape == (2, 4)


def test_a_chip_in_maintenance_is_not_opened(
    sharing: SharingService, make_chip: Callable[..., RemoteChip]
) -> None:
    sharing.faults.extend([problem(503, "chip_in_maintenance", "in maintenance: new cables", "0")] * 99)

    with pytest.raises(SharedChipError, match="new cables") as caught:
        make_chip(patience_s=0.2).open(None)

    assert caught.value.retryable


def test_a_service_that_stays_away_is_an_error_in_the_end(
    sharing: SharingService, make_chip: Callable[..., RemoteChip]
) -> None:
    chip = make_chip(patience_s=0.3)
    chip.open(None)
    sharing.operation_faults.extend([problem(503, "unavailable", "no worker holds the chip", "0")] * 99)

    with pytest.raises(SharedChipError, match="no worker holds the chip; tried for"):
        chip.multiply(X, W, num_sends=1, wait_between_events=5)


def test_a_service_that_is_gone_is_an_error_that_says_where_it_was(
    make_chip: Callable[..., RemoteChip], sharing: SharingService
) -> None:
    sharing.url = "http://127.0.0.1:9"  # the port of `discard`, on which nothing listens

    with pytest.raises(SharedChipError, match=r"no answer from http://127\.0\.0\.1:9: nothing listens there"):
        make_chip(patience_s=0.2).open(None)


def test_without_an_address_the_error_says_how_to_give_one() -> None:
    with pytest.raises(SharedChipError, match="HXSERVE_URL"):
        RemoteChip().open(None)


@pytest.mark.usefixtures("opened")
@pytest.mark.parametrize(
    ("refusal", "said"),
    [
        (problem(429, "quota_exceeded", "today's chip time is used up", retry_after="7200"), "in 7200 s"),
        (problem(422, "invalid_input", "num_sends is 1 at least"), "num_sends is 1 at least"),
        (problem(401, "not_authenticated", "the token has expired"), "the token has expired"),
        (problem(500, "internal_error", "the operator's log says what"), "operator's log"),
    ],
    ids=["quota", "invalid", "token", "internal"],
)
def test_what_does_not_pass_is_an_error_at_once(sharing: SharingService, refusal: Reply, said: str) -> None:
    sharing.operation_faults.append(refusal)

    with pytest.raises(SharedChipError, match=said):
        hxtorch.perceptron.matmul(X, W)

    assert not sharing.computed

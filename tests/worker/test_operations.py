"""Operations on a worker's chip: computed as hxtorch computes them, answered whatever happens."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from unittest.mock import Mock

import msgpack
import numpy as np
import pytest
import torch

from services.chips.store import ChipStore, Lease
from services.crops.claims import NO_CROPS, Backlog, Prefetch, backlog_of_bell
from services.errors import ChipError
from services.jobs.record import JobKind, JobState
from services.programs.operations import Operation, Readouts
from services.programs.store import ProgramStore
from services.store.connection import Connection
from services.users.authentication import ADMIN
from services.users.quotas import UNLIMITED
from tests.services.samples import CHIP, a_holder, a_job
from worker.chip import ChipSession
from worker.operations import Operations


@pytest.fixture
def programs(connection: Connection) -> ProgramStore:
    """A store with an open session, `s`."""
    store = ProgramStore(connection, keep_jobs_s=60)
    job = replace(a_job(JobKind.PROGRAM), id="s", state=JobState.RUNNING, params={"chip": CHIP})
    store.open(job, UNLIMITED)
    return store


@pytest.fixture
def operations(lease: Lease, session: ChipSession, programs: ProgramStore) -> Operations:
    return Operations(lease, session, programs)


def _operation(rows: int = 200, columns: int = 5, batch: int = 3) -> tuple[Operation, torch.Tensor]:
    """An operation, and the readouts that hxtorch's mock without noise gives."""
    random = np.random.default_rng(rows)
    inputs = random.integers(0, 32, (batch, rows), np.uint8)
    weights = random.integers(-63, 64, (rows, columns), np.int8)
    tiles = [
        np.floor(0.002 * 2 * inputs[:, start : start + 128].astype(np.float32) @ weights[start : start + 128])
        for start in range(0, rows, 128)
    ]
    expected = np.clip(sum(np.clip(tile, -128, 127) for tile in tiles), -128, 127)
    digest = hashlib.sha256(weights.tobytes()).hexdigest()
    operation = Operation("s", rows, columns, inputs.tobytes(), weights.tobytes(), digest, 2, 5)
    return operation, torch.from_numpy(expected)


def _send(programs: ProgramStore, operation: Operation, name: str = "1", *, keep: bool = False) -> str:
    operation_id = f"s:{name}"
    programs.accept(operation_id, operation.digest, operation, "hx:replies:here", ADMIN, keep=keep)
    return operation_id


def _look(operation_id: str, now: float) -> Backlog:
    """A backlog of one operation, of Ada's, that came at 10."""
    return Backlog({}, 0, {}, now, operations={operation_id: ("s", "ada", 10.0)})


def _answer(programs: ProgramStore, operation: Operation, operation_id: str) -> Readouts:
    answer = programs.accept(operation_id, operation.digest, operation, "", ADMIN, keep=False)
    assert isinstance(answer, Readouts)
    return answer


def _sent_problem(connection: Connection) -> Mapping[str, str] | None:
    """The problem in the last answer that was sent."""
    stored: Any = connection.client.xrevrange("hx:replies:here", count=1)
    [(_, _, packed)] = msgpack.unpackb(stored[0][1][b"batch"])
    return Readouts.unpack(packed).problem


def test_readouts_are_those_of_the_chip(programs: ProgramStore, operations: Operations) -> None:
    operation, expected = _operation()
    operation_id = _send(programs, operation)

    backlog = operations.run(operation_id, _look(operation_id, 10.5))

    assert isinstance(backlog, Backlog)
    answer = _answer(programs, operation, operation_id)
    readouts = np.frombuffer(answer.readouts, np.int8).reshape(3, 5)
    assert torch.equal(torch.from_numpy(readouts.copy()).to(torch.float32), expected)
    assert (answer.chip, answer.backend, answer.waiting_s) == (CHIP, "mock", 0.5)
    assert operations.waiting({"s:2": ("s", "ada", 11.0)})[0].served_at == 10.5


@pytest.mark.parametrize("batch", [3, 400], ids=["small", "large"])
def test_an_operation_handed_over_with_the_bell_is_computed_once(
    programs: ProgramStore, operations: Operations, chips: ChipStore, batch: int
) -> None:
    operation, _ = _operation(batch=batch)
    operations.run(first := _send(programs, operation, "1"), _look(first, 10.0), Prefetch(NO_CROPS))

    operation_id = _send(programs, operation, "2")
    rung = chips.wait_for_bell(CHIP, 1.0)
    look = rung and backlog_of_bell(rung)

    assert isinstance(look, Backlog)
    assert (look.handed is not None) == (batch == 3)
    operations.run(operation_id, look)
    readouts = [_answer(programs, operation, each).readouts for each in (first, operation_id)]
    assert readouts[0] == readouts[1] != b""
    assert operation_id not in programs.waiting(CHIP)


def test_kept_weights_give_the_same_readouts(programs: ProgramStore, operations: Operations) -> None:
    operation, _ = _operation()
    named = replace(operation, weights=b"")
    first, second = _send(programs, operation, "1", keep=True), _send(programs, named, "2")

    for operation_id in (first, second):
        operations.run(operation_id, _look(operation_id, 10.0))

    assert _answer(programs, named, second).readouts == _answer(programs, operation, first).readouts


def test_weights_that_are_gone_are_said_to_be_and_may_be_sent_again(
    programs: ProgramStore, operations: Operations, connection: Connection
) -> None:
    operation, _ = _operation()
    named = replace(operation, weights=b"")
    _send(programs, operation, "1", keep=True)
    operation_id = _send(programs, named, "2")
    connection.client.delete("hx:program:s:weights")

    operations.run(operation_id, _look(operation_id, 10.0))

    problem = _sent_problem(connection)
    assert problem is not None
    assert problem["code"] == "weights_unknown"
    assert _send(programs, operation, "2") in programs.waiting(CHIP)


def test_an_operation_of_an_ended_session_is_left_out(programs: ProgramStore, operations: Operations) -> None:
    operation_id = _send(programs, _operation()[0])
    programs.end(["s"], "released")

    assert operations.run(operation_id, _look(operation_id, 10.0)) is None


def test_an_operation_that_ended_three_workers_is_set_aside(
    programs: ProgramStore, session: ChipSession, lease: Lease, chips: ChipStore
) -> None:
    operation, _ = _operation()
    operation_id = _send(programs, operation)
    for number in range(3):
        programs.claim(lease, operation_id)
        lease = chips.take(CHIP, a_holder(str(number)), dead=lease.holder)

    Operations(lease, session, programs).run(operation_id, _look(operation_id, 10.0))

    problem = _answer(programs, operation, operation_id).problem
    assert problem is not None
    assert problem["code"] == "job_crashed"


def test_a_failing_chip_is_tried_again_and_then_named(
    programs: ProgramStore,
    operations: Operations,
    session: ChipSession,
    connection: Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(session, "guarded", Mock(side_effect=ChipError("the link is down")))
    operation, _ = _operation()
    operation_id = _send(programs, operation)

    for _ in range(2):
        with pytest.raises(ChipError):
            operations.run(operation_id, _look(operation_id, 10.0))
        assert operation_id in programs.waiting(CHIP)
    operations.run(operation_id, _look(operation_id, 10.0))

    assert _sent_problem(connection) == {"code": "chip_failed", "message": "the link is down"}
    assert operation_id not in programs.waiting(CHIP)

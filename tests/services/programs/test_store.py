"""Sessions and operations in Redis: each accepted once, answered once, and gone with its session."""

from dataclasses import replace

import pytest

from services.chips.store import ChipStore, Drain, Lease
from services.crops.claims import NO_CROPS, Prefetch, backlog_of_bell
from services.errors import (
    ChipInMaintenanceError,
    IdempotencyConflictError,
    QuotaExceededError,
    SessionEndedError,
    WeightsUnknownError,
)
from services.jobs.acceptance import Idempotency
from services.jobs.record import Job, JobKind, JobState
from services.jobs.store import JobStore
from services.programs.operations import Operation, Readouts
from services.programs.store import Claimed, ProgramStore
from services.store.connection import Connection
from services.users.authentication import User
from services.users.quotas import UNLIMITED, Quotas
from tests.services.samples import CHIP, a_holder, a_job, an_operation

ADA = User("ada")
ANSWER = Readouts(b"12345678", 4, CHIP, "mock", "", 0.1, 0.2)


@pytest.fixture
def programs(connection: Connection) -> ProgramStore:
    return ProgramStore(connection, keep_jobs_s=60)


@pytest.fixture
def session(programs: ProgramStore) -> Job:
    """An open session of Ada's."""
    return _open(programs)


def _open(programs: ProgramStore, user: str = "ada", quotas: Quotas = UNLIMITED) -> Job:
    job = replace(a_job(JobKind.PROGRAM, user, ""), state=JobState.RUNNING, params={"chip": CHIP})
    programs.open(job, quotas)
    return job


def _accept(
    programs: ProgramStore,
    operation: Operation,
    name: str = "1",
    digest: str = "digest",
    *,
    keep: bool = False,
    user: User = ADA,
) -> object:
    return programs.accept(
        f"{operation.session}:{name}", digest, operation, "hx:replies:here", user, keep=keep
    )


def test_an_operation_waits_is_claimed_as_it_was_sent_and_answered(
    programs: ProgramStore, session: Job, lease: Lease, jobs: JobStore
) -> None:
    operation = an_operation(session.id)
    operation_id = f"{session.id}:1"

    assert _accept(programs, operation) == [CHIP]
    [(name, (of, user, _))] = programs.waiting(CHIP).items()
    claimed = programs.claim(lease, operation_id)
    backlog = programs.finish(lease, operation_id, "ada", session.id, ANSWER, 0.25)

    assert (name, of, user) == (operation_id, session.id, "ada")
    assert claimed == Claimed(operation, 1)
    assert not backlog.operations
    record = jobs.get(session.id)
    assert (record.operations, record.chip_time_s) == (1, 0.25)
    assert backlog.charged["ada"].seconds == pytest.approx(0.25)


@pytest.mark.parametrize("user", [User("grace"), replace(ADA, is_admin=True)], ids=["other", "admin"])
def test_an_operation_is_taken_from_its_user_and_from_admins_alone(
    programs: ProgramStore, session: Job, user: User
) -> None:
    if user.is_admin:
        _accept(programs, an_operation(session.id), user=user)
    else:
        with pytest.raises(SessionEndedError):
            _accept(programs, an_operation(session.id), user=user)

    assert len(programs.waiting(CHIP)) == user.is_admin


def test_a_job_that_is_no_session_takes_no_operations(programs: ProgramStore, jobs: JobStore) -> None:
    job = a_job(JobKind.TRAINING, "ada")
    jobs.submit(job, Idempotency(), most=10)

    with pytest.raises(SessionEndedError):
        _accept(programs, an_operation(job.id))


def test_an_idle_chip_is_handed_the_backlog_with_its_bell(
    programs: ProgramStore, session: Job, lease: Lease, chips: ChipStore
) -> None:
    _accept(programs, an_operation(session.id), "1")
    programs.finish(lease, f"{session.id}:1", "ada", session.id, ANSWER, 0.25, Prefetch(NO_CROPS))

    _accept(programs, an_operation(session.id), "2")
    rung = chips.wait_for_bell(CHIP, 1.0)

    assert rung is not None
    backlog = backlog_of_bell(rung)
    assert backlog is not None
    assert list(backlog.operations) == [f"{session.id}:2"]
    assert chips.wait_for_bell(CHIP, 0.01) is None


def test_the_same_operation_sent_again_is_run_once_and_has_the_same_answer(
    programs: ProgramStore, session: Job, lease: Lease, jobs: JobStore
) -> None:
    operation, operation_id = an_operation(session.id), f"{session.id}:1"
    _accept(programs, operation)

    assert _accept(programs, operation) == []
    assert len(programs.waiting(CHIP)) == 1
    programs.finish(lease, operation_id, "ada", session.id, ANSWER, 0.25)

    assert _accept(programs, operation) == ANSWER
    assert jobs.get(session.id).operations == 1
    assert not programs.waiting(CHIP)


def test_a_name_used_for_another_operation_is_refused(programs: ProgramStore, session: Job) -> None:
    _accept(programs, an_operation(session.id))

    with pytest.raises(IdempotencyConflictError):
        _accept(programs, an_operation(session.id, seed=1), digest="another")


def test_an_operation_whose_worker_died_waits_for_the_next_which_knows(
    programs: ProgramStore, session: Job, lease: Lease, chips: ChipStore
) -> None:
    operation_id = f"{session.id}:1"
    _accept(programs, an_operation(session.id))
    programs.claim(lease, operation_id)

    next_lease = chips.take(CHIP, a_holder("second"), dead=lease.holder)
    claimed = programs.claim(next_lease, operation_id)

    assert claimed is not None
    assert claimed.claims == 2


def test_weights_are_kept_for_their_session_until_it_ends(programs: ProgramStore, session: Job) -> None:
    operation = an_operation(session.id)
    named = replace(operation, weights=b"")
    with pytest.raises(WeightsUnknownError):
        _accept(programs, named, "1")

    _accept(programs, operation, "2", keep=True)
    _accept(programs, named, "3")

    assert programs.weights(session.id, operation.digest) == operation.weights
    other = _open(programs)
    with pytest.raises(WeightsUnknownError):
        _accept(programs, replace(named, session=other.id), "4")
    programs.end([session.id], "released")
    assert programs.weights(session.id, operation.digest) is None


def test_of_many_weights_not_all_are_kept_and_the_last_always_are(
    programs: ProgramStore, session: Job
) -> None:
    for seed in range(40):
        operation = an_operation(session.id, seed=seed)
        _accept(programs, operation, str(seed), keep=True)
        assert programs.weights(session.id, operation.digest) == operation.weights

    kept = [programs.weights(session.id, an_operation(session.id, seed=seed).digest) for seed in range(40)]
    assert 0 < sum(weights is not None for weights in kept) <= 16


def test_with_a_session_its_operations_go(
    programs: ProgramStore, session: Job, jobs: JobStore, lease: Lease
) -> None:
    other = _open(programs, "grace")
    _accept(programs, an_operation(session.id))
    _accept(programs, an_operation(other.id), user=User("grace"))

    programs.end([session.id], "released by the program")

    assert list(programs.waiting(CHIP)) == [f"{other.id}:1"]
    assert programs.claim(lease, f"{session.id}:1") is None
    assert jobs.get(session.id).state is JobState.SUCCEEDED
    with pytest.raises(SessionEndedError):
        _accept(programs, an_operation(session.id), "2")


def test_a_session_is_cancelled_like_a_job(programs: ProgramStore, session: Job, jobs: JobStore) -> None:
    _accept(programs, an_operation(session.id))

    assert jobs.cancel(session.id)[0]

    assert jobs.get(session.id).state is JobState.CANCELLED
    assert not programs.waiting(CHIP)
    assert not programs.sessions()


def test_silent_sessions_end_and_used_ones_stay(programs: ProgramStore, session: Job, jobs: JobStore) -> None:
    began = jobs.get(session.id).created_at

    assert programs.end_silent(began - 1, "silence") == []
    assert programs.end_silent(began + 1000, "silence") == [session.id]
    assert jobs.get(session.id).state is JobState.SUCCEEDED


def test_a_chip_in_maintenance_refuses_new_operations_and_answers_old_ones(
    programs: ProgramStore, session: Job, chips: ChipStore, lease: Lease
) -> None:
    _accept(programs, an_operation(session.id))
    programs.finish(lease, f"{session.id}:1", "ada", session.id, ANSWER, 0.0)

    chips.set_drain(CHIP, Drain("new cooling", "pause", "admin", 0.0))

    assert _accept(programs, an_operation(session.id)) == ANSWER
    with pytest.raises(ChipInMaintenanceError, match="new cooling"):
        _accept(programs, an_operation(session.id), "2")


def test_the_quotas_of_jobs_hold_for_sessions_and_of_chip_time_for_operations(
    programs: ProgramStore, session: Job, lease: Lease
) -> None:
    with pytest.raises(QuotaExceededError, match="your limit is 1"):
        _open(programs, quotas=Quotas(max_queued_jobs=1))
    _open(programs, "grace", Quotas(max_queued_jobs=1))

    _accept(programs, an_operation(session.id))
    programs.finish(lease, f"{session.id}:1", "ada", session.id, ANSWER, 2.0)

    with pytest.raises(QuotaExceededError, match="chip time"):
        programs.accept(
            f"{session.id}:2",
            "digest",
            an_operation(session.id),
            "hx:replies:here",
            replace(ADA, quotas=Quotas(chip_seconds_per_day=1.0)),
            keep=False,
        )

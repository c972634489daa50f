"""Leases: one worker per chip, and a replaced one that can write nothing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from services.chips.series import SeriesStore
from services.chips.store import ChipStore, Lease
from services.crops.claims import Entry
from services.crops.store import CropStore
from services.errors import LeaseHeldError, LeaseLostError
from services.jobs.acceptance import Idempotency
from services.jobs.record import JobKind, JobState
from services.jobs.store import JobStore
from services.programs.operations import Readouts
from services.programs.store import ProgramStore
from services.store.connection import Connection
from services.store.scripts import lua_source, scripts
from services.users.authentication import ADMIN
from services.users.quotas import UNLIMITED
from tests.services.samples import CHIP, PLENTY, a_holder, a_job, accept, an_operation, finish, some_crops


@dataclass(frozen=True)
class _Worker:
    """All that a worker can write with."""

    lease: Lease
    chips: ChipStore
    jobs: JobStore
    crops: CropStore
    programs: ProgramStore
    series: SeriesStore
    claimed: Sequence[Entry]

    def change(self) -> None:
        job = self.jobs.unfinished()[0]
        self.jobs.change(
            job,
            lease=self.lease,
            allowed=tuple(JobState),
            event={"type": "state"},
            charged_s=1.0,
            state=JobState.FAILED,
        )


_WRITES: dict[str, Callable[[_Worker], object]] = {
    "claim_crops": lambda worker: worker.crops.claim(worker.lease, {"digits@1:ada": 9}),
    "finish_crops": lambda worker: finish(worker.crops, worker.lease, worker.claimed),
    "claim_operation": lambda worker: worker.programs.claim(worker.lease, "s:1"),
    "finish_operation": lambda worker: worker.programs.finish(
        worker.lease, "s:1", "ada", "s", Readouts(b"1", 1), 1.0
    ),
    "recover_crops": lambda worker: worker.crops.recover(worker.lease, after_death=True),
    "change_job": _Worker.change,
    "end_turn": lambda worker: worker.chips.end_turn(worker.lease),
    "renew_lease": lambda worker: worker.chips.renew(worker.lease, {"ready": True}),
    "add_point": lambda worker: worker.series.add(worker.lease, "canary", {"at": 1.0, "score_lsb": 2.0}),
    "release_lease": lambda worker: worker.chips.release(worker.lease),
}


@pytest.fixture
def worker(
    lease: Lease, chips: ChipStore, jobs: JobStore, crops: CropStore, connection: Connection
) -> _Worker:
    """A worker in the middle of everything: crops claimed and waiting, a job queued, an operation waiting."""
    accept(crops, [some_crops(1)], reply_to="hx:replies:here")
    claimed = crops.claim(lease, {"digits@1:ada": 1}).claimed
    accept(crops, [some_crops(2)])
    jobs.submit(a_job(), Idempotency(), most=PLENTY)
    programs = ProgramStore(connection, keep_jobs_s=60)
    session = replace(a_job(JobKind.PROGRAM), id="s", state=JobState.RUNNING, params={"chip": CHIP})
    programs.open(session, UNLIMITED)
    programs.accept("s:1", "digest", an_operation("s"), "hx:replies:here", ADMIN, keep=False)
    return _Worker(lease, chips, jobs, crops, programs, SeriesStore(connection), claimed)


def _everything(connection: Connection) -> dict[bytes, bytes]:
    """All that Redis holds, byte for byte."""
    client: Any = connection.client
    return {key: client.dump(key) for key in sorted(client.keys())}


@pytest.mark.parametrize("write", _WRITES)
def test_a_worker_that_was_replaced_can_write_nothing(
    write: str, worker: _Worker, connection: Connection
) -> None:
    worker.chips.take(CHIP, a_holder("second"), dead=a_holder())
    before = _everything(connection)

    with pytest.raises(LeaseLostError):
        _WRITES[write](worker)

    assert _everything(connection) == before


@pytest.mark.parametrize("write", _WRITES)
def test_a_worker_whose_lease_ran_out_goes_on_unless_another_took_the_chip(
    write: str, worker: _Worker, connection: Connection
) -> None:
    connection.client.delete(f"hx:chip:{CHIP}:lease")

    _WRITES[write](worker)

    assert worker.chips.take(CHIP, a_holder("second"), dead=a_holder()).fence == worker.lease.fence + 1


def test_every_worker_script_is_among_those_tested() -> None:
    fenced = {
        Path(script).stem
        for script in scripts()
        if "lost_lease(chip, fence)" in lua_source(script) and script != "store/prelude.lua"
    }

    assert fenced == set(_WRITES)


def test_a_chip_that_is_held_cannot_be_taken(chips: ChipStore, lease: Lease) -> None:
    with pytest.raises(LeaseHeldError, match="first"):
        chips.take(CHIP, a_holder("second"))

    assert chips.record(CHIP).holder == lease.holder


def test_a_lease_is_taken_from_a_holder_known_to_be_dead(chips: ChipStore, lease: Lease) -> None:
    taken = chips.take(CHIP, a_holder("second"), dead=a_holder())

    assert taken.fence > lease.fence
    assert chips.record(CHIP).holder == a_holder("second")


def test_a_lease_is_not_taken_when_the_dead_holder_was_replaced_already(
    chips: ChipStore, lease: Lease
) -> None:
    chips.take(CHIP, a_holder("second"), dead=lease.holder)

    with pytest.raises(LeaseHeldError, match="second"):
        chips.take(CHIP, a_holder("third"), dead=lease.holder)


def test_a_lease_that_ran_out_can_be_renewed_unless_it_was_taken(
    chips: ChipStore, lease: Lease, connection: Connection
) -> None:
    connection.client.delete(f"hx:chip:{CHIP}:lease")

    chips.renew(lease, {"ready": True})

    assert chips.record(CHIP).holder == a_holder()
    assert chips.record(CHIP).state == "ready"


def test_a_renewed_lease_lives_for_its_whole_time(connection: Connection) -> None:
    chips = ChipStore(connection, lease_s=60)
    lease = chips.take(CHIP, a_holder())
    connection.client.pexpire(f"hx:chip:{CHIP}:lease", 1000)

    chips.renew(lease, {})

    assert connection.client.pttl(f"hx:chip:{CHIP}:lease") > 50_000


def test_a_released_chip_can_be_taken_at_once(chips: ChipStore, lease: Lease) -> None:
    chips.release(lease)

    taken = chips.take(CHIP, a_holder("second"))

    assert taken.fence == lease.fence + 1


def test_a_chip_is_starting_until_its_worker_says_ready(chips: ChipStore, lease: Lease) -> None:
    before = chips.record(CHIP).state

    chips.renew(lease, {"ready": True})

    assert (before, chips.record(CHIP).state) == ("starting", "ready")


def test_a_chip_without_worker_is_absent_and_still_listed(chips: ChipStore, lease: Lease) -> None:
    chips.release(lease)

    records = chips.records()

    assert [(record.chip, record.state) for record in records] == [(CHIP, "absent")]


@pytest.mark.parametrize("kind", ["crops", "job"])
def test_renewing_says_whether_work_waits(
    kind: str, chips: ChipStore, lease: Lease, jobs: JobStore, crops: CropStore
) -> None:
    idle = chips.renew(lease, {})
    if kind == "crops":
        accept(crops, [some_crops(1)])
    else:
        jobs.submit(a_job(), Idempotency(), most=PLENTY)

    busy = chips.renew(lease, {})

    assert (idle, busy) == (False, True)


def test_only_the_first_of_several_submissions_asks_for_a_wake_up(lease: Lease, jobs: JobStore) -> None:
    first = jobs.submit(a_job(), Idempotency(), most=PLENTY)

    second = jobs.submit(a_job(), Idempotency(), most=PLENTY)

    assert (first.asleep, second.asleep) == ((lease.chip,), ())


def test_work_rings_the_bell_and_a_claim_silences_it(
    chips: ChipStore, lease: Lease, crops: CropStore
) -> None:
    accept(crops, [some_crops(1)])
    rang = chips.bell_rang(CHIP)

    crops.claim(lease)

    assert (rang, chips.bell_rang(CHIP)) == (True, False)


def test_a_bell_that_rang_is_heard_by_a_later_wait(chips: ChipStore, lease: Lease, crops: CropStore) -> None:
    del lease
    accept(crops, [some_crops(1)])

    assert chips.wait_for_bell(CHIP, 10)
    assert not chips.wait_for_bell(CHIP, 0.01)


def test_a_turn_that_ends_with_work_left_keeps_the_wake_up(
    chips: ChipStore, lease: Lease, crops: CropStore
) -> None:
    accept(crops, [some_crops(1)])

    left = chips.end_turn(lease)

    _, later = accept(crops, [some_crops(1)])
    assert left
    assert later.asleep == ()


def test_after_a_turn_without_work_left_the_next_work_asks_for_a_wake_up(
    chips: ChipStore, lease: Lease, crops: CropStore
) -> None:
    crops.claim(lease)

    left = chips.end_turn(lease)

    _, later = accept(crops, [some_crops(1)])
    assert not left
    assert later.asleep == (CHIP,)


def test_work_asks_every_chip_for_a_turn(chips: ChipStore, crops: CropStore) -> None:
    for name in ("chip-1", "chip-2"):
        chips.take(name, a_holder(name))

    _, accepted = accept(crops, [some_crops(1)])

    assert sorted(accepted.asleep) == ["chip-1", "chip-2"]
    assert chips.bell_rang("chip-1")
    assert chips.bell_rang("chip-2")


def test_a_chip_without_a_worker_is_not_woken(chips: ChipStore, lease: Lease, crops: CropStore) -> None:
    other = chips.take("chip-2", a_holder("second"))
    chips.release(other)

    _, accepted = accept(crops, [some_crops(1)])

    assert accepted.asleep == (lease.chip,)
    assert not chips.bell_rang("chip-2")


def test_work_that_came_before_the_worker_is_seen_by_its_first_look(
    chips: ChipStore, crops: CropStore
) -> None:
    accept(crops, [some_crops(2)])

    lease = chips.take(CHIP, a_holder())

    assert chips.renew(lease, {})
    assert [crops for crops, _, _ in crops.claim(lease).waiting.values()] == [2]


def test_a_worker_whose_lease_lapsed_hears_of_work_recorded_meanwhile(
    chips: ChipStore, lease: Lease, crops: CropStore, connection: Connection
) -> None:
    connection.client.delete(f"hx:chip:{CHIP}:lease")
    _, accepted = accept(crops, [some_crops(1)])
    rang_before = chips.bell_rang(CHIP)

    work_waits = chips.renew(lease, {})

    assert (accepted.asleep, rang_before, work_waits) == ((), False, True)
    assert chips.bell_rang(CHIP)


def test_a_renewed_lease_that_had_not_lapsed_rings_no_bell(
    chips: ChipStore, lease: Lease, crops: CropStore
) -> None:
    accept(crops, [some_crops(1)])
    crops.claim(lease)

    chips.renew(lease, {})

    assert not chips.bell_rang(CHIP)

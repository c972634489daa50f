"""Two workers of one chip, one of which is taken for dead at any moment: each crop is answered, by one of them."""

from functools import partial
from typing import Final

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from services.chips.store import ChipStore, Lease
from services.crops.claims import Entry, Prefetch, backlog_of_bell
from services.crops.lanes import Lane
from services.crops.store import CropStore
from services.errors import LeaseLostError
from services.jobs.record import Job, JobState
from services.jobs.store import JobStore
from services.store.connection import Connection
from tests.services.samples import CHIP, PLENTY, a_holder, accept, events_of, finish, some_crops

_MACHINE_SETTINGS: Final = settings(
    deadline=None, max_examples=25, stateful_step_count=25, suppress_health_check=list(HealthCheck)
)
_LANES: Final = {user: Lane("digits", "1", user) for user in ("ada", "grace")}
_users = st.sampled_from(sorted(_LANES))
_workers = st.sampled_from([0, 1])


class _TwoWorkers(RuleBasedStateMachine):
    """What each worker believes to hold, beside what Redis lets it do."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        connection.client.flushall()
        self.chips = ChipStore(connection, lease_s=60)
        self.jobs = JobStore(connection, keep_jobs_s=3600)
        self.crops = CropStore(connection, max_waiting=PLENTY, keep_results_s=3600)
        self.submitted: list[Job] = []
        self.takes = 0
        first = self.chips.take(CHIP, a_holder("0"))
        self.leases: list[Lease] = [first, first]
        self.held: list[list[Entry]] = [[], []]
        self.holder = 0

    @rule(user=_users, sizes=st.lists(st.integers(1, 3), min_size=1, max_size=3))
    def submit(self, user: str, sizes: list[int]) -> None:
        job, _ = accept(self.crops, [some_crops(size) for size in sizes], lane=_LANES[user])
        self.submitted.append(job)

    @rule(worker=_workers)
    def take_over(self, worker: int) -> None:
        """The other is thought dead, whether it is or not."""
        self.takes += 1
        dead = self.leases[self.holder].holder
        self.leases[worker] = self.chips.take(CHIP, a_holder(f"{worker}-{self.takes}"), dead=dead)
        self.holder = worker
        self.held[worker] = self.crops.recover(self.leases[worker], after_death=True)

    @rule(worker=_workers, user=_users, most=st.integers(1, 5))
    def claim(self, worker: int, user: str, most: int) -> None:
        try:
            claimed = self.crops.claim(self.leases[worker], {str(_LANES[user]): most}).claimed
        except LeaseLostError:
            assert not self.may_write(worker)
            return
        assert self.may_write(worker)
        self.held[worker] += claimed

    @rule(worker=_workers, most=st.integers(1, 5))
    def look(self, worker: int, most: int) -> None:
        """Claim what alone waits, or ask for what comes next."""
        try:
            claimed = self.crops.claim(self.leases[worker], prefetch=Prefetch("digits@1", most)).claimed
        except LeaseLostError:
            assert not self.may_write(worker)
            return
        assert self.may_write(worker)
        self.held[worker] += claimed

    @rule()
    def hear(self) -> None:
        """The worker with the lease hears the bell; the other's wait for it has ended before its lease has."""
        rung = self.chips.wait_for_bell(CHIP, 0.01) if self.chips.bell_rang(CHIP) else None
        heard = backlog_of_bell(rung) if rung else None
        self.held[self.holder] += heard.claimed if heard else []

    @rule()
    def end_turn(self) -> None:
        self.chips.end_turn(self.leases[self.holder])

    @rule(worker=_workers)
    def answer(self, worker: int) -> None:
        before = [self.jobs.get(job.id) for job in self.submitted]
        try:
            finish(self.crops, self.leases[worker], self.held[worker])
        except LeaseLostError:
            assert not self.may_write(worker)
            assert [self.jobs.get(job.id) for job in self.submitted] == before
        self.held[worker] = []

    @rule(which=st.integers(0, 99))
    def cancel(self, which: int) -> None:
        if self.submitted:
            self.jobs.cancel(self.submitted[which % len(self.submitted)].id)

    def may_write(self, worker: int) -> bool:
        return self.leases[worker].fence == self.leases[self.holder].fence

    @invariant()
    def nothing_is_claimed_twice_by_who_may_answer(self) -> None:
        places = [(str(entry.lane), entry.entry) for entry in self.held[self.holder]]
        assert len(places) == len(set(places))

    @invariant()
    def a_job_ends_at_most_once(self) -> None:
        for job in self.submitted:
            states = [
                JobState(e["state"]) for _, _, e in events_of(self.jobs, job.id) if e["type"] == "state"
            ]
            assert sum(state.is_final for state in states) == self.jobs.get(job.id).state.is_final

    def teardown(self) -> None:
        """The next worker finishes all that is left."""
        self.take_over(0)
        for user in _LANES:
            self.claim(0, user, PLENTY)
        self.answer(0)

        for job in self.submitted:
            stored = self.jobs.get(job.id)
            assert stored.state in {JobState.SUCCEEDED, JobState.CANCELLED}
        assert self.chips.waiting_crops() == 0
        self.a_job_ends_at_most_once()


def test_whoever_is_taken_for_dead_each_crop_is_answered_and_no_job_ends_twice(
    connection: Connection,
) -> None:
    run_state_machine_as_test(partial(_TwoWorkers, connection), settings=_MACHINE_SETTINGS)  # type: ignore[arg-type] # any maker of machines will do

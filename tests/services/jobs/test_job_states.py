"""A job in Redis goes only the ways of the table, whatever is asked of it and in whatever order."""

import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from services.chips.store import ChipStore
from services.crops.claims import Entry, Finished
from services.crops.store import CropStore
from services.errors import InvalidTransitionError
from services.jobs.acceptance import Idempotency
from services.jobs.record import TRANSITIONS, Job, JobState
from services.jobs.store import JobStore
from services.store.connection import Connection
from tests.services.samples import (
    CHIP,
    LONG_AGO_S,
    PLENTY,
    a_holder,
    a_job,
    accept,
    events_of,
    finish,
    some_crops,
)

_UNFINISHED = (JobState.QUEUED, JobState.RUNNING)
_MACHINE_SETTINGS = settings(
    deadline=None, max_examples=25, stateful_step_count=12, suppress_health_check=list(HealthCheck)
)


class _JobMachine(RuleBasedStateMachine):
    """One job; after each rule its record is compared with what it was before."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        connection.client.flushall()
        self.jobs = JobStore(connection, keep_jobs_s=3600)
        self.crops = CropStore(connection, max_waiting=PLENTY, keep_results_s=3600)
        self.lease = ChipStore(connection, lease_s=60).take(CHIP, a_holder())
        self.job = self.submit()
        self.seen = self.jobs.get(self.job.id)

    def submit(self) -> Job:
        raise NotImplementedError

    @contextmanager
    def refusals(self) -> Iterator[None]:
        """The store says no where the table does."""
        try:
            yield
        except InvalidTransitionError:
            assert self.jobs.get(self.job.id) == self.seen

    @rule()
    def cancel(self) -> None:
        self.jobs.cancel(self.job.id)

    @invariant()
    def only_ways_of_the_table_are_gone(self) -> None:
        now = self.jobs.get(self.job.id)
        states = [
            JobState(e["state"]) for _, _, e in events_of(self.jobs, self.job.id) if e["type"] == "state"
        ]
        assert all(after in TRANSITIONS[before] for before, after in itertools.pairwise(states))
        assert states[-1] is now.state
        self.seen = now

    @invariant()
    def every_revision_has_an_event(self) -> None:
        assert len(events_of(self.jobs, self.job.id)) == self.jobs.get(self.job.id).revision

    @invariant()
    def what_is_final_stays(self) -> None:
        if self.seen.state.is_final:
            assert self.seen.finished_at is not None
            assert self.job.id not in {job.id for job in self.jobs.unfinished()}


class _LongJob(_JobMachine):
    def submit(self) -> Job:
        job = a_job()
        self.jobs.submit(job, Idempotency(), most=PLENTY)
        return job

    @rule(state=st.sampled_from(JobState), allowed=st.sets(st.sampled_from(_UNFINISHED), min_size=1))
    def change_state(self, state: JobState, allowed: set[JobState]) -> None:
        if state is self.seen.state:
            return
        with self.refusals():
            self.change(allowed, {"type": "state", "state": state}, state=state)

    @rule(progress=st.floats(0, 1))
    def progress(self, progress: float) -> None:
        with self.refusals():
            self.change(_UNFINISHED, {"type": "progress"}, progress=progress)

    def change(self, allowed: Any, event: dict[str, Any], **fields: Any) -> None:
        self.jobs.change(self.job, lease=self.lease, allowed=allowed, event=event, **fields)


class _ClassificationJob(_JobMachine):
    """Three parts, one of them too late, that are claimed, answered, refused and recovered in any order."""

    def __init__(self, connection: Connection) -> None:
        self.claimed: list[Entry] = []
        super().__init__(connection)

    def submit(self) -> Job:
        job, _ = accept(self.crops, [some_crops(2), some_crops(1)])
        return job

    @rule()
    def claim(self) -> None:
        self.claimed += self.crops.claim(self.lease, {"digits@1:ada": 1}).claimed

    @precondition(lambda self: self.claimed)
    @rule(last=st.booleans())
    def answer(self, last: bool) -> None:
        finish(self.crops, self.lease, [self.claimed.pop(-1 if last else 0)])

    @precondition(lambda self: self.claimed)
    @rule(ended=st.sampled_from([JobState.FAILED, JobState.EXPIRED]))
    def refuse(self, ended: JobState) -> None:
        problem = json.dumps({"code": "expired", "message": "too late"})
        self.crops.finish(self.lease, [Finished(self.claimed.pop(), b"", ended, problem)], {}, {})

    @rule()
    def recover(self) -> None:
        self.claimed = self.crops.recover(self.lease, after_death=True)


@pytest.mark.parametrize("machine", [_LongJob, _ClassificationJob])
def test_a_job_goes_only_the_ways_of_the_table(machine: type[_JobMachine], connection: Connection) -> None:
    run_state_machine_as_test(partial(machine, connection), settings=_MACHINE_SETTINGS)  # type: ignore[arg-type] # any maker of machines will do


def test_a_request_of_which_a_part_came_too_late_is_expired(
    jobs: JobStore, crops: CropStore, connection: Connection
) -> None:
    lease = ChipStore(connection, lease_s=60).take(CHIP, a_holder())
    job, _ = accept(crops, [some_crops(1)], deadline_s=LONG_AGO_S)
    entries = crops.claim(lease, {"digits@1:ada": 1}).claimed

    crops.finish(
        lease,
        [Finished(entry, b"", JobState.EXPIRED, '{"code":"expired","message":""}') for entry in entries],
        {},
        {},
    )

    assert jobs.get(job.id).state is JobState.EXPIRED
    assert jobs.get(job.id).started_at is None

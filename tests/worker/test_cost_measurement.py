"""The meter: it learns the pace of work from the jobs themselves, and remembers it beyond the worker."""

import math
import time

import pytest

from services.chips.store import Lease
from services.jobs.acceptance import Idempotency
from services.jobs.store import JobStore
from services.scheduling.costs import CostStore, cost_of
from services.store.connection import Connection
from tests.services.samples import PLENTY, a_job
from tests.worker.counting import Counting
from worker.checkpoints import Saves
from worker.chip import ChipSession
from worker.cost_measurement import CostMeter, Measurement
from worker.crash_marker import CrashMarker
from worker.long_work import LongWork


@pytest.fixture
def costs(connection: Connection) -> CostStore:
    return CostStore(connection)


@pytest.fixture
def meter(costs: CostStore) -> CostMeter:
    return CostMeter(costs, "mock", lambda: "digits")


def _measurement(steps: int, step_s: float, upkeep_s: float = 0.0) -> Measurement:
    measurement = Measurement()
    for _ in range(steps):
        measurement.add("mock", 1, step_s)
    measurement.upkeep_s = upkeep_s
    return measurement


def test_work_that_was_measured_is_foreseen_as_measured(meter: CostMeter, costs: CostStore) -> None:
    workload = meter.plan(a_job())

    meter.note(workload, _measurement(100, 0.2))

    assert cost_of(workload, costs.paces()).median_s == pytest.approx(workload.steps * 0.2, rel=0.01)


def test_upkeep_between_the_mini_batches_counts(meter: CostMeter, costs: CostStore) -> None:
    workload = meter.plan(a_job())

    meter.note(workload, _measurement(100, 0.2, upkeep_s=20.0))

    assert cost_of(workload, costs.paces()).median_s == pytest.approx(workload.steps * 0.4, rel=0.01)


def test_a_new_worker_goes_on_from_its_predecessors_measurements(meter: CostMeter, costs: CostStore) -> None:
    workload = meter.plan(a_job())
    meter.note(workload, _measurement(100, 0.2))

    CostMeter(costs, "mock", lambda: "digits").note(workload, _measurement(1, 0.8))

    pace = costs.paces()[workload.phases[0].kind]
    assert pace.weight_s == pytest.approx(20.8)
    assert 0.2 < math.exp(pace.log_mean) * workload.phases[0].step_s < 0.22


def test_a_moment_of_work_is_not_measured(meter: CostMeter, costs: CostStore) -> None:
    meter.note(meter.plan(a_job()), _measurement(3, 0.001))

    assert costs.paces() == {}


def test_a_pace_that_cannot_be_read_is_measured_again(connection: Connection, costs: CostStore) -> None:
    connection.client.hset("hx:paces", mapping={"odd": "[1, 2]", "mad": "{", "good": "[1, 0, 2]"})

    assert list(costs.paces()) == ["good"]


def test_no_more_kinds_are_remembered_than_there_is_room_for(
    connection: Connection, costs: CostStore
) -> None:
    connection.client.hset("hx:paces", mapping={f"kind-{n}": "[1, 0, 2]" for n in range(1200)})

    costs.keep({"kind-7": costs.paces()["kind-7"]})

    assert connection.client.hlen("hx:paces") in range(1000, 1002)
    assert "kind-7" in costs.paces()


def test_a_job_that_ends_has_been_measured(
    jobs: JobStore,
    lease: Lease,
    session: ChipSession,
    saves: Saves,
    marker: CrashMarker,
    meter: CostMeter,
    costs: CostStore,
) -> None:
    job = a_job()
    jobs.submit(job, Idempotency(), most=PLENTY)
    activity = Counting(steps=30, on_step=lambda _: time.sleep(0.002))
    long_work = LongWork(
        lease, session, jobs, saves, lambda _: activity, marker, save_every_s=60, meter=meter
    )

    meter.note_fixed(meter.plan(job), 20.0)  # an earlier one in this process
    long_work.run_slice(jobs.get(job.id), 1e9, 0.0, lambda: False)

    workload = meter.plan(job)
    paces = costs.paces()
    assert {workload.phases[0].kind, workload.phases[0].wider_kind, workload.fixed_kind} == set(paces)
    assert jobs.get(job.id).chip_time_s == pytest.approx(paces[workload.phases[0].kind].weight_s, rel=0.1)


def test_the_slow_beginning_of_a_processs_first_job_is_not_expected_of_others(
    meter: CostMeter, costs: CostStore
) -> None:
    workload = meter.plan(a_job())

    meter.note_fixed(workload, 20.0)
    before = costs.paces()
    meter.note_fixed(workload, 0.1)

    assert before == {}
    assert costs.paces()[workload.fixed_kind].log_mean == pytest.approx(math.log(0.1 / workload.fixed_s))

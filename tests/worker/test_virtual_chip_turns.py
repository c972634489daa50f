"""Turns on the virtual chip: it is calibrated on request, watched, and calibrated when it has drifted."""

from dataclasses import dataclass

import pytest

from hxtorch_emulator import connection as emulated_connection
from hxtorch_emulator.chip import VirtualChip
from services.chips.series import SeriesStore
from services.chips.store import ChipStore, Lease
from services.crops.answers import Answer
from services.crops.store import CropStore
from services.jobs.acceptance import Idempotency
from services.jobs.record import Job, JobKind, JobState
from services.jobs.store import JobStore
from services.jobs.submission import new_job
from services.models.files import ModelStore
from services.programs.store import ProgramStore
from services.scheduling.policy import Policy
from services.store.connection import Connection
from services.users.authentication import SYSTEM, User
from tests.services.samples import CHIP, PLENTY, accept, an_origin, some_crops
from tests.worker.conftest import TINY
from worker.activities import CalibrationActivity
from worker.batches import Batches
from worker.checkpoints import Saves, pack_weights
from worker.chip import ChipSession
from worker.chip_maintenance import ChipMaintenance, MaintenanceSchedule
from worker.crash_marker import CrashMarker
from worker.learning.network import build_network, weights_of
from worker.long_work import LongWork
from worker.operations import Operations
from worker.scheduler_loop import SchedulerLoop
from worker.serving import LoadedVersions
from worker.shadow import Shadow


@dataclass
class Bench:
    """A worker on the virtual chip, and what a test sees of it."""

    session: ChipSession
    loop: SchedulerLoop
    maintenance: ChipMaintenance
    jobs: JobStore
    series: SeriesStore

    def run(self) -> None:
        """Takes turns until nothing waits and no maintenance is due, as the heartbeat thread sees to."""
        while self.loop.run() or self.maintenance.is_due:
            pass

    def scores(self) -> list[float]:
        """What the canary showed so far, LSB."""
        return [point["score_lsb"] for point in self.series.newest(CHIP, "canary", 99)]


@pytest.fixture
def bench(
    virtual_session: ChipSession,
    lease: Lease,
    chips: ChipStore,
    jobs: JobStore,
    crops: CropStore,
    models: ModelStore,
    saves: Saves,
    marker: CrashMarker,
    connection: Connection,
) -> Bench:
    session, series = virtual_session, SeriesStore(connection)
    maintenance = ChipMaintenance(
        lease, session, series, jobs, MaintenanceSchedule(3600.0, None, recalibrate_on_drift=True)
    )

    def take_up(_: Job) -> CalibrationActivity:
        return CalibrationActivity(session, maintenance.after_calibration)

    shadow = Shadow(lease, series, share=1.0)
    batches = Batches(lease, session, crops, LoadedVersions(session, models), shadow, batch_crops=64)
    operations = Operations(lease, session, ProgramStore(connection, keep_jobs_s=60))
    long_work = LongWork(lease, session, jobs, saves, take_up, marker, save_every_s=60)
    loop = SchedulerLoop(
        lease, chips, jobs, batches, operations, long_work, maintenance, Policy(batch_crops=64), turn_s=0.1
    )
    return Bench(session, loop, maintenance, jobs, series)


def _submit(jobs: JobStore, chip: str | None) -> Job:
    job = new_job(JobKind.CALIBRATION, User("ada"), "", {"chip": chip})
    jobs.submit(job, Idempotency(), most=PLENTY)
    return job


@pytest.mark.parametrize("chip", [CHIP, None])
def test_a_requested_calibration_is_made_and_loaded(bench: Bench, chip: str | None) -> None:
    before = bench.session.calibration
    job = _submit(bench.jobs, chip)

    bench.run()

    ended, loaded = bench.jobs.get(job.id), bench.session.calibration
    assert ended.state is JobState.SUCCEEDED
    assert ended.result is not None
    assert before is not None
    assert loaded is not None
    assert (ended.result["chip"], ended.result["sha256"]) == (CHIP, loaded["sha256"])
    assert loaded["path"] != before["path"]
    assert ended.result["canary_lsb"] == bench.session.canary_reference_lsb
    assert len(bench.scores()) == 2


def test_a_calibration_of_another_chip_is_left_to_it(bench: Bench) -> None:
    job = _submit(bench.jobs, "chip-2")

    bench.loop.run()

    assert bench.jobs.get(job.id).state is JobState.QUEUED


def test_a_chip_that_has_drifted_is_calibrated_and_well_again(bench: Bench) -> None:
    bench.run()
    chip = emulated_connection.chosen_chip()
    assert isinstance(chip, VirtualChip)
    chip.temperature_c += 30
    bench.maintenance.after_calibration()

    bench.run()

    first, warm, mended = bench.scores()
    assert max(first, mended) < bench.session.canary_limit_lsb < warm
    assert not bench.maintenance.is_drifted
    [(_, job_id)] = bench.jobs.newest(before=None, count=9)
    job = bench.jobs.get(job_id)
    assert (job.kind, job.user, job.state) == (JobKind.CALIBRATION, SYSTEM.name, JobState.SUCCEEDED)


def test_crops_run_on_the_virtual_chip_and_its_twin(
    bench: Bench, crops: CropStore, models: ModelStore
) -> None:
    weights = weights_of(build_network(TINY, bench.session.perceptron, "mock"))
    models.publish(an_origin(network=TINY, execution="chip"), pack_weights(weights))
    job, _ = accept(crops, [some_crops(50, n) for n in range(20)])

    bench.run()

    assert bench.jobs.get(job.id).state is JobState.SUCCEEDED
    [point] = bench.series.newest(CHIP, "shadow", 9)
    assert point["crops"] == 1000
    [answer, *_] = (Answer.unpack(packed) for packed in bench.jobs.results(job.id).values())
    assert answer.provenance is not None
    assert (answer.provenance.backend, answer.provenance.transferred) == ("emulator", True)
    assert answer.provenance.calibration is not None

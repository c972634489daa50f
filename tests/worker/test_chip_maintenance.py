"""Maintenance of the chip: its canary on a timer, and exactly one calibration for each reason."""

from datetime import time

import pytest

from services.chips.series import SeriesStore
from services.chips.store import ChipStore, Lease
from services.errors import ChipError, LeaseLostError
from services.jobs.record import Job, JobKind, JobState
from services.jobs.store import JobStore
from services.store.connection import Connection
from services.users.authentication import SYSTEM
from tests.services.samples import CHIP, a_holder
from tests.worker.scripted import ScriptedSession
from worker.chip import ChipSession
from worker.chip.calibrations import Pattern
from worker.chip_maintenance import ChipMaintenance, MaintenanceSchedule

LONG_S, AT_ONCE_S = 3600.0, 0.0
MIDNIGHT, LAST_MOMENT = time(0, 0), time(23, 59, 59, 999_999)


@pytest.fixture
def chip(session: ChipSession) -> ScriptedSession:
    """A chip whose canary is well."""
    return ScriptedSession(session)


@pytest.fixture
def series(connection: Connection) -> SeriesStore:
    return SeriesStore(connection)


class _NewMaintenance:
    """Makes what a worker process has at its start, again and again."""

    def __init__(self, lease: Lease, chip: ScriptedSession, series: SeriesStore, jobs: JobStore) -> None:
        self._parts = lease, chip, series, jobs

    def __call__(
        self, every_s: float = LONG_S, night: time | None = None, on_drift: bool = True
    ) -> ChipMaintenance:
        return ChipMaintenance(
            *self._parts, MaintenanceSchedule(every_s, night, recalibrate_on_drift=on_drift)
        )


@pytest.fixture
def new_maintenance(
    lease: Lease, chip: ScriptedSession, series: SeriesStore, jobs: JobStore
) -> _NewMaintenance:
    return _NewMaintenance(lease, chip, series, jobs)


def _asked_for(jobs: JobStore) -> list[Job]:
    return [job for job in jobs.unfinished() if job.kind is JobKind.CALIBRATION]


def _drift(chip: ScriptedSession) -> None:
    chip.score_lsb = 2 * chip.canary_limit_lsb


def test_the_canary_is_due_at_the_start_and_then_when_its_time_has_come(
    new_maintenance: _NewMaintenance,
) -> None:
    rare, frequent = new_maintenance(every_s=LONG_S), new_maintenance(every_s=AT_ONCE_S)
    at_start = rare.canary_is_due

    rare.measure_canary()
    frequent.measure_canary()

    assert (at_start, rare.canary_is_due, frequent.canary_is_due) == (True, False, True)


def test_a_chip_that_cannot_drift_has_no_canary(
    lease: Lease, session: ChipSession, series: SeriesStore, jobs: JobStore
) -> None:
    maintenance = ChipMaintenance(
        lease, session, series, jobs, MaintenanceSchedule(AT_ONCE_S, MIDNIGHT, recalibrate_on_drift=True)
    )

    maintenance.see_to_calibration()

    assert not maintenance.canary_is_due
    assert not maintenance.is_due
    assert _asked_for(jobs) == []


def test_each_canary_is_a_point_of_its_series(
    new_maintenance: _NewMaintenance, chip: ScriptedSession, series: SeriesStore
) -> None:
    maintenance = new_maintenance()

    for chip.score_lsb in (0.25, 0.125):
        maintenance.measure_canary()

    points = series.newest(CHIP, "canary", 9)
    assert [point["score_lsb"] for point in points] == [0.25, 0.125]
    assert {point["limit_lsb"] for point in points} == {chip.canary_limit_lsb}
    assert points[0]["at"] <= points[1]["at"]


def test_a_chip_whose_canary_is_well_is_not_calibrated(
    new_maintenance: _NewMaintenance, jobs: JobStore
) -> None:
    maintenance = new_maintenance()

    maintenance.measure_canary()

    assert not maintenance.describe()["drifted"]
    assert _asked_for(jobs) == []


def test_a_chip_that_drifts_is_marked_and_asks_for_exactly_one_calibration(
    new_maintenance: _NewMaintenance, chip: ScriptedSession, jobs: JobStore
) -> None:
    maintenance = new_maintenance()
    _drift(chip)

    for _ in range(3):
        maintenance.measure_canary()
    new_maintenance().measure_canary()

    assert maintenance.describe()["drifted"]
    assert maintenance.describe()["canary"]["is_drifted"]
    [job] = _asked_for(jobs)
    assert (job.user, job.model, job.params["chip"]) == (SYSTEM.name, "", CHIP)


def test_a_chip_that_drifts_again_after_its_calibration_asks_for_another(
    new_maintenance: _NewMaintenance, chip: ScriptedSession, jobs: JobStore
) -> None:
    maintenance = new_maintenance()
    for _ in range(2):
        _drift(chip)
        maintenance.measure_canary()
        chip.calibrate()

    assert len(_asked_for(jobs)) == 2


def test_a_chip_that_may_not_be_calibrated_by_itself_is_only_marked(
    new_maintenance: _NewMaintenance, chip: ScriptedSession, jobs: JobStore
) -> None:
    maintenance = new_maintenance(on_drift=False)
    _drift(chip)

    maintenance.measure_canary()

    assert maintenance.is_drifted
    assert _asked_for(jobs) == []


def test_after_a_calibration_the_canary_is_due_and_takes_the_mark_away(
    new_maintenance: _NewMaintenance, chip: ScriptedSession
) -> None:
    maintenance = new_maintenance()
    _drift(chip)
    maintenance.measure_canary()
    chip.calibrate()

    maintenance.after_calibration()
    is_due = maintenance.canary_is_due
    maintenance.measure_canary()

    assert is_due
    assert not maintenance.describe()["drifted"]


def test_a_canary_that_fails_is_tried_again_when_its_time_has_come_and_not_before(
    new_maintenance: _NewMaintenance, chip: ScriptedSession
) -> None:
    maintenance = new_maintenance()
    chip.failures = [ChipError()]

    with pytest.raises(ChipError):
        maintenance.measure_canary()

    assert maintenance.last is None
    assert not maintenance.canary_is_due


def test_a_replaced_worker_keeps_no_point(
    new_maintenance: _NewMaintenance, chips: ChipStore, series: SeriesStore
) -> None:
    chips.take(CHIP, a_holder("second"), dead=a_holder())

    with pytest.raises(LeaseLostError):
        new_maintenance().measure_canary()

    assert series.newest(CHIP, "canary", 9) == []


def test_a_night_has_one_calibration_however_often_the_worker_starts(
    new_maintenance: _NewMaintenance, jobs: JobStore
) -> None:
    for _ in range(3):
        maintenance = new_maintenance(night=MIDNIGHT)
        for _ in range(2):
            maintenance.see_to_calibration()

    assert len(_asked_for(jobs)) == 1


def test_a_worker_wants_a_turn_until_the_nightly_calibration_is_asked_for(
    new_maintenance: _NewMaintenance,
) -> None:
    maintenance = new_maintenance(night=MIDNIGHT)
    maintenance.measure_canary()
    before = maintenance.is_due

    maintenance.see_to_calibration()

    assert (before, maintenance.is_due) == (True, False)


@pytest.mark.parametrize("night", [None, LAST_MOMENT])
def test_there_is_no_calibration_before_its_time(
    new_maintenance: _NewMaintenance, jobs: JobStore, night: time | None
) -> None:
    new_maintenance(night=night).see_to_calibration()

    assert _asked_for(jobs) == []


def test_a_fresh_calibration_need_not_be_repeated_at_night(
    new_maintenance: _NewMaintenance, chip: ScriptedSession, jobs: JobStore
) -> None:
    chip.age_s = 3600.0

    new_maintenance(night=MIDNIGHT).see_to_calibration()

    assert _asked_for(jobs) == []


def test_a_maintenance_job_is_never_refused_for_a_full_queue(
    new_maintenance: _NewMaintenance, jobs: JobStore, connection: Connection
) -> None:
    connection.client.sadd("hx:jobs:long", *[f"job-{n}" for n in range(2000)])

    new_maintenance(night=MIDNIGHT).see_to_calibration()

    assert [job.state for job in _asked_for(jobs)] == [JobState.QUEUED]


def test_the_pattern_of_a_chip_is_shown_after_its_calibration(
    new_maintenance: _NewMaintenance,
    chip: ScriptedSession,
    series: SeriesStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    maintenance = new_maintenance()
    maintenance.show_pattern()
    unknown = series.pattern(CHIP)
    pattern = Pattern((1.0,) * 512, (0.5,) * 512, was_flat=True)
    monkeypatch.setattr(ScriptedSession, "pattern", pattern)

    maintenance.after_calibration()

    shown = series.pattern(CHIP)
    assert unknown is None
    assert shown is not None
    assert (shown["before_lsb"], shown["after_lsb"]) == ([1.0] * 512, [0.5] * 512)
    assert shown["was_flat"]
    assert shown["calibrated_at"] == (chip.calibration or {}).get("made_at")

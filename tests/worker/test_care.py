"""Care of the chip: its canary on a timer, and exactly one calibration for each reason."""

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
from worker.care import Care, CareSchedule
from worker.chip import ChipSession
from worker.chip.session import Pattern

LONG_S, AT_ONCE_S = 3600.0, 0.0
MIDNIGHT, LAST_MOMENT = time(0, 0), time(23, 59, 59, 999_999)


@pytest.fixture
def chip(session: ChipSession) -> ScriptedSession:
    """A chip whose canary is well."""
    return ScriptedSession(session)


@pytest.fixture
def series(connection: Connection) -> SeriesStore:
    return SeriesStore(connection)


class _Cares:
    """Makes what a worker process has at its start, again and again."""

    def __init__(self, lease: Lease, chip: ScriptedSession, series: SeriesStore, jobs: JobStore) -> None:
        self._parts = lease, chip, series, jobs

    def __call__(self, every_s: float = LONG_S, night: time | None = None, on_drift: bool = True) -> Care:
        return Care(*self._parts, CareSchedule(every_s, night, recalibrate_on_drift=on_drift))


@pytest.fixture
def new_care(lease: Lease, chip: ScriptedSession, series: SeriesStore, jobs: JobStore) -> _Cares:
    return _Cares(lease, chip, series, jobs)


def _asked_for(jobs: JobStore) -> list[Job]:
    return [job for job in jobs.unfinished() if job.kind is JobKind.CALIBRATION]


def _drift(chip: ScriptedSession) -> None:
    chip.score_lsb = 2 * chip.canary_limit_lsb


def test_the_canary_is_due_at_the_start_and_then_when_its_time_has_come(new_care: _Cares) -> None:
    rare, frequent = new_care(every_s=LONG_S), new_care(every_s=AT_ONCE_S)
    at_start = rare.canary_is_due

    rare.measure_canary()
    frequent.measure_canary()

    assert (at_start, rare.canary_is_due, frequent.canary_is_due) == (True, False, True)


def test_a_chip_that_cannot_drift_has_no_canary(
    lease: Lease, session: ChipSession, series: SeriesStore, jobs: JobStore
) -> None:
    care = Care(lease, session, series, jobs, CareSchedule(AT_ONCE_S, MIDNIGHT, recalibrate_on_drift=True))

    care.see_to_calibration()

    assert not care.canary_is_due
    assert not care.is_due
    assert _asked_for(jobs) == []


def test_each_canary_is_a_point_of_its_series(
    new_care: _Cares, chip: ScriptedSession, series: SeriesStore
) -> None:
    care = new_care()

    for chip.score_lsb in (0.25, 0.125):
        care.measure_canary()

    points = series.newest(CHIP, "canary", 9)
    assert [point["score_lsb"] for point in points] == [0.25, 0.125]
    assert {point["limit_lsb"] for point in points} == {chip.canary_limit_lsb}
    assert points[0]["at"] <= points[1]["at"]


def test_a_chip_whose_canary_is_well_is_not_calibrated(new_care: _Cares, jobs: JobStore) -> None:
    care = new_care()

    care.measure_canary()

    assert not care.describe()["drifted"]
    assert _asked_for(jobs) == []


def test_a_chip_that_drifts_is_marked_and_asks_for_exactly_one_calibration(
    new_care: _Cares, chip: ScriptedSession, jobs: JobStore
) -> None:
    care = new_care()
    _drift(chip)

    for _ in range(3):
        care.measure_canary()
    new_care().measure_canary()

    assert care.describe()["drifted"]
    assert care.describe()["canary"]["is_drifted"]
    [job] = _asked_for(jobs)
    assert (job.user, job.model, job.params["chip"]) == (SYSTEM.name, "", CHIP)


def test_a_chip_that_drifts_again_after_its_calibration_asks_for_another(
    new_care: _Cares, chip: ScriptedSession, jobs: JobStore
) -> None:
    care = new_care()
    for _ in range(2):
        _drift(chip)
        care.measure_canary()
        chip.calibrate()

    assert len(_asked_for(jobs)) == 2


def test_a_chip_that_may_not_be_calibrated_by_itself_is_only_marked(
    new_care: _Cares, chip: ScriptedSession, jobs: JobStore
) -> None:
    care = new_care(on_drift=False)
    _drift(chip)

    care.measure_canary()

    assert care.is_drifted
    assert _asked_for(jobs) == []


def test_after_a_calibration_the_canary_is_due_and_takes_the_mark_away(
    new_care: _Cares, chip: ScriptedSession
) -> None:
    care = new_care()
    _drift(chip)
    care.measure_canary()
    chip.calibrate()

    care.after_calibration()
    is_due = care.canary_is_due
    care.measure_canary()

    assert is_due
    assert not care.describe()["drifted"]


def test_a_canary_that_fails_is_tried_again_when_its_time_has_come_and_not_before(
    new_care: _Cares, chip: ScriptedSession
) -> None:
    care = new_care()
    chip.failures = [ChipError()]

    with pytest.raises(ChipError):
        care.measure_canary()

    assert care.last is None
    assert not care.canary_is_due


def test_a_replaced_worker_keeps_no_point(new_care: _Cares, chips: ChipStore, series: SeriesStore) -> None:
    chips.take(CHIP, a_holder("second"), dead=a_holder())

    with pytest.raises(LeaseLostError):
        new_care().measure_canary()

    assert series.newest(CHIP, "canary", 9) == []


def test_a_night_has_one_calibration_however_often_the_worker_starts(
    new_care: _Cares, jobs: JobStore
) -> None:
    for _ in range(3):
        care = new_care(night=MIDNIGHT)
        for _ in range(2):
            care.see_to_calibration()

    assert len(_asked_for(jobs)) == 1


def test_a_worker_wants_a_turn_until_the_nightly_calibration_is_asked_for(new_care: _Cares) -> None:
    care = new_care(night=MIDNIGHT)
    care.measure_canary()
    before = care.is_due

    care.see_to_calibration()

    assert (before, care.is_due) == (True, False)


@pytest.mark.parametrize("night", [None, LAST_MOMENT])
def test_there_is_no_calibration_before_its_time(
    new_care: _Cares, jobs: JobStore, night: time | None
) -> None:
    new_care(night=night).see_to_calibration()

    assert _asked_for(jobs) == []


def test_a_fresh_calibration_need_not_be_repeated_at_night(
    new_care: _Cares, chip: ScriptedSession, jobs: JobStore
) -> None:
    chip.age_s = 3600.0

    new_care(night=MIDNIGHT).see_to_calibration()

    assert _asked_for(jobs) == []


def test_care_is_never_refused_for_a_full_queue(
    new_care: _Cares, jobs: JobStore, connection: Connection
) -> None:
    connection.client.sadd("hx:jobs:long", *[f"job-{n}" for n in range(2000)])

    new_care(night=MIDNIGHT).see_to_calibration()

    assert [job.state for job in _asked_for(jobs)] == [JobState.QUEUED]


def test_the_pattern_of_a_chip_is_shown_after_its_calibration(
    new_care: _Cares, chip: ScriptedSession, series: SeriesStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    care = new_care()
    care.show_pattern()
    unknown = series.pattern(CHIP)
    pattern = Pattern((1.0,) * 512, (0.5,) * 512)
    monkeypatch.setattr(ScriptedSession, "pattern", pattern)

    care.after_calibration()

    shown = series.pattern(CHIP)
    assert unknown is None
    assert shown is not None
    assert (shown["before_lsb"], shown["after_lsb"]) == ([1.0] * 512, [0.5] * 512)
    assert shown["calibrated_at"] == (chip.calibration or {}).get("made_at")

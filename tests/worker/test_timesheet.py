"""A worker's time: every second counts once."""

import pytest

from worker.timesheet import Timesheet


def test_what_is_done_inside_something_else_counts_for_itself_alone() -> None:
    now = 0.0
    sheet = Timesheet(lambda: now)

    now = 1.0
    with sheet.doing("choosing"):
        now = 3.0
        with sheet.doing("chip"):
            now = 8.0
        now = 9.5
    now = 10.0
    with sheet.doing("idle"):
        pass

    assert sheet.spent_s() == {"between_turns": 1.5, "choosing": 3.5, "chip": 5.0, "idle": 0.0}


def test_what_fails_is_counted_too() -> None:
    now = 0.0
    sheet = Timesheet(lambda: now)

    def fail() -> None:
        nonlocal now
        with sheet.doing("chip"):
            now = 2.0
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    now = 3.0
    with sheet.doing("care"):
        pass

    assert sheet.spent_s()["chip"] == 2.0
    assert sheet.spent_s()["between_turns"] == 1.0

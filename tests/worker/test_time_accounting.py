"""A worker's time: every second counts once."""

import pytest

from worker.time_accounting import TimeAccount


def test_what_is_done_inside_something_else_counts_for_itself_alone() -> None:
    now = 0.0
    account = TimeAccount(lambda: now)

    now = 1.0
    with account.doing("choosing"):
        now = 3.0
        with account.doing("chip"):
            now = 8.0
        now = 9.5
    now = 10.0
    with account.doing("idle"):
        pass

    assert account.spent_s() == {"between_turns": 1.5, "choosing": 3.5, "chip": 5.0, "idle": 0.0}


def test_what_fails_is_counted_too() -> None:
    now = 0.0
    account = TimeAccount(lambda: now)

    def fail() -> None:
        nonlocal now
        with account.doing("chip"):
            now = 2.0
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    now = 3.0
    with account.doing("care"):
        pass

    assert account.spent_s()["chip"] == 2.0
    assert account.spent_s()["between_turns"] == 1.0

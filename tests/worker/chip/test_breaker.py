"""The breaker: pauses grow while tries fail, and one success ends them."""

from worker.chip.breaker import Breaker


class Clock:
    """A clock set by hand, in seconds."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        """The time that was set."""
        return self.now_s


def _breaker(clock: Clock) -> Breaker:
    return Breaker(first_pause_s=2.0, longest_pause_s=7.0, clock=clock)


def test_a_new_breaker_is_closed() -> None:
    breaker = _breaker(Clock())

    assert breaker.is_closed
    assert breaker.wait_s == 0


def test_a_failure_opens_it_for_the_first_pause() -> None:
    clock = Clock()
    breaker = _breaker(clock)

    breaker.note_failure()

    assert not breaker.is_closed
    assert breaker.wait_s == 2
    clock.now_s += 1.5
    assert breaker.wait_s == 0.5


def test_after_the_pause_a_try_is_allowed_but_it_stays_open() -> None:
    clock = Clock()
    breaker = _breaker(clock)
    breaker.note_failure()

    clock.now_s += 2.0

    assert breaker.wait_s == 0
    assert not breaker.is_closed


def test_pauses_double_up_to_the_longest() -> None:
    breaker = _breaker(Clock())
    pauses = []

    for _ in range(4):
        breaker.note_failure()
        pauses.append(breaker.wait_s)

    assert pauses == [2, 4, 7, 7]


def test_a_success_closes_it_and_the_next_failure_starts_small() -> None:
    breaker = _breaker(Clock())
    breaker.note_failure()
    breaker.note_failure()

    breaker.note_success()

    assert breaker.is_closed
    breaker.note_failure()
    assert breaker.wait_s == 2

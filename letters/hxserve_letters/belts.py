"""Belts: when each letter passes the camera of its machine."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """How machines sort.

    Attributes:
        machines: how many.
        rate: letters per hour and machine; None for as fast as letters are decided on.
        deadline_s: from the camera to the sorter's gate; None when nothing moves.
        buffer: letters per machine between camera and gate.
    """

    machines: int
    rate: float | None
    deadline_s: float | None
    buffer: int


class Belts:
    """The clockwork of all machines: letter k is machine k modulo their number's, one after the other, evenly spaced.

    Belts slow down, and lose no letter, when the buffer is full or the next letter is not drawn yet.

    Attributes:
        stalled_s: how long the belts stood because the buffer was full.
        starved_s: how long because a letter was not drawn yet, which is this simulation's own fault.
    """

    def __init__(
        self,
        pace: Pace,
        *,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._gap_s = 3600.0 / pace.rate / pace.machines if pace.rate else 0.0
        self._room = threading.Semaphore(pace.machines * pace.buffer)
        self._now = now
        self._sleep = sleep
        self._drawn = threading.Condition()
        self._drawn_numbers: set[int] = set()
        self._stopped = False
        self.stalled_s = 0.0
        self.starved_s = 0.0

    def run(self, letters: int, pass_camera: Callable[[int, float], None]) -> None:
        """Lets all letters pass the cameras; `pass_camera` is given the letter and the moment."""
        due = self._now()
        for number in range(letters):
            self._sleep(max(due - self._now(), 0.0))
            came_at = self._now()
            self._await_drawn(number)
            starved_s = self._now() - came_at
            self._room.acquire()
            stalled_s = self._now() - came_at - starved_s
            if self._stopped:
                return
            if self._gap_s:
                self.starved_s += starved_s
                self.stalled_s += stalled_s
            due += starved_s + stalled_s
            pass_camera(number, self._now())
            due += self._gap_s

    def drawn(self, number: int) -> None:
        """A letter can pass now."""
        with self._drawn:
            self._drawn_numbers.add(number)
            self._drawn.notify()

    def await_drawn(self, letters: int) -> None:
        """Returns when so many letters can pass, so that the belts start with a store."""
        with self._drawn:
            self._drawn.wait_for(lambda: len(self._drawn_numbers) >= letters or self._stopped)

    def left(self) -> None:
        """A letter was decided on, and makes room."""
        self._room.release()

    def stop(self) -> None:
        """Lets no further letter pass."""
        self._stopped = True
        with self._drawn:
            self._drawn.notify()
        self._room.release()

    def _await_drawn(self, number: int) -> None:
        with self._drawn:
            self._drawn.wait_for(lambda: number in self._drawn_numbers or self._stopped)
            self._drawn_numbers.discard(number)

"""Belts: when each letter passes the camera of its machine."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """Speed and limits of the machines.

    Attributes:
        machines: their number.
        rate: letters per hour and machine; None for as fast as letters are decided on.
        deadline_s: from the camera to the sorter's gate; None when nothing moves.
        buffer: letters per machine between camera and gate.
    """

    machines: int
    rate: float | None
    deadline_s: float | None
    buffer: int


class Belts:
    """The schedule of all machines: letter k passes machine k modulo their number, evenly spaced.

    Belts slow down, without losing a letter, while the buffer is full or the next letter is not drawn yet.

    Attributes:
        stalled_s: time during which the buffer was full.
        starved_s: time during which a letter was not drawn yet, a limit of this simulation.
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
        """Pass all letters under the cameras; call `pass_camera` with each letter and its time."""
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
        """Mark a letter as drawn: it may pass now."""
        with self._drawn:
            self._drawn_numbers.add(number)
            self._drawn.notify()

    def await_drawn(self, letters: int) -> None:
        """Wait until `letters` letters are drawn, so that the belts start with a stock."""
        with self._drawn:
            self._drawn.wait_for(lambda: len(self._drawn_numbers) >= letters or self._stopped)

    def left(self) -> None:
        """Free the place of a letter that was decided on."""
        self._room.release()

    def stop(self) -> None:
        """Stop the belts."""
        self._stopped = True
        with self._drawn:
            self._drawn.notify()
        self._room.release()

    def _await_drawn(self, number: int) -> None:
        with self._drawn:
            self._drawn.wait_for(lambda: number in self._drawn_numbers or self._stopped)
            self._drawn_numbers.discard(number)

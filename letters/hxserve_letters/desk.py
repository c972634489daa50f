"""The desk: letters that were seen wait here, are read, looked at again when in doubt, and decided on."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final

import numpy as np

from hxserve_letters.decisions import Decision
from hxserve_letters.directory import Directory
from hxserve_letters.eyes import Sight
from hxserve_letters.seen import Seen
from hxserve_letters.sending import Sender

_TIME_FOR_LOOK: Final = 0.5
"""Share of the deadline after which there is no time for a second look."""


class Desk:
    """Reads letters in requests of many crops; `work` runs in as many threads as there shall be requests at a time.

    The number of letters inside is bounded by who puts them in: `on_decision` says when one has left.
    """

    def __init__(
        self,
        sender: Sender,
        directory: Directory,
        *,
        threshold: float,
        deadline_s: float | None,
        crops_per_request: int,
        on_decision: Callable[[Decision], None],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sender = sender
        self._directory = directory
        self._threshold = threshold
        self._deadline_s = deadline_s
        self._crops_per_request = crops_per_request
        self._on_decision = on_decision
        self._now = now
        self._changed = threading.Condition()
        self._waiting: deque[Seen] = deque()
        self._is_open = True

    def put(self, sight: Sight, machine: int, passed_at: float) -> None:
        """Takes a letter that a camera has seen."""
        seen = Seen(sight, machine, passed_at)
        if sight.cuts is None:
            self._decide(seen)
            return
        with self._changed:
            self._waiting.append(seen)
            self._changed.notify()

    def close(self) -> None:
        """Lets the workers end when nothing waits any more."""
        with self._changed:
            self._is_open = False
            self._changed.notify_all()

    def abandon(self) -> None:
        """Forgets the letters that wait, because they cannot be read any more."""
        with self._changed:
            self._waiting.clear()
        self.close()

    def work(self) -> None:
        """Reads letters until the desk is closed.

        Raises:
            ClientError: the service does not answer, or refuses for good.
        """
        while batch := self._take():
            self._read(batch)

    def _take(self) -> list[Seen]:
        """Letters for one request; none when the desk is closed."""
        with self._changed:
            while not self._waiting and self._is_open:
                self._changed.wait()
            batch: list[Seen] = []
            crops = 0
            while self._waiting:
                crops += len(self._waiting[0].crops())
                if batch and crops > self._crops_per_request:
                    break
                batch.append(self._waiting.popleft())
            return batch

    def _read(self, batch: list[Seen]) -> None:
        crops = [seen.crops() for seen in batch]
        scores, scale = self._sender.read(np.concatenate(crops))
        ends = np.cumsum([len(part) for part in crops])
        for seen, part in zip(batch, np.split(scores, ends[:-1]), strict=True):
            seen.understand(part, scale, self._directory)
            if seen.wants_second_look and self._has_time(seen):
                with self._changed:
                    # Before the others: it has waited longest.
                    self._waiting.appendleft(seen)
                    self._changed.notify()
            else:
                self._decide(seen)

    def _has_time(self, seen: Seen) -> bool:
        return self._deadline_s is None or self._now() - seen.passed_at < _TIME_FOR_LOOK * self._deadline_s

    def _decide(self, seen: Seen) -> None:
        latency_s = self._now() - seen.passed_at
        is_late = self._deadline_s is not None and latency_s > self._deadline_s
        self._on_decision(seen.decide(self._threshold, latency_s, is_late=is_late))

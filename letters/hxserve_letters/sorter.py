"""The sorter: a queue of scanned letters, which it has read, reads again when in doubt, and decides on."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import numpy as np

from hxserve.errors import ClientError
from hxserve_letters.camera_pool import Scan
from hxserve_letters.decisions import Decision
from hxserve_letters.directory import Directory
from hxserve_letters.letter_state import LetterState
from hxserve_letters.sending import Sender

_TIME_FOR_LOOK: Final = 0.5
"""Share of the deadline after which there is no time for a second look."""


class Sorter:
    """Reads letters in requests of many crops; `work` runs in one thread per concurrent request.

    The caller of `put` bounds the number of letters inside; `on_decision` reports each that leaves.
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
        self._waiting: deque[LetterState] = deque()
        self._is_open = True

    def put(self, scan: Scan, machine: int, passed_at: float) -> None:
        """Queue a scanned letter."""
        letter = LetterState(scan, machine, passed_at)
        if scan.cuts is None:
            self._decide(letter)
            return
        with self._changed:
            self._waiting.append(letter)
            self._changed.notify()

    def close(self) -> None:
        """Let the threads end once no letter waits."""
        with self._changed:
            self._is_open = False
            self._changed.notify_all()

    def abandon(self) -> None:
        """Drop all waiting letters and close."""
        with self._changed:
            self._waiting.clear()
        self.close()

    def work(self) -> None:
        """Read letters until the sorter is closed.

        Raises:
            ClientError: the service does not answer, or refuses for good.
        """
        while batch := self._take():
            self._read(batch)

    def _take(self) -> list[LetterState]:
        """Take letters for one request; none when the sorter is closed."""
        with self._changed:
            while not self._waiting and self._is_open:
                self._changed.wait()
            batch: list[LetterState] = []
            crops = 0
            while self._waiting:
                crops += len(self._waiting[0].crops())
                if batch and crops > self._crops_per_request:
                    break
                batch.append(self._waiting.popleft())
            return batch

    def _read(self, batch: list[LetterState]) -> None:
        crops = [letter.crops() for letter in batch]
        scores, scale = self._sender.read(np.concatenate(crops))
        ends = np.cumsum([len(part) for part in crops])
        for letter, part in zip(batch, np.split(scores, ends[:-1]), strict=True):
            letter.understand(part, scale, self._directory)
            if letter.wants_second_look and self._has_time(letter):
                with self._changed:
                    # Before the others: it has waited longest.
                    self._waiting.appendleft(letter)
                    self._changed.notify()
            else:
                self._decide(letter)

    def _has_time(self, letter: LetterState) -> bool:
        return self._deadline_s is None or self._now() - letter.passed_at < _TIME_FOR_LOOK * self._deadline_s

    def _decide(self, letter: LetterState) -> None:
        latency_s = self._now() - letter.passed_at
        is_late = self._deadline_s is not None and latency_s > self._deadline_s
        self._on_decision(letter.decide(self._threshold, latency_s, is_late=is_late))


class SorterFailedError(ClientError):
    """An unforeseen error stopped the sorter; the traceback above names it."""

    code = "desk_failed"


@contextmanager
def working(sorter: Sorter, threads: int, failed: Callable[[ClientError], None]) -> Iterator[None]:
    """Run the threads of a sorter until it is closed and empty."""

    def work() -> None:
        failure: ClientError | None = SorterFailedError()
        try:
            sorter.work()
            failure = None
        except ClientError as error:
            failure = error
        finally:
            # Also after an unforeseen error: the main thread waits for the last letter.
            if failure is not None:
                sorter.abandon()
                failed(failure)

    workers = [threading.Thread(target=work, daemon=True) for _ in range(threads)]
    for worker in workers:
        worker.start()
    try:
        yield
    finally:
        sorter.close()
        for worker in workers:
            worker.join()

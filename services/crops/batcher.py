"""The batcher: sends requests to Redis in groups. Requests that arrive while a group is sent form the next one.

Requests of a group for the same lane share one entry of it, so that Redis and the worker handle one for all of them.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import count
from typing import Final

from services.chips.wakeups import WakeUp, wake_all
from services.crops.answers import Answer
from services.crops.lanes import PART_CROPS
from services.crops.listener import Listener
from services.crops.requests import JobReference, PendingAnswer
from services.crops.statistics import Statistics
from services.crops.store import Acceptance, CropStore
from services.errors import HxserveError, QueueFullError, QuotaExceededError

_MOST_REQUESTS: Final = 64
_MOST_CROPS: Final = 4096
"""Of one group, so that no script holds Redis up for long; a larger request is a group of its own."""
_HOLD_S: Final = 0.01
"""The longest that a group waits for others to join it, after the group before it was sent."""
_RETURN_S: Final = 0.001
"""The time in which clients that have been answered send their next requests."""
_log = logging.getLogger(__name__)


class _Batch:
    """Requests that are accepted as one: one with its own record, or several that share an entry."""

    __slots__ = ("_on_end", "_statistics", "count", "id", "requests")

    def __init__(
        self,
        batch_id: str,
        requests: list[PendingAnswer],
        statistics: Statistics,
        on_end: Callable[["_Batch"], None],
    ) -> None:
        self.id = batch_id
        self.requests = requests
        self.count = 0
        """The number of crops."""
        self._statistics = statistics
        self._on_end = on_end
        for pending in requests:
            pending.span.first = self.count
            self.count += pending.count

    def put(self, part: int, answer: bytes) -> bool:
        """Give each request its answers; return whether these were the last."""
        first, unpacked = self.requests[0], Answer.unpack(answer)
        if len(self.requests) > 1:
            self._note([unpacked])
            for pending in self.requests:
                pending.put(part, unpacked.cut(pending.span))
        elif first.put(part, unpacked):
            self._note(first.answers)
        else:
            return False
        self._on_end(self)
        return True

    def end_with(self, outcome: HxserveError | JobReference) -> None:
        """End the wait of each request with a refusal, or with the job that will have the answer."""
        if isinstance(outcome, HxserveError):
            self._note([])
        for pending in self.requests:
            pending.end_with(outcome)
        self._on_end(self)

    def _note(self, answers: list[Answer]) -> None:
        """Record the requests as answered, or as failed if there is no answer or one is a problem."""
        first, statistics = self.requests[0], self._statistics
        lane, total_s = first.lane, time.monotonic() - first.started
        if not answers or any(answer.problem for answer in answers):
            statistics.note_failure(lane.model, lane.version, total_s, len(self.requests))
        else:
            statistics.note_answers(lane.model, lane.version, answers, total_s, len(self.requests))

    def acceptance(self) -> Acceptance:
        """Return the batch in the form that the store accepts."""
        first = self.requests[0]
        if len(self.requests) == 1:
            parts: Sequence[tuple[int, bytes]] = list(first.request.parts())
        else:
            crops = b"".join(pending.request.crops for pending in self.requests)
            parts = [(self.count, crops)]
        trace = b"".join(pending.request.trace for pending in self.requests)
        return Acceptance(self.id, first.lane, parts, first.request, first.job, trace)


class Batcher:
    """Sends all crops of this process to Redis, from a thread of its own."""

    def __init__(self, crops: CropStore, listener: Listener, wake_up: WakeUp, statistics: Statistics) -> None:
        self._crops = crops
        self._statistics = statistics
        self._listener = listener
        self._wake_up = wake_up
        self._numbers = count(1)
        self._queue: deque[PendingAnswer] = deque()
        self._something_waits = threading.Event()
        self._in_flight: dict[_Batch, None] = {}
        """Batches whose answers are expected soon."""
        self._returning = 0
        """Crops of the batch that was answered last."""
        self._hold_until = 0.0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._send_all, name="batcher", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def stop(self) -> None:
        """End once everything is sent."""
        self._stopping.set()
        self._something_waits.set()

    def submit(self, pending: PendingAnswer) -> None:
        """Send a request soon; `pending` learns what becomes of it."""
        self._queue.append(pending)
        self._something_waits.set()

    def _send_all(self) -> None:
        while self._queue or not self._stopping.is_set():
            self._something_waits.wait()
            self._something_waits.clear()
            while self._queue:
                self._hold()
                refused = self._send(self._batches(self._next_group()))
                # What does not fit as a whole may fit in parts.
                self._send([self._batch([pending]) for batch in refused for pending in batch.requests])

    def _hold(self) -> None:
        """Wait while the requests that have come are few beside those on their way.

        The chip is busy with those, and takes hardly longer for many crops than for few. Clients fall into two groups
        of equal size so: the chip works for one while the other is answered and sends its next requests.
        """
        while (left_s := self._hold_until - time.monotonic()) > 0 and not self._stopping.is_set():
            # Copies, since other threads change both.
            wanted = sum(batch.count for batch in list(self._in_flight)) or self._returning / 2
            if sum(pending.count for pending in list(self._queue)) >= min(PART_CROPS, wanted):
                return
            self._something_waits.wait(left_s)
            self._something_waits.clear()
        self._in_flight.clear()

    def _note_end(self, batch: _Batch) -> None:
        if self._in_flight.pop(batch, batch) is None and not self._in_flight:
            self._returning, self._hold_until = batch.count, time.monotonic() + _RETURN_S
            self._something_waits.set()

    def _next_group(self) -> list[PendingAnswer]:
        group: list[PendingAnswer] = []
        crops = 0
        while self._queue and len(group) < _MOST_REQUESTS:
            crops += self._queue[0].count
            if group and crops > _MOST_CROPS:
                break
            group.append(self._queue.popleft())
        return group

    def _batches(self, group: Iterable[PendingAnswer]) -> list[_Batch]:
        """Group requests that may share an entry: crops of one lane, read equally often, at any time."""
        batches: list[list[PendingAnswer]] = []
        open_batches: dict[object, tuple[list[PendingAnswer], int]] = {}
        for pending in group:
            request = pending.request
            if pending.job is not None or request.deadline_s or request.extras:
                batches.append([pending])
                continue
            key = (pending.lane, request.repeats, request.user.quotas)
            batch, crops = open_batches.get(key, (None, 0))
            if batch is None or crops + pending.count > PART_CROPS:
                batch, crops = [], 0
                batches.append(batch)
            batch.append(pending)
            open_batches[key] = batch, crops + pending.count
        return [self._batch(batch) for batch in batches]

    def _batch(self, requests: list[PendingAnswer]) -> _Batch:
        job = requests[0].job
        batch_id = job.id if job else f"{self._listener.reply_to}-{next(self._numbers)}"
        return _Batch(batch_id, requests, self._statistics, self._note_end)

    def _send(self, batches: list[_Batch]) -> list[_Batch]:
        """Send batches in one step; return those of several requests that were refused as a whole."""
        if not batches:
            return []
        for batch in batches:
            self._listener.expect(batch.id, batch)
        self._in_flight |= dict.fromkeys(batches)
        self._hold_until = time.monotonic() + _HOLD_S
        try:
            asleep, outcomes = self._crops.accept(
                self._listener.reply_to, [batch.acceptance() for batch in batches]
            )
        except HxserveError as error:
            outcomes, asleep = [error] * len(batches), []
        refused = [
            batch
            for batch, outcome in zip(batches, outcomes, strict=True)
            if self._is_refused(batch, outcome)
        ]
        try:
            wake_all(self._wake_up, asleep)
        except HxserveError as error:
            # The worker's heartbeat finds work without a wake-up by itself.
            _log.warning("a chip was not woken: %s", error.message)
        return refused

    def _is_refused(self, batch: _Batch, outcome: str | JobReference | HxserveError) -> bool:
        """Tell the requests of a batch what became of it; return whether each is to be tried by itself."""
        if isinstance(outcome, str):
            for pending in batch.requests:
                pending.entry = outcome
                if pending.job is not None and pending.request.wait_s <= 0:
                    self._listener.forget(batch.id)
                    batch.end_with(JobReference(batch.id))
            return False
        self._listener.forget(batch.id)
        if len(batch.requests) > 1 and isinstance(outcome, QueueFullError | QuotaExceededError):
            self._in_flight.pop(batch, None)
            return True
        batch.end_with(outcome)
        return False

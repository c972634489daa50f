"""Subscriptions to jobs: each change is read once, however many subscribers a job has.

A change of state wakes all subscribers at once. Progress alone wakes a limited number per second: a few subscribers see
every step, hundreds see fewer, and always the newest.
"""

import json
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Self

from services.crops.listener import Listener
from services.errors import HxserveError, JobNotFoundError
from services.jobs.record import Job
from services.jobs.store import JobStore

_TOLD_AT_ONCE: Final = 10
_PAUSE_S: Final = 0.05
_LINGER_S: Final = 5.0
"""The time for which a job is followed after its last subscription: a polling client subscribes again."""
_KEPT_EVENTS: Final = 64
_AWAY_S: Final = 0.2
_PROGRESS: Final = "progress"


@dataclass(frozen=True, slots=True)
class JobEvent:
    """An event of a job: its id in the job's stream, its type, and its JSON object with the Unix time in it."""

    id: str
    type: str
    data: bytes

    @classmethod
    def of(cls, event_id: str, at: bytes, event: bytes) -> Self:
        """Decode a stored event: a time, and a JSON object that is not empty."""
        return cls(event_id, _type_of(event), b'{"at":' + at + b"," + event[1:])


@lru_cache(maxsize=2048)
def _type_of(event: bytes) -> str:
    return str(json.loads(event)["type"])


class _FollowedJob:
    """A job with subscribers, as last read; the listener calls `set` when it has changed."""

    def __init__(self, job_id: str, subscriptions: "Subscriptions") -> None:
        self.job_id = job_id
        self.lock = threading.Lock()
        self.subscribers: set[Subscription] = set()
        self.left_at = time.monotonic()
        self.job: Job | None = None
        self.is_gone = False
        self.newest = "0"
        self.oldest = "0"
        """All events after this one are in `events`, except obsolete progress."""
        self.events: deque[JobEvent] = deque()
        self._subscriptions = subscriptions

    def set(self) -> None:
        """Schedule another read of the job."""
        self._subscriptions.look_at(self)

    def take(self, job: Job, events: Sequence[JobEvent]) -> bool:
        """Apply a read; return whether it has more than progress."""
        is_urgent = self.job is None or job.state is not self.job.state
        for event in events:
            is_urgent |= event.type != _PROGRESS
            if event.type == _PROGRESS and self.events and self.events[-1].type == _PROGRESS:
                self.events.pop()
            self.events.append(event)
            self.newest = event.id
        while len(self.events) > _KEPT_EVENTS:
            self.oldest = self.events.popleft().id
        # Last, so that a reader of the final state finds the event of that too.
        self.job = job
        return is_urgent


class Subscription:
    """A subscription to one job."""

    def __init__(self, followed: _FollowedJob) -> None:
        self._followed = followed
        self._told = threading.Event()

    @property
    def job(self) -> Job:
        """The job as last read by this process."""
        assert self._followed.job is not None, "a job is read before it is followed"
        return self._followed.job

    def events(self, after: str) -> list[JobEvent] | None:
        """Return the events after this one without obsolete progress; None if older ones are not in memory."""
        if _place(after) < _place(self._followed.oldest):
            return None
        return [one for one in list(self._followed.events) if _place(one.id) > _place(after)]

    @property
    def is_gone(self) -> bool:
        """Whether the record has expired."""
        return self._followed.is_gone

    def tell(self) -> None:
        """Wake the subscriber."""
        self._told.set()

    def wait(self, timeout_s: float) -> bool:
        """Wait for a change; return whether there was one."""
        told = self._told.wait(timeout_s)
        self._told.clear()
        return told


class Subscriptions:
    """Follows the jobs with subscriptions; `start` it, and `stop` it."""

    def __init__(self, jobs: JobStore, listener: Listener) -> None:
        self._jobs = jobs
        self._listener = listener
        self._followed: dict[str, _FollowedJob] = {}
        self._lock = threading.Lock()
        self._changed: dict[_FollowedJob, None] = {}
        self._untold: dict[Subscription, None] = {}
        self._something = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="subscriptions", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread."""
        self._stopping.set()
        self._something.set()
        if self._thread.ident is not None:
            self._thread.join()

    @contextmanager
    def subscribe(self, job_id: str) -> Iterator[Subscription]:
        """Subscribe to a job, which is read first unless it has other subscribers.

        Raises:
            JobNotFoundError: there is no such job.
        """
        with self._lock:
            followed = self._followed.get(job_id)
            if followed is None:
                followed = self._followed[job_id] = _FollowedJob(job_id, self)
                self._listener.subscribe(job_id, followed)
            subscription = Subscription(followed)
            followed.subscribers.add(subscription)
        try:
            with followed.lock:
                if followed.job is None:
                    job, followed.newest = self._jobs.get_with_place(job_id)
                    followed.oldest = followed.newest
                    followed.take(job, [])
            yield subscription
        finally:
            with self._lock:
                self._untold.pop(subscription, None)
                followed.subscribers.discard(subscription)
                followed.left_at = time.monotonic()
                if not followed.subscribers and (followed.job is None or followed.is_gone):
                    self._forget(followed)

    def peek(self, job_id: str) -> Job | None:
        """Return a job as last read if it has subscribers, else None."""
        followed = self._followed.get(job_id)
        return followed.job if followed and not followed.is_gone else None

    def history(self, job_id: str, after: str) -> list[JobEvent]:
        """Return all events after this one from the store; none for a job that is gone."""
        try:
            _, events = self._jobs.get_with_events(job_id, after=after)
        except JobNotFoundError:
            return []
        return [JobEvent.of(*event) for event in events]

    def look_at(self, followed: _FollowedJob) -> None:
        """Schedule another read of a job."""
        self._changed[followed] = None
        self._something.set()

    def _follow(self) -> None:
        while not self._stopping.is_set():
            self._something.wait(_LINGER_S)
            self._something.clear()
            for followed in list(self._changed):
                self._changed.pop(followed, None)
                self._read(followed)
            self._tell_some()
            self._forget_unsubscribed()

    def _read(self, followed: _FollowedJob) -> None:
        is_urgent = self._listener.is_stopping
        with followed.lock:
            if followed.job is not None and not is_urgent:
                try:
                    job, events = self._jobs.get_with_events(followed.job_id, after=followed.newest)
                except JobNotFoundError:
                    is_urgent = followed.is_gone = True
                except HxserveError:  # Redis is away: subscribers wait until it is back
                    self._stopping.wait(_AWAY_S)
                    self.look_at(followed)
                    return
                else:
                    is_urgent = followed.take(job, [JobEvent.of(*event) for event in events])
        with self._lock:
            subscribers = list(followed.subscribers)
            if not is_urgent:
                self._untold.update(dict.fromkeys(subscribers))
                return
            for subscription in subscribers:
                self._untold.pop(subscription, None)
        for subscription in subscribers:
            subscription.tell()

    def _tell_some(self) -> None:
        with self._lock:
            some = list(self._untold)[:_TOLD_AT_ONCE]
            for subscription in some:
                del self._untold[subscription]
            are_left = bool(self._untold)
        for subscription in some:
            subscription.tell()
        if are_left:
            self._stopping.wait(_PAUSE_S)
            self._something.set()

    def _forget_unsubscribed(self) -> None:
        before = time.monotonic() - _LINGER_S
        with self._lock:
            for followed in list(self._followed.values()):
                if not followed.subscribers and followed.left_at < before:
                    self._forget(followed)

    def _forget(self, followed: _FollowedJob) -> None:
        if self._followed.get(followed.job_id) is followed:
            del self._followed[followed.job_id]
        self._listener.unsubscribe(followed.job_id, followed)


def _place(event_id: str) -> tuple[int, int]:
    milliseconds, _, number = event_id.partition("-")
    return int(milliseconds), int(number or 0)

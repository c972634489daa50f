"""Telling many who watch jobs what happens to them: each change is read once, however many watch.

What is more than progress is told to all at once. Progress is told to one after the other, so many each second and no
more: with a few watchers every one hears all of it, hundreds hear of it less often, and always the newest.
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
"""How long a job is followed after its last watcher: who polls comes back."""
_KEPT_EVENTS: Final = 64
_AWAY_S: Final = 0.2
_PROGRESS: Final = "progress"


@dataclass(frozen=True, slots=True)
class Happening:
    """An event of a job: its id in the job's stream, its type, and its JSON object with the Unix time in it."""

    id: str
    type: str
    data: bytes

    @classmethod
    def of(cls, event_id: str, at: bytes, event: bytes) -> Self:
        """The event as it is stored: a time, and a JSON object that is not empty."""
        return cls(event_id, _type_of(event), b'{"at":' + at + b"," + event[1:])


@lru_cache(maxsize=2048)
def _type_of(event: bytes) -> str:
    return str(json.loads(event)["type"])


class _Followed:
    """A job that somebody watches, as it was read last; `set` is called by the listener when it has changed."""

    def __init__(self, job_id: str, watches: "Watches") -> None:
        self.job_id = job_id
        self.lock = threading.Lock()
        self.watchers: set[Watch] = set()
        self.left_at = time.monotonic()
        self.job: Job | None = None
        self.is_gone = False
        self.newest = "0"
        self.oldest = "0"
        """All events after this one are in `happenings`, but progress that others made obsolete."""
        self.happenings: deque[Happening] = deque()
        self._watches = watches

    def set(self) -> None:
        """Has it read again."""
        self._watches.look_at(self)

    def take(self, job: Job, happenings: Sequence[Happening]) -> bool:
        """Takes over what was read; says whether there is more in it than progress."""
        is_urgent = self.job is None or job.state is not self.job.state
        for happening in happenings:
            is_urgent |= happening.type != _PROGRESS
            if happening.type == _PROGRESS and self.happenings and self.happenings[-1].type == _PROGRESS:
                self.happenings.pop()
            self.happenings.append(happening)
            self.newest = happening.id
        while len(self.happenings) > _KEPT_EVENTS:
            self.oldest = self.happenings.popleft().id
        # Last, so that who sees the job in its final state sees the event of that too.
        self.job = job
        return is_urgent


class Watch:
    """One look at a job."""

    def __init__(self, followed: _Followed) -> None:
        self._followed = followed
        self._told = threading.Event()

    @property
    def job(self) -> Job:
        """The job as it was read last, in this process, for all."""
        assert self._followed.job is not None, "a job is read before it is watched"
        return self._followed.job

    def happenings(self, after: str) -> list[Happening] | None:
        """Events after this one, without progress that is obsolete; None: it is too long ago to know here."""
        if _place(after) < _place(self._followed.oldest):
            return None
        return [one for one in list(self._followed.happenings) if _place(one.id) > _place(after)]

    @property
    def is_gone(self) -> bool:
        """Whether the record has expired meanwhile."""
        return self._followed.is_gone

    def tell(self) -> None:
        """Ends the wait."""
        self._told.set()

    def wait(self, timeout_s: float) -> bool:
        """Waits until there is something new; says whether there is."""
        told = self._told.wait(timeout_s)
        self._told.clear()
        return told


class Watches:
    """Follows the jobs that are watched; `start` it, and `stop` it."""

    def __init__(self, jobs: JobStore, listener: Listener) -> None:
        self._jobs = jobs
        self._listener = listener
        self._followed: dict[str, _Followed] = {}
        self._lock = threading.Lock()
        self._changed: dict[_Followed, None] = {}
        self._untold: dict[Watch, None] = {}
        self._something = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="watches", daemon=True)

    def start(self) -> None:
        """Begins to follow."""
        self._thread.start()

    def stop(self) -> None:
        """Ends following."""
        self._stopping.set()
        self._something.set()
        if self._thread.ident is not None:
            self._thread.join()

    @contextmanager
    def watching(self, job_id: str) -> Iterator[Watch]:
        """A look at a job, which is read anew if nobody watches it yet.

        Raises:
            JobNotFoundError: there is no such job.
        """
        with self._lock:
            followed = self._followed.get(job_id)
            if followed is None:
                followed = self._followed[job_id] = _Followed(job_id, self)
                self._listener.add_watcher(job_id, followed)
            watch = Watch(followed)
            followed.watchers.add(watch)
        try:
            with followed.lock:
                if followed.job is None:
                    job, followed.newest = self._jobs.get_with_place(job_id)
                    followed.oldest = followed.newest
                    followed.take(job, [])
            yield watch
        finally:
            with self._lock:
                self._untold.pop(watch, None)
                followed.watchers.discard(watch)
                followed.left_at = time.monotonic()
                if not followed.watchers and (followed.job is None or followed.is_gone):
                    self._forget(followed)

    def peek(self, job_id: str) -> Job | None:
        """A job as it was read last, if somebody watches it."""
        followed = self._followed.get(job_id)
        return followed.job if followed and not followed.is_gone else None

    def history(self, job_id: str, after: str) -> list[Happening]:
        """All events after this one, from the store; none of a job that is gone."""
        try:
            _, events = self._jobs.get_with_events(job_id, after=after)
        except JobNotFoundError:
            return []
        return [Happening.of(*event) for event in events]

    def look_at(self, followed: _Followed) -> None:
        """Has a job read again."""
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
            self._forget_unwatched()

    def _read(self, followed: _Followed) -> None:
        is_urgent = self._listener.is_stopping
        with followed.lock:
            if followed.job is not None and not is_urgent:
                try:
                    job, events = self._jobs.get_with_events(followed.job_id, after=followed.newest)
                except JobNotFoundError:
                    is_urgent = followed.is_gone = True
                except HxserveError:  # Redis is away: who waits goes on waiting until it is back
                    self._stopping.wait(_AWAY_S)
                    self.look_at(followed)
                    return
                else:
                    is_urgent = followed.take(job, [Happening.of(*event) for event in events])
        with self._lock:
            watchers = list(followed.watchers)
            if not is_urgent:
                self._untold.update(dict.fromkeys(watchers))
                return
            for watch in watchers:
                self._untold.pop(watch, None)
        for watch in watchers:
            watch.tell()

    def _tell_some(self) -> None:
        with self._lock:
            some = list(self._untold)[:_TOLD_AT_ONCE]
            for watch in some:
                del self._untold[watch]
            are_left = bool(self._untold)
        for watch in some:
            watch.tell()
        if are_left:
            self._stopping.wait(_PAUSE_S)
            self._something.set()

    def _forget_unwatched(self) -> None:
        before = time.monotonic() - _LINGER_S
        with self._lock:
            for followed in list(self._followed.values()):
                if not followed.watchers and followed.left_at < before:
                    self._forget(followed)

    def _forget(self, followed: _Followed) -> None:
        if self._followed.get(followed.job_id) is followed:
            del self._followed[followed.job_id]
        self._listener.drop_watcher(followed.job_id, followed)


def _place(event_id: str) -> tuple[int, int]:
    milliseconds, _, number = event_id.partition("-")
    return int(milliseconds), int(number or 0)

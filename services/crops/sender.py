"""Sending crops to Redis in groups: what concurrent requests bring while one group is under way is the next.

Requests of a group that go to the same lane travel as one parcel, so that Redis and the worker handle one entry
for all of them.
"""

import logging
import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import accumulate, count
from typing import Final

from services.chips.wakeups import WakeUp, wake_all
from services.crops.answers import Answer
from services.crops.listener import Awaited, Listener, Place
from services.crops.parcels import PART_CROPS, Parcel, Span
from services.crops.store import CropStore
from services.errors import HxserveError

_GROUP: Final = 64
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Request:
    """One request's crops, and who waits for their answer."""

    parcel: Parcel
    reply: Awaited


class _Bundle:
    """Requests that travel as one parcel, under the id of the first."""

    def __init__(self, requests: list[_Request], listener: Listener) -> None:
        self.requests = requests
        self._listener = listener
        self.parcel = requests[0].parcel
        counts = [request.parcel.count for request in requests]
        ends = accumulate(counts)
        self._spans = [Span(end - count, count) for count, end in zip(counts, ends, strict=True)]
        if len(requests) > 1:
            crops = b"".join(request.parcel.crops for request in requests)
            self.parcel = replace(self.parcel, count=sum(counts), crops=crops)

    def put(self, part: int, answer: Answer) -> None:
        """Gives each request its part of the answer; a parcel is answered once."""
        self._listener.forget(self.parcel.id)
        for request, span in zip(self.requests, self._spans, strict=True):
            request.reply.put(part, answer.cut(span.first, span.count))

    def place_at(self, entry: str) -> None:
        """Tells each request where it waits."""
        for request, span in zip(self.requests, self._spans, strict=True):
            request.reply.place = Place(entry, span)

    def refuse(self, refusal: HxserveError) -> None:
        """Ends the wait of all."""
        self._listener.forget(self.parcel.id)
        for request in self.requests:
            request.reply.refuse(refusal)


class CropSender:
    """The one place where a process sends requests of one part; `start` it, and `stop` it."""

    def __init__(self, crops: CropStore, listener: Listener, wake_up: WakeUp) -> None:
        self._crops = crops
        self._listener = listener
        self._wake_up = wake_up
        self._numbers = count(1)
        self._waiting: deque[_Request] = deque()
        self._something_waits = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._send_all, name="sender", daemon=True)

    def start(self) -> None:
        """Begins to send."""
        self._thread.start()

    def stop(self) -> None:
        """Ends when everything is sent."""
        self._stopping.set()
        self._something_waits.set()

    def new_id(self) -> str:
        """An id for a parcel, as no other process gives."""
        return f"{self._listener.reply_to}-{next(self._numbers)}"

    def send(self, parcel: Parcel, reply: Awaited) -> None:
        """Sends a request soon; `reply` learns where it was put, or why not, and its answer."""
        self._waiting.append(_Request(parcel, reply))
        self._something_waits.set()

    def _send_all(self) -> None:
        while self._waiting or not self._stopping.is_set():
            self._something_waits.wait()
            self._something_waits.clear()
            while self._waiting:
                group = [self._waiting.popleft() for _ in range(min(_GROUP, len(self._waiting)))]
                refused = self._send_group(self._bundles(group))
                # What does not fit as a whole may fit in parts.
                parts = [request for bundle in refused for request in bundle.requests]
                self._send_group([_Bundle([request], self._listener) for request in parts])

    def _send_group(self, group: list[_Bundle]) -> list[_Bundle]:
        """Sends bundles in one step; returns those of several requests that were refused as a whole."""
        if not group:
            return []
        for bundle in group:
            self._listener.expect(bundle.parcel.id, bundle)
        try:
            asleep, places = self._crops.accept_group(
                self._listener.reply_to, [bundle.parcel for bundle in group]
            )
        except HxserveError as error:
            for bundle in group:
                bundle.refuse(error)
            return []
        refused = []
        for bundle, place in zip(group, places, strict=True):
            if isinstance(place, str):
                bundle.place_at(place)
            elif len(bundle.requests) > 1:
                self._listener.forget(bundle.parcel.id)
                refused.append(bundle)
            else:
                bundle.refuse(place)
        try:
            wake_all(self._wake_up, asleep)
        except HxserveError as error:
            # The worker's presence thread finds work without a wake-up by itself.
            _log.warning("a chip was not woken: %s", error.message)
        return refused

    def _bundles(self, group: Iterable[_Request]) -> list[_Bundle]:
        """The requests of a group, together where they may be: crops of one lane, read equally often, at any time."""
        alike: dict[object, list[list[_Request]]] = {}
        for request in group:
            parcel = request.parcel
            key = parcel.id if parcel.deadline_at else (parcel.lane, parcel.repeats, parcel.quotas)
            bundles = alike.setdefault(key, [[]])
            if sum(other.parcel.count for other in bundles[-1]) + parcel.count > PART_CROPS:
                bundles.append([])
            bundles[-1].append(request)
        found = [requests for bundles in alike.values() for requests in bundles if requests]
        return [_Bundle(requests, self._listener) for requests in found]

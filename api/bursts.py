"""Requests with known heads that are read in one go: those with the same head travel and are answered together.

What is the same for all of them, which version their model means and how the answer came about, is found once. Who may
come in is asked for each, and each has its own answer.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from email.utils import formatdate
from functools import partial
from typing import Final

import orjson
from werkzeug.wrappers import Response

from api.bodies import check_raw
from api.crop_lane import CropLane
from api.protection import protect
from api.repeated import Call
from api.routes.classification import request_for
from services.crops.answers import Answer, read, read_each
from services.crops.listener import Place, Reply
from services.crops.parcels import PART_CROPS, Span
from services.crops.requests import Answered, Pending, Request, Sent, Way
from services.errors import HxserveError, QueueFullError, QuotaExceededError, RedisUnavailableError
from services.users.authentication import User

_MAY_FIT_ALONE: Final = (QueueFullError, QuotaExceededError)


class Asked:
    """A request under a known head: its crops, and what became of it."""

    __slots__ = ("_deliver", "began", "burst", "call", "crops", "error", "first", "is_left")

    def __init__(self, call: Call, crops: bytes, deliver: Callable[["Asked", bytes | None], None]) -> None:
        """Came just now.

        Args:
            call: what its head means.
            crops: its body, as long as the head says.
            deliver: is given the whole response; or None, if what is to be said may take a while. Must not wait.
        """
        self.call = call
        self.crops = crops
        self.began = time.monotonic()
        self.burst: _Burst | None = None
        self.first = 0
        """The place of its first crop in the burst."""
        self.error: Exception | None = None
        self.is_left = False
        """Whether it is answered by itself, as its client would not wait any longer."""
        self._deliver = deliver

    def deliver(self, response: bytes | None) -> None:
        """Gives the response to whoever waits for it."""
        self._deliver(self, response)

    def fail(self, error: Exception) -> None:
        """Ends the wait for what could not be sent or read."""
        self.error = error
        self._deliver(self, None)

    def is_late(self, now: float) -> bool:
        """Whether its client waits no longer; `now` is monotonic time."""
        return now >= self.began + self.call.query.wait


@dataclass(frozen=True, slots=True)
class _Burst:
    """Requests that were sent as one; `single` is what one of them asks for."""

    requests: Sequence[Asked]
    single: Request
    sent: Sent
    reply: Reply


class _Share:
    """What becomes of one request of a burst, for who waits for it alone."""

    def __init__(self, asked: Asked, burst: _Burst) -> None:
        self._asked = asked
        self._burst = burst

    @property
    def place(self) -> Place | None:
        """Where its crops wait."""
        whole = self._burst.reply.place
        if whole is None:
            return None
        return Place(whole.entry, Span(whole.span.first + self._asked.first, self._burst.single.count))

    def wait(self, timeout_s: float) -> list[Answer] | None:
        """Its answers, or None when they are not there in time.

        Raises:
            HxserveError: the request was refused.
        """
        try:
            whole = self._burst.reply.wait(timeout_s)
        except HxserveError:
            if self._asked.burst is self._burst or self._asked.burst is None:
                raise
            self._burst = self._asked.burst  # it was sent again, by itself
            return None
        if whole is None:
            return None
        return [answer.cut(self._asked.first, self._burst.single.count) for answer in whole]


class Bursts:
    """Sends requests with known heads to the chip, and makes their responses."""

    def __init__(self, lane: CropLane) -> None:
        self._lane = lane
        self._plain = _head_of(protect(Response(content_type="application/json")))
        self._dated_at = 0
        self._date = b""

    def ask(self, asked: Sequence[Asked]) -> None:
        """Sends what came in one go on its way."""
        alike: dict[Call, list[Asked]] = {}
        for one in asked:
            alike.setdefault(one.call, []).append(one)
        for call, requests in alike.items():
            admitted = [(one, user) for one in requests if (user := self._admit(one)) is not None]
            most = max(1, PART_CROPS // call.crops)
            for start in range(0, len(admitted), most):
                some = admitted[start : start + most]
                self._send([one for one, _ in some], some[0][1])

    def _admit(self, asked: Asked) -> User | None:
        try:
            return self._lane.door.user_with(asked.call.digest)
        except Exception as error:  # noqa: BLE001 Flask's handlers make of it what they make of every error
            asked.fail(error)
            return None

    def _send(self, requests: Sequence[Asked], user: User, way: Way | None = None) -> None:
        """Sends requests of one head as one, the way that is known, if one is."""
        call, classifications = requests[0].call, self._lane.application.classifications
        try:
            single = request_for(user, call.name, call.version, call.query, check_raw(requests[0].crops))
            way = way or classifications.way_of(single)
            # To look up users and versions may have taken longer than some would wait: they were told so.
            requests = [one for one in requests if one.burst or not one.is_left]
            if not requests:
                return
            together = replace(single, crops=b"".join(one.crops for one in requests))
            reply = Reply(1, lambda: self._finish(burst))
            burst = _Burst(requests, single, Sent(together, way, time.monotonic()), reply)
            for number, one in enumerate(requests):
                one.burst, one.first = burst, number * single.count
            classifications.send(burst.sent, reply)
        except Exception as error:  # noqa: BLE001 as above
            for one in requests:
                one.fail(error)

    def _finish(self, burst: _Burst) -> None:
        """Delivers what became of a burst; where it was refused as a whole, each request is judged by itself."""
        refusal = burst.reply.refusal
        if isinstance(refusal, _MAY_FIT_ALONE) and len(burst.requests) > 1:
            for one in burst.requests:
                self._send([one], burst.single.user, burst.sent.way)
            return
        waiting = [one for one in burst.requests if not one.is_left]
        try:
            contents = list(self._contents(burst, len(waiting)))
        except Exception as error:  # noqa: BLE001 as above; it must not end whoever hears the answers of all
            for one in waiting:
                one.fail(error)
            return
        self._lane.note(burst.requests[0].call.environ, 200, burst.requests[0].began, len(waiting))
        head = self._plain + self._date_line()
        for one in waiting:
            content = contents[one.first // burst.single.count]
            one.deliver(b"%sContent-Length: %d\r\n\r\n%s" % (head, len(content), content))

    def _contents(self, burst: _Burst, requests: int) -> Iterator[bytes]:
        """The answers to all requests, of which so many are still to be answered."""
        answered = self._lane.application.classifications.conclude(burst.sent, burst.reply, requests=requests)
        assert isinstance(answered, Answered)  # a reply that is complete needs no job
        for result in read_each(answered.answers[0], burst.single.count, answered.total_s):
            yield orjson.dumps(result)

    def answer(self, asked: Asked) -> bytes:
        """The whole response, whatever became of the request; its client waits no longer."""
        asked.is_left = True
        response = self._lane.outcome(asked.call.environ, partial(self._outcome, asked), asked.began)
        if isinstance(response, bytes):
            response = protect(Response(response, content_type="application/json"))
        content = response.get_data()
        response.content_length = len(content)
        return b"%s%s\r\n%s" % (_head_of(response), self._date_line(), content)

    def _outcome(self, asked: Asked) -> bytes | Pending:
        if asked.error is not None:
            raise asked.error
        burst = asked.burst
        if burst is None:
            raise RedisUnavailableError(
                "Redis did not say in time whose the request is; nothing was accepted"
            )
        sent = replace(burst.sent, request=burst.single)
        outcome = self._lane.application.classifications.conclude(sent, _Share(asked, burst))
        return (
            outcome if isinstance(outcome, Pending) else orjson.dumps(read(outcome.answers, outcome.total_s))
        )

    def _date_line(self) -> bytes:
        now = int(time.time())
        if now != self._dated_at:
            self._dated_at, self._date = now, b"Date: %s\r\n" % formatdate(now, usegmt=True).encode()
        return self._date


def _head_of(response: Response) -> bytes:
    lines = [f"HTTP/1.1 {response.status}", *(f"{name}: {value}" for name, value in response.headers)]
    return "".join(f"{line}\r\n" for line in lines).encode("latin-1")

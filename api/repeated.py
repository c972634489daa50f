"""Requests that a client sends again and again: their heads are read once.

A program that has crops classified sends the same head with every body. Reading that head costs more processor time
than the rest of the server's work, so what the head of an answered request means is kept, and found again by
its bytes. Nothing else is: whose token it is and whether the crops are sound is asked anew for every request, and what
the model's version means for all that are read in one go, by the functions that every request goes through.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from email.utils import formatdate
from functools import partial
from typing import TYPE_CHECKING, Final

import orjson
from werkzeug.wrappers import Request, Response

from api.authentication import bearer_token
from api.bodies import check_raw
from api.crop_lane import CropLane, place_of
from api.protection import protect
from api.routes.classification import read_query, request_for
from api.schemas import ClassifyQuery
from services.answers import CROP_BYTES, read
from services.crop_requests import Answered, Pending, Sent, Way
from services.store.listener import Reply
from services.store.parcels import PART_CROPS

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

LONGEST_HEAD: Final = 2048
_MOST_HEADS: Final = 1024
_LONGEST_BODY: Final = PART_CROPS * CROP_BYTES
_UNUSUAL: Final = (
    "HTTP_IDEMPOTENCY_KEY",
    "HTTP_EXPECT",
    "HTTP_TRANSFER_ENCODING",
    "HTTP_CONTENT_ENCODING",
    "HTTP_UPGRADE",
    "HTTP_X_REQUEST_ID",
)
"""Headers that ask for more than an answer."""


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """What a head means: crops of `length` bytes for a version of a model, from whoever has the token."""

    name: str
    version: str
    query: ClassifyQuery
    token: str | None
    length: int
    environ: "WSGIEnvironment"


class Asked:
    """A request under a known head: its crops, and what became of it."""

    def __init__(self, call: Call, crops: bytes, on_complete: Callable[[], None]) -> None:
        self.call = call
        self.crops = crops
        self.reply = Reply(1, on_complete)
        self.sent: Sent | None = None
        self.error: Exception | None = None
        self.began = time.perf_counter()
        self._waits_until = time.monotonic() + call.query.wait

    def fail(self, error: Exception) -> None:
        """Ends the wait for what could not be sent."""
        self.error = error
        self.reply.end()

    def is_late(self, now: float) -> bool:
        """Whether its client waits no longer; `now` is monotonic time."""
        return now >= self._waits_until


class RepeatedCalls:
    """The heads seen last, and the answers to requests that begin with one of them."""

    def __init__(self, lane: CropLane) -> None:
        self._lane = lane
        self._calls: OrderedDict[bytes, Call] = OrderedDict()
        self._plain = _head_of(protect(Response(content_type="application/json")))
        self._dated_at = 0
        self._date = b""

    def find(self, head: bytes) -> Call | None:
        """What a head means, if it was learned."""
        return self._calls.get(head)

    def learn(self, head: bytes, environ: "WSGIEnvironment") -> None:
        """Keeps what the head of a request means that was answered with 200, if it is a plain one."""
        length = environ.get("CONTENT_LENGTH", "")
        place = place_of(environ)
        if (
            place is None
            or not length.isdecimal()
            or not 0 < int(length) <= _LONGEST_BODY
            or environ["SERVER_PROTOCOL"] != "HTTP/1.1"
            or environ.get("HTTP_CONNECTION", "keep-alive").lower() != "keep-alive"
            or any(name in environ for name in _UNUSUAL)
            or "HTTP_AUTHORIZATION" not in environ  # a browser's session is looked up with its whole request
        ):
            return
        request = Request(environ)
        kept = {name: value for name, value in environ.items() if name != "wsgi.input"}
        self._calls[head] = Call(
            *place, read_query(request), bearer_token(request.headers), int(length), kept
        )
        if len(self._calls) > _MOST_HEADS:
            self._calls.popitem(last=False)

    def ask(self, asked: Sequence["Asked"]) -> None:
        """Sends what came in one go on its way; a head of several means the same version for all.

        Whose the crops are, and whether they are sound, is looked at for each.
        """
        ways: dict[Call, Way] = {}
        for one in asked:
            try:
                self._send(one, ways)
            except Exception as error:  # noqa: BLE001 Flask's handlers make of it what they make of every error
                one.fail(error)

    def _send(self, asked: "Asked", ways: dict[Call, Way]) -> None:
        call, classifications = asked.call, self._lane.application.classifications
        user = self._lane.door.user_with(call.token)
        request = request_for(user, call.name, call.version, call.query, check_raw(asked.crops))
        way = ways.get(call)
        if way is None:
            way = ways[call] = classifications.way_of(request)
        asked.sent = classifications.send(request, way, asked.reply)

    def answer_at_once(self, asked: "Asked") -> bytes | None:
        """The whole response, head and body, if the crops were read; what else may be said may take a while."""
        if asked.sent is None or asked.error is not None:
            return None
        try:
            answered = self._lane.application.classifications.conclude(asked.sent, asked.reply)
            assert isinstance(answered, Answered)  # a reply that is complete needs no job
            content = orjson.dumps(read(answered.answers, answered.total_s))
        except Exception as error:  # noqa: BLE001 as above; it must not end whoever hears the answers of all
            asked.error = error
            return None
        self._lane.note(asked.call.environ, 200, asked.began)
        return b"%s%sContent-Length: %d\r\n\r\n%s" % (
            self._plain,
            self._date_line(),
            len(content),
            content,
        )

    def answer(self, asked: "Asked") -> bytes:
        """The whole response, whatever became of the request; its client waits no longer."""
        response = self._lane.outcome(asked.call.environ, partial(self._outcome, asked), asked.began)
        if isinstance(response, bytes):
            response = protect(Response(response, content_type="application/json"))
        content = response.get_data()
        response.content_length = len(content)
        return b"%s%s\r\n%s" % (_head_of(response), self._date_line(), content)

    def _outcome(self, asked: "Asked") -> bytes | Pending:
        if asked.error is not None:
            raise asked.error
        assert asked.sent is not None
        outcome = self._lane.application.classifications.conclude(asked.sent, asked.reply)
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

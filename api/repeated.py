"""Requests that a client sends again and again: their heads are read once.

A program that has crops classified sends the same head with every body. Reading that head costs more processor time
than the rest of the server's work, so what the head of an answered request means is kept, and found again by
its bytes. Nothing else is: whose token it is, what the model's version means and whether the crops are sound is
asked anew for every request, by the functions that every request goes through.
"""

import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import formatdate
from io import BytesIO
from typing import TYPE_CHECKING, Final

from werkzeug.wrappers import Request, Response

from api.authentication import bearer_token
from api.bodies import check_raw
from api.crop_lane import CropLane, place_of
from api.protection import protect
from api.routes.classification import answer_read_crops, read_query
from api.schemas import ClassifyQuery
from services.answers import CROP_BYTES
from services.store.crops import PART_CROPS

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
)
"""Headers that ask for more than an answer."""


@dataclass(frozen=True, slots=True)
class Call:
    """What a head means: crops of `length` bytes for a version of a model, from whoever has the token."""

    name: str
    version: str
    query: ClassifyQuery
    token: str | None
    length: int
    environ: Mapping[str, object]


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

    def answer(self, call: Call, body: bytes) -> bytes:
        """The whole response, head and body, to a request whose head means `call`."""
        lane = self._lane
        answer = lane.outcome(
            {**call.environ, "wsgi.input": BytesIO(body)},
            lambda: answer_read_crops(
                lane.application,
                lane.door.user_with(call.token),
                call.name,
                call.version,
                call.query,
                check_raw(body),
            ),
        )
        if isinstance(answer, str):
            content = answer.encode()
            return b"%s%sContent-Length: %d\r\n\r\n%s" % (
                self._plain,
                self._date_line(),
                len(content),
                content,
            )
        content = answer.get_data()
        answer.content_length = len(content)
        return b"%s%s\r\n%s" % (_head_of(answer), self._date_line(), content)

    def _date_line(self) -> bytes:
        now = int(time.time())
        if now != self._dated_at:
            self._dated_at, self._date = now, b"Date: %s\r\n" % formatdate(now, usegmt=True).encode()
        return self._date


def _head_of(response: Response) -> bytes:
    lines = [f"HTTP/1.1 {response.status}", *(f"{name}: {value}" for name, value in response.headers)]
    return "".join(f"{line}\r\n" for line in lines).encode("latin-1")

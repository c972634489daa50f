"""Requests that a client sends again and again: their heads are read once.

A program that has crops classified sends the same head with every body. Reading that head costs more processor time
than the rest of the server's work, so what the head of an answered request means is kept, and found again by
its bytes. Nothing else is: whose token it is, and what the model's version means, is asked anew, by the functions that
every request goes through; see `bursts.py`.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from werkzeug.wrappers import Request

from api.authentication import bearer_token
from api.crop_lane import place_of
from api.routes.classification import read_query
from api.schemas import ClassifyQuery
from services.crops.answers import CROP_BYTES
from services.crops.parcels import PART_CROPS
from services.users.accounts import digest_of

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
    """What a head means: crops of `length` bytes for a version of a model, from whoever has the token.

    `digest` is the token's.
    """

    name: str
    version: str
    query: ClassifyQuery
    digest: str
    length: int
    environ: "WSGIEnvironment"

    @property
    def crops(self) -> int:
        """How many crops a request has."""
        return self.length // CROP_BYTES


class RepeatedCalls:
    """The heads seen last."""

    def __init__(self) -> None:
        self._calls: OrderedDict[bytes, Call] = OrderedDict()

    def find(self, head: bytes) -> Call | None:
        """What a head means, if it was learned."""
        return self._calls.get(head)

    def learn(self, head: bytes, environ: "WSGIEnvironment") -> None:
        """Keeps what the head of a request means that was answered with 200, if it is a plain one."""
        request, length, place = Request(environ), environ.get("CONTENT_LENGTH", ""), place_of(environ)
        token = bearer_token(request.headers)  # a browser's session is looked up with its whole request
        if (
            place is None
            or not length.isdecimal()
            or not 0 < int(length) <= _LONGEST_BODY
            or environ["SERVER_PROTOCOL"] != "HTTP/1.1"
            or environ.get("HTTP_CONNECTION", "keep-alive").lower() != "keep-alive"
            or any(name in environ for name in _UNUSUAL)
            or not token
        ):
            return
        kept = {name: value for name, value in environ.items() if name != "wsgi.input"}
        self._calls[head] = Call(*place, read_query(request), digest_of(token), int(length), kept)
        if len(self._calls) > _MOST_HEADS:
            self._calls.popitem(last=False)

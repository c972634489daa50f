"""The two protocols of classification: the service's own, and the Open Inference Protocol."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final, Protocol
from urllib.parse import parse_qsl

import orjson
from pydantic import ValidationError

from api.compression import compress, read_body, wanted_encoding
from api.crops.payloads import read_crops
from api.crops.questions import HEADER_LENGTH, Question, read_question
from api.crops.tensors import write_answer
from api.schemas import ClassifyQuery
from api.server.request import Request
from api.server.responses import Headers
from services.crops.answers import CROP_BYTES, read
from services.crops.extras import Extras
from services.crops.requests import Answered, CropRequest
from services.errors import InvalidInputError, TooLargeError
from services.explanations import explain
from services.jobs.acceptance import NO_KEY, Idempotency
from services.jobs.submission import bind_key
from services.users.authentication import User

_WAIT_S: Final = 60.0
"""Time to wait for the answer when a request of the inference protocol sets no timeout."""

_GRACE_S: Final = 1.0
"""The timeout is for the queue; what the chip has begun by then is still waited for."""

SENDER: Final = "hxserve-sender"
"""Header, of clients that ask for many: the one for whom they ask, who is always answered by the same version."""

_MOST_SHOWN: Final = 64
"""Crops of one request that are sent back."""

_JSON: Final = (("Content-Type", "application/json"),)
_BYTES: Final = (("Content-Type", "application/octet-stream"),)

Render = Callable[[Answered], tuple[Headers, bytes]]
"""Renders the answer to a request: headers and body."""


class CropProtocol(Protocol):
    """Reads requests and writes their answers."""

    has_jobs: bool
    """True if a late answer is available as a job; otherwise it is discarded."""
    rule: str
    """The rule of the route, as Flask has it."""
    version_rule: str
    """The same for a version of the model."""

    def read(
        self, request: Request, user: User, name: str, version: str, *, most_crops: int, most_bytes: int
    ) -> tuple[CropRequest, Render]:
        """Return the crops to classify, and the function that renders the answer.

        Raises:
            HxserveError: the request is not what it should be.
        """


class Classify:
    """`/v1/models/<name>/classify`: crops in any form, answered as JSON."""

    has_jobs = True
    rule = "/v1/models/<name>/classify"
    version_rule = "/v1/models/<name>/versions/<version>/classify"

    def read(
        self, request: Request, user: User, name: str, version: str, *, most_crops: int, most_bytes: int
    ) -> tuple[CropRequest, Render]:
        """Return the crops to classify, and the function that renders the answer."""
        query = _read_query(request.query)
        crops, remarks = read_crops(
            read_body(request, most_bytes),
            request.headers.get("content-type", ""),
            most_crops,
            centre=query.centre,
            segment=query.segment,
        )
        if query.pixels and len(crops) > _MOST_SHOWN * CROP_BYTES:
            raise TooLargeError(
                f"{len(crops) // CROP_BYTES} crops are too many to be sent back; with pixels send {_MOST_SHOWN} at most"
            )
        asked = CropRequest(
            user=user,
            model=name,
            version=version,
            crops=crops,
            wait_s=query.wait,
            deadline_s=query.deadline,
            repeats=query.repeats,
            allow_transfer=query.allow_transfer,
            remarks=remarks,
            keep=user.keep if query.keep is None else query.keep,
            sender=request.headers.get(SENDER, ""),
            extras=query.extras,
            idempotency=_key_of(
                request.headers,
                user,
                name,
                version,
                crops,
                query.repeats,
                allow_transfer=query.allow_transfer,
                keep=query.keep,
                extras=query.extras,
            ),
        )

        def render(answered: Answered) -> tuple[Headers, bytes]:
            answer = read(answered.id, answered.answers, answered.total_s, remarks)
            if query.pixels:
                for number, prediction in enumerate(answer["predictions"]):
                    start = number * CROP_BYTES
                    prediction["pixels"] = list(crops[start : start + CROP_BYTES])
            return _JSON, orjson.dumps(answer)

        return asked, render


@lru_cache(256)
def _read_query(text: str) -> ClassifyQuery:
    try:
        return ClassifyQuery.model_validate(dict(reversed(parse_qsl(text, keep_blank_values=True))))
    except ValidationError as error:
        raise InvalidInputError(explain(error, ClassifyQuery)) from None


class Infer:
    """`/v2/models/<name>/infer`: tensors as JSON or bytes, answered likewise."""

    has_jobs = False
    rule = "/v2/models/<name>/infer"
    version_rule = "/v2/models/<name>/versions/<version>/infer"

    def read(
        self, request: Request, user: User, name: str, version: str, *, most_crops: int, most_bytes: int
    ) -> tuple[CropRequest, Render]:
        """Return the crops to classify, and the function that renders the answer."""
        question = read_question(read_body(request, most_bytes), _header_length(request), most_crops)
        asked = infer_request(question, request.headers, user, name, version)

        def render(answered: Answered) -> tuple[Headers, bytes]:
            body, header_length = write_answer(question.body, answered, question.warnings)
            headers: Headers = _JSON
            if header_length is not None:
                headers = (*_BYTES, (HEADER_LENGTH, str(header_length)))
            encoding = wanted_encoding(request, len(body))
            if encoding:
                return (*headers, ("Content-Encoding", encoding)), compress(body, encoding)
            return headers, body

        return asked, render


def infer_request(
    question: Question, headers: Mapping[str, str], user: User, name: str, version: str
) -> CropRequest:
    """Return what a question of the inference protocol asks, over HTTP or gRPC.

    Args:
        question: as it was read.
        headers: of the request, or metadata of the call, by names in lower case.
        user: who asks.
        name: of the model.
        version: or alias of it.
    """
    parameters = question.body.parameters
    timeout_s = parameters.timeout / 1e6
    return CropRequest(
        user=user,
        model=name,
        version=version,
        crops=question.crops,
        wait_s=timeout_s + _GRACE_S if timeout_s else _WAIT_S,
        deadline_s=timeout_s or None,
        repeats=parameters.repeats,
        keep=user.keep if parameters.keep is None else parameters.keep,
        sender=headers.get(SENDER, ""),
        idempotency=_key_of(
            headers, user, name, version, question.crops, parameters.repeats, keep=parameters.keep
        ),
    )


def _header_length(request: Request) -> int | None:
    text = request.headers.get(HEADER_LENGTH.lower())
    if text is None:
        return None
    if not (text.isascii() and text.isdigit()) or len(text) > 12:
        raise InvalidInputError(f"{HEADER_LENGTH} is {text!r}; send the number of bytes of the JSON")
    return int(text)


def _key_of(
    headers: Mapping[str, str],
    user: User,
    name: str,
    version: str,
    crops: bytes,
    repeats: int,
    *,
    allow_transfer: bool = False,
    keep: bool | None = None,
    extras: Extras = Extras.NONE,
) -> Idempotency:
    key = headers.get("idempotency-key")
    if not key:
        return NO_KEY
    manner = f"{name}@{version} x {repeats}{' anywhere' if allow_transfer else ''}{' kept' if keep else ''}"
    if extras:
        manner += f" with {' and '.join(extras.names)}"
    return bind_key(user, key, manner.encode() + crops)

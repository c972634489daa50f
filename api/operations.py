"""Operations of programs over HTTP: safetensors, the format of both request and answer."""

import hashlib
import json
import re
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from safetensors import SafetensorError, deserialize
from safetensors.numpy import save

from api.application import Application
from api.authentication import Authenticator
from api.compression import read_body
from api.protection import HEADERS
from api.request_ids import begin_span, end_span, with_given_id
from api.server.request import Request
from api.server.responses import Headers
from api.server.server import Respond
from services.errors import InvalidInputError, TooLargeError, UnsupportedMediaError
from services.programs.operations import MOST_BYTES, MOST_MACS, Operation, Readouts
from services.tracing.traces import within
from services.users.authentication import User

if TYPE_CHECKING:
    from api.crops.endpoint import Endpoint

OPERATIONS: Final = re.compile(r"/+v1/chip/sessions/([^/]+)/operations")
MEDIA_TYPE: Final = "application/x-safetensors"
_NAMED: Final = re.compile(r"([0-9a-f]{64}):([1-9][0-9]{0,6})x([1-9][0-9]{0,6})")
_NUMBER: Final = re.compile(r"[0-9]{1,4}")
_RULE: Final = "/v1/chip/sessions/<session>/operations"
_MOST_BODY_BYTES: Final = MOST_BYTES + 65536
"""More than the header of an operation takes is refused."""
_HEADERS: Final = (*HEADERS.items(), ("Content-Type", MEDIA_TYPE))
_DTYPES: Final = {"inputs": ("U8", np.uint8, 0, 31), "weights": ("I8", np.int8, -63, 63)}


class OperationExchange:
    """A request with an operation, in a greenlet of its own until it is answered."""

    __slots__ = ("_endpoint", "_session")

    def __init__(self, endpoint: "Endpoint", session: str) -> None:
        self._endpoint = endpoint
        self._session = session

    def is_immediate(self, request: Request) -> bool:
        """Return False: the answer is waited for."""
        del request
        return False

    def answer(self, request: Request, respond: Respond) -> None:
        """Run the operation, and respond with its readouts or the reason why there are none."""
        began, span = time.monotonic(), begin_span(request, _RULE)
        with within(span):
            status, headers, body = self._answer(request)
        took_s = time.monotonic() - began
        self._endpoint.services.request_times.note("POST", _RULE, status, took_s)
        respond(status, end_span(span, _RULE, status, headers, took_s), body)

    def _answer(self, request: Request) -> tuple[int, Headers, bytes]:
        endpoint = self._endpoint
        try:
            user = endpoint.authenticator.user_of(request)
            body = run_operation(endpoint.services, endpoint.authenticator, request, self._session, user)
        except Exception as error:  # noqa: BLE001 Flask's handlers make of it what they make of every error
            return endpoint.failure(request, error)
        return 200, with_given_id(_HEADERS, request), body


def run_operation(
    services: Application, authenticator: Authenticator, request: Request, session: str, user: User
) -> bytes:
    """Run the operation that a request brings; return the answer's body.

    Raises:
        HxserveError: it was refused, or could not be run.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != MEDIA_TYPE:
        raise UnsupportedMediaError(f"the body is of type {media_type!r}; send {MEDIA_TYPE}")
    body = read_body(request, _MOST_BODY_BYTES)
    authenticator.admit_operation(user, len(body))
    operation, keep = _read_operation(session, body)
    key = request.headers.get("idempotency-key", "")
    return _write_readouts(services.programs.run(operation, user, key, keep=keep))


def _read_operation(session: str, body: bytes) -> tuple[Operation, bool]:
    """Return the operation in a body, and whether the session is to keep its weights.

    Raises:
        InvalidInputError: it is no operation.
        TooLargeError: it is too large for one.
    """
    metadata, tensors = _parse(body)
    inputs = _tensor(tensors, "inputs")
    batch, rows = inputs.shape
    if "weights" in tensors:
        weights = _tensor(tensors, "weights")
        found, columns = weights.shape
        content = weights.tobytes()
        digest = hashlib.sha256(content).hexdigest()
    else:
        named = _NAMED.fullmatch(metadata.get("weights", ""))
        if not named:
            raise InvalidInputError(
                "the operation has no weights; send a tensor `weights`, or name kept ones in the metadata: "
                "`weights` = '<sha256>:<rows>x<columns>'"
            )
        digest, found, columns, content = named[1], int(named[2]), int(named[3]), b""
    if found != rows:
        raise InvalidInputError(f"the inputs have {rows} rows, but the weights have {found}")
    if batch * rows * columns > MOST_MACS:
        raise TooLargeError(
            f"the operation has {batch * rows * columns} multiply-accumulates; split the batch into operations of "
            f"at most {MOST_MACS}"
        )
    operation = Operation(
        session,
        rows,
        columns,
        inputs.tobytes(),
        content,
        digest,
        _number(metadata, "num_sends", 1, 1, 1000),
        _number(metadata, "wait_between_events", 5, 1, 1000),
    )
    return operation, bool(content) and metadata.get("keep") == "true"


def _parse(body: bytes) -> tuple[Mapping[str, str], Mapping[str, Mapping[str, Any]]]:
    try:
        tensors = dict(deserialize(body))  # type: ignore[no-untyped-call] # untyped in safetensors
    except SafetensorError as error:
        raise InvalidInputError(f"the body is not safetensors ({error})") from None
    header_bytes = int.from_bytes(body[:8], "little")
    metadata: Mapping[str, str] = json.loads(body[8 : 8 + header_bytes]).get("__metadata__", {})
    return metadata, tensors


def _tensor(tensors: Mapping[str, Mapping[str, Any]], name: str) -> np.ndarray[Any, Any]:
    wanted, dtype, least, most = _DTYPES[name]
    if name not in tensors:
        raise InvalidInputError(
            f"the operation has no tensor `{name}`; there are: {', '.join(tensors) or 'none'}"
        )
    tensor = tensors[name]
    if tensor["dtype"] != wanted or len(tensor["shape"]) != 2 or 0 in tensor["shape"]:
        raise InvalidInputError(
            f"`{name}` is {tensor['dtype']} of shape {tuple(tensor['shape'])}; expected {wanted} with two axes, none "
            "of them empty"
        )
    values = np.frombuffer(tensor["data"], dtype).reshape(tensor["shape"])
    found = int(values.min()), int(values.max())
    if found[0] < least or found[1] > most:
        raise InvalidInputError(f"`{name}` are {found[0]}..{found[1]}; expected {least}..{most}")
    return values


def _number(metadata: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    text = metadata.get(name, str(default))
    value = int(text) if _NUMBER.fullmatch(text) else -1
    if not least <= value <= most:
        raise InvalidInputError(f"`{name}` is {text!r}; expected a whole number from {least} to {most}")
    return value


def _write_readouts(answer: Readouts) -> bytes:
    """Return the answer to an operation as a body."""
    readouts = np.frombuffer(answer.readouts, np.int8).reshape(-1, answer.columns)
    metadata = {
        "chip": answer.chip,
        "backend": answer.backend,
        "calibration": answer.calibration,
        "waiting_ms": f"{1000 * answer.waiting_s:.3f}",
        "chip_ms": f"{1000 * answer.chip_s:.3f}",
    }
    return save({"readouts": readouts}, metadata)

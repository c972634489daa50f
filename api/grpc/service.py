"""The calls of the Open Inference Protocol: each answered as its route over HTTP is."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping
from functools import lru_cache, partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import grpc
from google.protobuf.json_format import ParseDict

from api.application import Application
from api.authentication import Authenticator
from api.crops.protocols import infer_request
from api.grpc.calls import Call, Calls
from api.grpc.messages import (
    CALLS,
    SERVICE,
    STREAMING,
    ModelInferRequest,
    ModelInferResponse,
    ModelStreamInferResponse,
    message,
)
from api.grpc.statuses import code_of, trailer_of
from api.grpc.tensors import id_of, parse, read_question, write_answer
from api.inference import description
from api.inference.paths import absence
from api.inference.statistics import statistics
from api.problems import status_of
from api.readiness import readiness
from api.request_ids import ENVIRON, HEADER, TRACE_HEADER
from api.request_ids import id_of as request_id_of
from services.errors import HxserveError, ModelNotFoundError
from services.logs import about
from services.models.files import LATEST
from services.tracing.traces import begin_request, within
from services.users.authentication import User

if TYPE_CHECKING:
    from services.tracing.spans import Span

_ABSENT: Final = {
    "RepositoryModelLoad": "/v2/repository/models/any/load",
    "RepositoryModelUnload": "/v2/repository/models/any/unload",
    "SystemSharedMemory": "/v2/systemsharedmemory",
    "CudaSharedMemory": "/v2/cudasharedmemory",
    "TraceSetting": "/v2/trace/setting",
    "LogSettings": "/v2/logging",
}
"""Beginnings of the names of calls that are missing here, and their addresses over HTTP, whose reasons they share."""
_PUBLIC: Final = frozenset({"ServerLive", "ServerReady"})
_IN_FLIGHT: Final = 64
"""Requests of one stream that are answered at a time; further ones are not read meanwhile."""
_CLIENT_LEFT: Final = 499
"""The status under which cancelled calls are counted, as proxies do."""
_log = logging.getLogger("api.grpc")


class Inference(grpc.GenericRpcHandler):  # type: ignore[misc] # grpcio ships no types
    """The service; messages are read and written here, so that a wrong one is refused as other errors are."""

    def __init__(self, services: Application, authenticator: Authenticator) -> None:
        self.calls: Final = Calls(services, authenticator)
        self._services = services
        self._requests: Final = {name: message(f"{name}Request") for name in CALLS}
        self._answers: Final[Mapping[str, Callable[[Any, User], dict[str, Any]]]] = {
            "ModelReady": self._model_ready,
            "ServerMetadata": lambda _, __: description.server(),
            "ModelMetadata": lambda asked, user: description.metadata(
                services, user, asked.name, asked.version or None
            ),
            "ModelConfig": lambda asked, user: {
                "config": description.config(services, user, asked.name, asked.version or None)
            },
            "ModelStatistics": lambda asked, user: statistics(
                services, user, asked.name or None, asked.version or None
            ),
            "RepositoryIndex": lambda asked, user: {
                "models": description.index(services, user, ready_only=asked.ready)
            },
        }

    def service(self, call_details: Any) -> Any:
        """Return what answers a call of this name; None for one that is not of this service."""
        service, _, name = call_details.method.removeprefix("/").rpartition("/")
        return self._handler(name) if service == SERVICE else None

    @lru_cache(64)  # noqa: B019 there is one service in a process
    def _handler(self, name: str) -> Any:
        if name == STREAMING:
            return grpc.stream_stream_rpc_method_handler(self._stream)
        if name in self._requests:
            return grpc.unary_unary_rpc_method_handler(partial(self._answer, name))
        reason = next((absence(path) for start, path in _ABSENT.items() if name.startswith(start)), None)
        return grpc.unary_unary_rpc_method_handler(partial(_explain_absence, reason)) if reason else None

    async def _answer(self, name: str, data: bytes, context: Any) -> bytes:
        """Return the answer to a call, or refuse it."""
        began, status, call = time.monotonic(), _CLIENT_LEFT, Call(context)
        span = None if name in _PUBLIC else _begin_span(name, call)
        named = () if span is None else ((TRACE_HEADER, span.traceresponse),)
        try:
            with within(span):
                answer = self._infer(data, call) if name == "ModelInfer" else self._describe(name, data, call)
                written: bytes = (await answer).SerializeToString()
            status = int(HTTPStatus.OK)
            given = ((HEADER.lower(), _request_id(call)),) if HEADER.lower() in call.headers else ()
            if given or named:
                context.set_trailing_metadata((*given, *named))
        except Exception as error:  # noqa: BLE001 no error leaves the service in another form
            refusal = _refusal(name, call, error)
            status = int(status_of(type(refusal)))
        else:
            return written
        finally:
            self._note(name, status, began, span)
        trailer = (*trailer_of(refusal), (HEADER.lower(), _request_id(call)), *named)
        await context.abort(code_of(refusal), refusal.message, trailer)
        raise AssertionError  # the line before never returns

    async def _describe(self, name: str, data: bytes, call: Call) -> Any:
        """Return the answer to a call that asks nothing of the chip."""
        asked, kind = parse(self._requests[name], data), message(f"{name}Response")
        if name == "ServerLive":
            return kind(live=True)
        if name == "ServerReady":
            lacks, _ = await self.calls.in_thread(readiness, self._services)
            return kind(ready=not lacks)
        user = await self.calls.user_of(call)
        return ParseDict(await self.calls.in_thread(self._answers[name], asked, user), kind())

    def _model_ready(self, asked: Any, user: User) -> dict[str, Any]:
        try:
            self._services.registry.find(user, asked.name, asked.version or LATEST)
        except ModelNotFoundError:
            return {"ready": False}  # as Triton says it, whose clients expect no error
        lacks, _ = readiness(self._services)
        return {"ready": not lacks}

    async def _infer(self, data: bytes, call: Call) -> Any:
        """Return the answer to a request for crops."""
        user = await self.calls.user_of(call)
        return await self._answer_crops(parse(ModelInferRequest, data), user, call)

    async def _answer_crops(self, request: Any, user: User, call: Call) -> Any:
        request_id, most = id_of(request), self._services.settings.max_crops_per_request
        has_bytes = bool(request.raw_input_contents)
        # Numbers one by one take long to read.
        read = (
            read_question(request, most)
            if has_bytes
            else await self.calls.in_thread(read_question, request, most)
        )
        asked = infer_request(read, call.headers, user, request.model_name, request.model_version or LATEST)
        return write_answer(read, request_id, await self.calls.answer(asked, call))

    async def _stream(self, requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        """Yield the answers to the requests of a stream, in their order; several are answered at a time."""
        call, room = Call(context), asyncio.Semaphore(_IN_FLIGHT)
        answers: asyncio.Queue[asyncio.Task[bytes] | None] = asyncio.Queue()

        async def read() -> None:
            try:
                async for data in requests:
                    await room.acquire()
                    answers.put_nowait(asyncio.create_task(self._answer_in_stream(data, call)))
            finally:
                answers.put_nowait(None)

        try:
            await self.calls.user_of(call)
        except HxserveError as error:
            await context.abort(code_of(error), error.message, trailer_of(error))
        reader = asyncio.create_task(read())
        try:
            while (answer := await answers.get()) is not None:
                yield await answer
                room.release()
        finally:
            reader.cancel()
            while not answers.empty():
                if (answer := answers.get_nowait()) is not None:
                    answer.cancel()

    async def _answer_in_stream(self, data: bytes, call: Call) -> bytes:
        """Return the answer to one request of a stream; a refusal is an answer, and the stream goes on."""
        began, status, request_id = time.monotonic(), _CLIENT_LEFT, ""
        span = _begin_span(STREAMING, call)
        try:
            request = parse(ModelInferRequest, data)
            request_id = id_of(request)
            user = await self.calls.user_of(call)
            with within(span):
                response = await self._answer_crops(request, user, call)
            response.parameters["triton_final_response"].bool_param = True
            status = int(HTTPStatus.OK)
            answer = ModelStreamInferResponse(infer_response=response)
        except Exception as error:  # noqa: BLE001 as in `_answer`
            refusal = _refusal(STREAMING, call, error)
            status = int(status_of(type(refusal)))
            response = ModelInferResponse(id=request_id)
            response.parameters["hxserve_code"].string_param = refusal.code
            response.parameters["retryable"].bool_param = refusal.retryable
            answer = ModelStreamInferResponse(error_message=refusal.message, infer_response=response)
        finally:
            self._note(STREAMING, status, began, span)
        written: bytes = answer.SerializeToString()
        return written

    def _note(self, name: str, status: int, began: float, span: "Span | None") -> None:
        """Count a call, and end its span."""
        if span is not None:
            span.answer(status)
        self._services.request_times.note("POST", f"/{SERVICE}/{name}", status, time.monotonic() - began)


async def _explain_absence(reason: str, data: bytes, context: Any) -> None:
    """Refuse a call that clients of the protocol know and this service has not."""
    del data
    await context.abort(grpc.StatusCode.UNIMPLEMENTED, reason)


def _begin_span(name: str, call: Call) -> "Span | None":
    """Begin the span of a call, or of one request of a stream; None if it is not sampled."""
    headers = call.headers
    return begin_request("POST", f"/{SERVICE}/{name}", headers.get("traceparent"), headers.get("tracestate"))


def _request_id(call: Call) -> str:
    """Return the id that came with a call if it is well-formed, or a new one."""
    return request_id_of({ENVIRON: call.headers.get(HEADER.lower(), "")})


def _refusal(name: str, call: Call, error: Exception) -> HxserveError:
    """Return the error by which a call is refused; what the operator should know is logged."""
    with about(request=_request_id(call)):
        if not isinstance(error, HxserveError):
            _log.exception("%s failed", name, exc_info=error)
            return HxserveError()
        if status_of(type(error)) >= HTTPStatus.INTERNAL_SERVER_ERROR:
            _log.error("%s: %s [%s]", name, error.message, error.code)
        return error

"""The gRPC server of a test, in a thread of its own, and clients of it."""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import grpc

from api.application import Application
from api.authentication import Authenticator
from api.grpc.messages import SERVICE, STREAMING, ModelInferRequest, ModelStreamInferResponse, message
from api.grpc.server import GrpcServer
from services.users.authentication import Tokens
from tests.api.requests import TOKEN
from tests.services.samples import some_crops

CREDENTIALS: Final = (("authorization", f"Bearer {TOKEN}"),)
COUNT: Final = 3


@contextmanager
def serving(application: Application) -> Iterator[GrpcServer]:
    """A server of these services on a free port."""
    tokens = Tokens(TOKEN, application.users, application.settings.user_quotas)
    started, ended, found = threading.Event(), asyncio.Event(), []

    async def serve() -> None:
        server = GrpcServer(application, Authenticator(tokens, application.sessions))
        found.append((server, asyncio.get_running_loop()))
        await server.start()
        started.set()
        await ended.wait()
        await server.stop()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="grpc")
    thread.start()
    assert started.wait(20)
    try:
        yield found[0][0]
    finally:
        found[0][1].call_soon_threadsafe(ended.set)
        thread.join()


class Stub:
    """Calls by name, with the messages of the service and the admin's token."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._channel = channel

    def start(self, name: str, request: Any = None, *, metadata: Any = CREDENTIALS, **given: Any) -> Any:
        """A call under way; its `result()` is the answer."""
        answer = message(f"{name}Response")
        call = self._channel.unary_unary(
            f"/{SERVICE}/{name}", lambda sent: sent.SerializeToString(), answer.FromString
        )
        return call.future(request or message(f"{name}Request")(), metadata=metadata, **given)

    def __call__(self, name: str, request: Any = None, **given: Any) -> Any:
        """The answer to a call."""
        return self.start(name, request, **given).result(timeout=30)

    def stream(self, requests: Any, metadata: Any = CREDENTIALS) -> Any:
        """A stream of infer requests, and of their answers."""
        call = self._channel.stream_stream(
            f"/{SERVICE}/{STREAMING}",
            lambda sent: sent.SerializeToString(),
            ModelStreamInferResponse.FromString,
        )
        return call(requests, metadata=metadata, timeout=30)


def infer_request(
    count: int = COUNT, *, model: str = "digits", shape: Sequence[int] | None = None, **parameters: int
) -> Any:
    """A request with so many crops as bytes, and parameters that are numbers."""
    request = ModelInferRequest(model_name=model)
    request.inputs.add(name="crops", datatype="UINT8", shape=shape or [count, 28, 28])
    request.raw_input_contents.append(some_crops(count))
    for name, value in parameters.items():
        request.parameters[name].int64_param = value
    return request

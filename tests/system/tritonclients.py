"""NVIDIA's clients of the Open Inference Protocol, over HTTP and gRPC, with one face for both."""

import asyncio
import queue
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

import numpy as np
import tritonclient.grpc
import tritonclient.grpc.aio
import tritonclient.http
import tritonclient.http.aio
from numpy.typing import NDArray
from tritonclient._plugin import InferenceServerClientPlugin

from deploy.local import Local

OUTPUTS: Final = ("digits", "scores", "confidences")


class Bearer(InferenceServerClientPlugin):  # type: ignore[misc] # tritonclient ships no types
    """Sends the token with every request."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: Any) -> None:
        """Changes a request before it is sent."""
        request.headers["authorization"] = f"Bearer {self._token}"


class Over(Protocol):
    """A protocol's clients, and what differs between the two libraries."""

    module: Any
    aio: Any
    name: str

    def address(self, local: Local) -> str:
        """Where the service is."""

    def input(self, crops: NDArray[Any]) -> Any:
        """The tensor of crops, as the library sends them best."""

    def compressed(self, asked: str, answered: str) -> dict[str, str]:
        """The arguments of a request that is compressed."""

    def told(self, ask: Callable[..., Any], *names: str) -> Any:
        """What a call says of the server or its models, as JSON."""

    def facts(self, result: Any) -> tuple[str, str]:
        """The id and the backend of an answer."""

    def many(self, client: Any, model: str, tensors: Sequence[Any]) -> list[Any]:
        """The answers to requests that are under way at once."""


class OverHttp:
    """`tritonclient.http`."""

    module = tritonclient.http
    aio = tritonclient.http.aio
    name = "http"

    @staticmethod
    def address(local: Local) -> str:
        """Where the service is."""
        return local.url.removeprefix("http://")

    @staticmethod
    def input(crops: NDArray[Any], *, binary: bool = True) -> Any:
        """The tensor of crops."""
        return _tensor(tritonclient.http, crops).set_data_from_numpy(crops, binary_data=binary)

    @staticmethod
    def compressed(asked: str, answered: str) -> dict[str, str]:
        """The arguments of a request that is compressed."""
        return {"request_compression_algorithm": asked, "response_compression_algorithm": answered}

    @staticmethod
    def told(ask: Callable[..., Any], *names: str) -> Any:
        """What a call says, as JSON."""
        return ask(*names)

    @staticmethod
    def facts(result: Any) -> tuple[str, str]:
        """The id and the backend of an answer."""
        said = result.get_response()
        return said["id"], said["parameters"]["backend"]

    @staticmethod
    def many(client: Any, model: str, tensors: Sequence[Any]) -> list[Any]:
        """The answers to requests that are under way at once."""
        requests = [client.async_infer(model, [tensor]) for tensor in tensors]
        return [request.get_result() for request in requests]


class OverGrpc:
    """`tritonclient.grpc`."""

    module = tritonclient.grpc
    aio = tritonclient.grpc.aio
    name = "grpc"

    @staticmethod
    def address(local: Local) -> str:
        """Where the service is."""
        assert local.grpc is not None
        return local.grpc

    @staticmethod
    def input(crops: NDArray[Any]) -> Any:
        """The tensor of crops."""
        tensor = _tensor(tritonclient.grpc, crops)
        tensor.set_data_from_numpy(crops)
        return tensor

    @staticmethod
    def compressed(asked: str, answered: str) -> dict[str, str]:
        """The arguments of a request that is compressed."""
        del answered
        return {"compression_algorithm": asked}

    @staticmethod
    def told(ask: Callable[..., Any], *names: str) -> Any:
        """What a call says, as JSON."""
        said = ask(*names, as_json=True)
        return said.get("config", said.get("models", said))

    @staticmethod
    def facts(result: Any) -> tuple[str, str]:
        """The id and the backend of an answer."""
        said = result.get_response()
        return said.id, said.parameters["backend"].string_param

    @staticmethod
    def many(client: Any, model: str, tensors: Sequence[Any]) -> list[Any]:
        """The answers to requests that are under way at once."""
        answers: queue.Queue[tuple[int, Any, Any]] = queue.Queue()
        for number, tensor in enumerate(tensors):
            client.async_infer(
                model, [tensor], lambda result, error, number=number: answers.put((number, result, error))
            )
        came = sorted((answers.get(timeout=60) for _ in tensors), key=lambda one: one[0])
        assert [error for _, _, error in came if error] == []
        return [result for _, result, _ in came]


def _tensor(module: Any, crops: NDArray[Any]) -> Any:
    return module.InferInput("crops", list(crops.shape), "UINT8" if crops.dtype == np.uint8 else "FP32")


def streamed(client: Any, model: str, tensors: Sequence[Any]) -> list[tuple[Any, Any]]:
    """The answers and refusals of one stream over gRPC, in the order in which they came."""
    answers: queue.Queue[tuple[Any, Any]] = queue.Queue()
    client.start_stream(lambda result, error: answers.put((result, error)))
    for number, tensor in enumerate(tensors):
        client.async_stream_infer(model, [tensor], request_id=str(number))
    came = [answers.get(timeout=60) for _ in tensors]
    client.stop_stream()
    return came


async def streamed_in_asyncio(server: Any, model: str, tensors: Sequence[Any]) -> list[tuple[Any, Any]]:
    """The same with the client for asyncio."""

    async def requests() -> Any:
        for number, tensor in enumerate(tensors):
            await asyncio.sleep(0)
            yield {"model_name": model, "inputs": [tensor], "request_id": str(number)}

    return [answer async for answer in server.stream_infer(requests())]

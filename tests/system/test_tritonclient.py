"""NVIDIA's own client of the Open Inference Protocol against the whole service, as it is."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton
import tritonclient.http.aio as triton_aio
from numpy.typing import NDArray
from tritonclient.utils import InferenceServerException

from deploy.local import Local
from hxserve import Client
from hxserve.jobs import Job
from tests.system.conftest import MODEL

NOISE_LSB = 20.0
OUTPUTS = ("digits", "scores", "confidences")


class Bearer(triton.InferenceServerClientPlugin):  # type: ignore[misc] # tritonclient ships no types
    """Sends the token with every request."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: Any) -> None:
        """Changes a request before it is sent."""
        request.headers["Authorization"] = f"Bearer {self._token}"


@pytest.fixture
def server(local: Local, trained: Job) -> Iterator[Any]:
    """Tritonclient's client of the service, with up to four connections."""
    del trained
    client = triton.InferenceServerClient(local.url.removeprefix("http://"), concurrency=4)
    client.register_plugin(Bearer(local.token))
    yield client
    client.close()


@pytest.fixture
def crops(test_digits: tuple[NDArray[np.uint8], NDArray[np.int64]]) -> NDArray[np.uint8]:
    """Seventy crops, more than one part of a request."""
    return test_digits[0][:70]


@pytest.fixture
def expected(client: Client, trained: Job, crops: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The scores (70, 10) that our own client is told of these crops, LSB."""
    del trained
    return np.array([one.scores for one in client.classify(crops, MODEL)])


def _input(crops: NDArray[Any], *, binary: bool = True) -> Any:
    kind = "UINT8" if crops.dtype == np.uint8 else "FP32"
    return triton.InferInput("crops", list(crops.shape), kind).set_data_from_numpy(crops, binary_data=binary)


def _outputs(*, binary: bool) -> list[Any]:
    return [triton.InferRequestedOutput(name, binary_data=binary) for name in OUTPUTS]


def _agrees(result: Any, expected: NDArray[np.int64]) -> bool:
    """Whether an answer is whole, and that of these crops: the noise is small beside what tells them apart."""
    digits, scores, confidences = (result.as_numpy(name) for name in OUTPUTS)
    assert digits.shape == confidences.shape == (len(expected),)
    assert (digits == scores.argmax(axis=1)).all()
    assert ((confidences > 0) & (confidences <= 1)).all()
    return bool((np.abs(scores - expected).mean(axis=1) < NOISE_LSB).all())


@pytest.mark.parametrize("binary_out", [True, False])
@pytest.mark.parametrize("binary_in", [True, False])
def test_it_reads_digits_with_and_without_binary_tensors(
    server: Any,
    crops: NDArray[np.uint8],
    expected: NDArray[np.int64],
    binary_in: bool,
    binary_out: bool,
) -> None:
    result = server.infer(
        MODEL, [_input(crops, binary=binary_in)], outputs=_outputs(binary=binary_out), request_id="seven"
    )

    assert _agrees(result, expected)
    assert result.get_response()["id"] == "seven"
    assert result.get_response()["parameters"]["backend"] == "mock"


@pytest.mark.parametrize("asked", ["gzip", "deflate"])
@pytest.mark.parametrize("answered", ["gzip", "deflate"])
def test_it_may_compress_both_ways(
    server: Any, crops: NDArray[np.uint8], expected: NDArray[np.int64], asked: str, answered: str
) -> None:
    result = server.infer(
        MODEL,
        [_input(crops)],
        request_compression_algorithm=asked,
        response_compression_algorithm=answered,
    )

    assert _agrees(result, expected)


def test_floats_flat_crops_a_version_and_parameters(
    server: Any, trained: Job, crops: NDArray[np.uint8], expected: NDArray[np.int64]
) -> None:
    assert trained.result is not None
    unit = (crops.reshape(-1, 784) / 255).astype(np.float32)

    result = server.infer(
        MODEL, [_input(unit)], model_version=trained.result["version"], priority=1, timeout=30_000_000
    )

    assert _agrees(result, expected)


def test_concurrent_requests_each_get_their_own_answers(
    server: Any, crops: NDArray[np.uint8], expected: NDArray[np.int64]
) -> None:
    requests = [server.async_infer(MODEL, [_input(crops[i : i + 3])]) for i in range(60)]

    results = [request.get_result() for request in requests]

    assert all(_agrees(result, expected[i : i + 3]) for i, result in enumerate(results))
    assert not _agrees(results[0], expected[3:6])


def test_the_asyncio_client_works_too(
    local: Local, crops: NDArray[np.uint8], expected: NDArray[np.int64]
) -> None:
    async def ask() -> list[Any]:
        async with triton_aio.InferenceServerClient(local.url.removeprefix("http://")) as server:
            server.register_plugin(Bearer(local.token))
            assert await server.is_server_ready()
            return await asyncio.gather(*(server.infer(MODEL, [_input(crops)]) for _ in range(5)))

    # In a thread of its own: the browser tests keep an event loop running in this one.
    with ThreadPoolExecutor(1) as thread:
        results = thread.submit(lambda: asyncio.run(ask())).result()
    assert all(_agrees(result, expected) for result in results)


def test_it_finds_its_way_about(server: Any, trained: Job) -> None:
    assert trained.result is not None
    version = trained.result["version"]

    assert server.is_server_live()
    assert server.is_server_ready()
    assert server.is_model_ready(MODEL)
    assert server.is_model_ready(MODEL, version)
    assert not server.is_model_ready("nothing")
    assert "binary_tensor_data" in server.get_server_metadata()["extensions"]
    assert server.get_model_metadata(MODEL, version)["versions"] == [version]
    assert server.get_model_config(MODEL)["max_batch_size"] > 1
    assert (MODEL, version) in {
        (entry["name"], entry["version"]) for entry in server.get_model_repository_index()
    }


def test_its_statistics_grow_with_its_requests(server: Any, crops: NDArray[np.uint8]) -> None:
    before = server.get_inference_statistics(MODEL)["model_stats"][-1]

    server.infer(MODEL, [_input(crops)])

    after = server.get_inference_statistics(MODEL)["model_stats"][-1]
    assert after["inference_count"] - before["inference_count"] == len(crops)
    assert after["inference_stats"]["success"]["count"] - before["inference_stats"]["success"]["count"] == 1
    assert after["inference_stats"]["compute_infer"]["ns"] > before["inference_stats"]["compute_infer"]["ns"]


def test_it_understands_every_refusal(server: Any, crops: NDArray[np.uint8]) -> None:
    wrong_name = triton.InferInput("images", [1, 784], "UINT8")
    wrong_name.set_data_from_numpy(crops[:1].reshape(1, 784))
    wrong_shape = triton.InferInput("crops", [1, 392], "UINT8")
    wrong_shape.set_data_from_numpy(crops[0].reshape(2, 392)[:1])
    refusals = [
        (lambda: server.infer(MODEL, [wrong_name]), "400", "images"),
        (lambda: server.infer(MODEL, [wrong_shape]), "400", "shape"),
        (lambda: server.infer("nothing", [_input(crops)]), "404", "nothing"),
        (lambda: server.infer(MODEL, [_input(crops)], sequence_id=3), "400", "sequence_id"),
        (lambda: server.load_model(MODEL), "404", "not loaded"),
        (lambda: server.unload_model(MODEL), "404", "not loaded"),
        (server.get_system_shared_memory_status, "404", "shared memory"),
        (lambda: server.update_log_settings({"log_verbose_level": 1}), "404", "logging"),
        (server.get_trace_settings, "404", "tracing"),
    ]

    for ask, status, said in refusals:
        with pytest.raises(InferenceServerException, match=said) as refusal:
            ask()
        assert refusal.value.status() == status


def test_a_client_without_a_token_is_told_so(local: Local, crops: NDArray[np.uint8]) -> None:
    stranger = triton.InferenceServerClient(local.url.removeprefix("http://"))

    with pytest.raises(InferenceServerException, match="Authorization: Bearer"):
        stranger.infer(MODEL, [_input(crops)])

    stranger.close()

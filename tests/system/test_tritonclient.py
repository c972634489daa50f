"""NVIDIA's own clients of the Open Inference Protocol, as they are: the same cases over HTTP and gRPC."""

import asyncio
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton
from numpy.typing import NDArray
from tritonclient.utils import InferenceServerException

from deploy.local import Local
from hxserve import Client
from hxserve.jobs import Job
from tests.system.conftest import MODEL
from tests.system.tritonclients import (
    OUTPUTS,
    Bearer,
    Over,
    OverGrpc,
    OverHttp,
    streamed,
    streamed_in_asyncio,
)

NOISE_LSB = 20.0


@pytest.fixture(params=[OverHttp(), OverGrpc()], ids=["http", "grpc"])
def over(request: pytest.FixtureRequest) -> Over:
    """The protocol: each case runs over both."""
    chosen: Over = request.param
    return chosen


def _client(over: Over, local: Local) -> Any:
    client = over.module.InferenceServerClient(over.address(local))
    client.register_plugin(Bearer(local.token))
    return client


@pytest.fixture
def server(over: Over, local: Local, trained: Job) -> Iterator[Any]:
    """Tritonclient's client of the service."""
    del trained
    client = _client(over, local)
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


def _agrees(result: Any, expected: NDArray[np.int64]) -> bool:
    """Whether an answer is whole, and that of these crops: the noise is small beside what tells them apart."""
    digits, scores, confidences = (result.as_numpy(name) for name in OUTPUTS)
    assert digits.shape == confidences.shape == (len(expected),)
    assert (digits == scores.argmax(axis=1)).all()
    assert ((confidences > 0) & (confidences <= 1)).all()
    return bool((np.abs(scores - expected).mean(axis=1) < NOISE_LSB).all())


def _in_a_loop(work: Coroutine[Any, Any, Any]) -> Any:
    """What asyncio code returns, in a thread of its own: the browser tests keep an event loop running in this one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


def test_it_reads_digits(
    over: Over, server: Any, crops: NDArray[np.uint8], expected: NDArray[np.int64]
) -> None:
    outputs = [over.module.InferRequestedOutput(name) for name in OUTPUTS]

    result = server.infer(MODEL, [over.input(crops)], outputs=outputs, request_id="seven")

    assert _agrees(result, expected)
    assert over.facts(result) == ("seven", "mock")


@pytest.mark.parametrize("binary_out", [True, False])
@pytest.mark.parametrize("binary_in", [True, False])
def test_over_http_tensors_may_be_json(
    local: Local, crops: NDArray[np.uint8], expected: NDArray[np.int64], binary_in: bool, binary_out: bool
) -> None:
    server = _client(OverHttp(), local)
    outputs = [triton.InferRequestedOutput(name, binary_data=binary_out) for name in OUTPUTS]

    result = server.infer(MODEL, [OverHttp.input(crops, binary=binary_in)], outputs=outputs)

    assert _agrees(result, expected)
    server.close()


@pytest.mark.parametrize("asked", ["gzip", "deflate"])
@pytest.mark.parametrize("answered", ["gzip", "deflate"])
def test_it_may_compress_both_ways(
    over: Over, server: Any, crops: NDArray[np.uint8], expected: NDArray[np.int64], asked: str, answered: str
) -> None:
    result = server.infer(MODEL, [over.input(crops)], **over.compressed(asked, answered))

    assert _agrees(result, expected)


def test_floats_flat_crops_a_version_and_parameters(
    over: Over, server: Any, trained: Job, crops: NDArray[np.uint8], expected: NDArray[np.int64]
) -> None:
    assert trained.result is not None
    unit = (crops.reshape(-1, 784) / 255).astype(np.float32)

    result = server.infer(
        MODEL,
        [over.input(unit)],
        model_version=trained.result["version"],
        priority=1,
        timeout=30_000_000,
        parameters={"repeats": 2},
    )

    assert _agrees(result, expected)


def test_concurrent_requests_each_get_their_own_answers(
    over: Over, server: Any, crops: NDArray[np.uint8], expected: NDArray[np.int64]
) -> None:
    results = over.many(server, MODEL, [over.input(crops[i : i + 3]) for i in range(60)])

    assert all(_agrees(result, expected[i : i + 3]) for i, result in enumerate(results))
    assert not _agrees(results[0], expected[3:6])


def test_the_asyncio_client_works_too(
    over: Over, local: Local, crops: NDArray[np.uint8], expected: NDArray[np.int64]
) -> None:
    async def ask() -> list[Any]:
        async with over.aio.InferenceServerClient(over.address(local)) as server:
            server.register_plugin(Bearer(local.token))
            assert await server.is_server_ready()
            return await asyncio.gather(*(server.infer(MODEL, [over.input(crops)]) for _ in range(5)))

    assert all(_agrees(result, expected) for result in _in_a_loop(ask()))


def test_a_stream_over_grpc_is_answered_in_order(
    local: Local, crops: NDArray[np.uint8], expected: NDArray[np.int64]
) -> None:
    over = OverGrpc()
    tensors = [over.input(crops[i : i + 3]) for i in range(60)]

    async def ask() -> list[tuple[Any, Any]]:
        async with over.aio.InferenceServerClient(over.address(local)) as server:
            server.register_plugin(Bearer(local.token))
            return await streamed_in_asyncio(server, MODEL, tensors)

    server = _client(over, local)
    for came in (streamed(server, MODEL, tensors), _in_a_loop(ask())):
        assert [error for _, error in came if error] == []
        assert [over.facts(result)[0] for result, _ in came] == [str(i) for i in range(60)]
        assert all(_agrees(result, expected[i : i + 3]) for i, (result, _) in enumerate(came))
    server.close()


def test_it_finds_its_way_about(over: Over, server: Any, trained: Job) -> None:
    assert trained.result is not None
    version = trained.result["version"]

    assert server.is_server_live()
    assert server.is_server_ready()
    assert server.is_model_ready(MODEL)
    assert server.is_model_ready(MODEL, version)
    assert not server.is_model_ready("nothing")
    assert "binary_tensor_data" in over.told(server.get_server_metadata)["extensions"]
    assert over.told(server.get_model_metadata, MODEL, version)["versions"] == [version]
    assert over.told(server.get_model_config, MODEL)["max_batch_size"] > 1
    assert (MODEL, version) in {
        (entry["name"], entry["version"]) for entry in over.told(server.get_model_repository_index)
    }


def test_its_statistics_grow_with_its_requests(over: Over, server: Any, crops: NDArray[np.uint8]) -> None:
    def counted() -> tuple[int, int, int]:
        said = over.told(server.get_inference_statistics, MODEL)["model_stats"][-1]
        parts = said.get("inference_stats", {})
        success, computed = parts.get("success", {}), parts.get("compute_infer", {})
        # JSON made of messages has no zeros, and large numbers as text.
        values = said.get("inference_count", 0), success.get("count", 0), computed.get("ns", 0)
        crops_read, requests, time_ns = map(int, values)
        return crops_read, requests, time_ns

    before = counted()

    server.infer(MODEL, [over.input(crops)])

    after = counted()
    assert (after[0] - before[0], after[1] - before[1]) == (len(crops), 1)
    assert after[2] > before[2]


def test_it_understands_every_refusal(over: Over, server: Any, crops: NDArray[np.uint8]) -> None:
    wrong_name = over.module.InferInput("images", [1, 784], "UINT8")
    wrong_name.set_data_from_numpy(crops[:1].reshape(1, 784))
    wrong_shape = over.module.InferInput("crops", [1, 392], "UINT8")
    wrong_shape.set_data_from_numpy(crops[0].reshape(2, 392)[:1])
    wrong, missing, absent = (
        ("400", "404", "404")
        if over.name == "http"
        else ("StatusCode.INVALID_ARGUMENT", "StatusCode.NOT_FOUND", "StatusCode.UNIMPLEMENTED")
    )
    refusals = [
        (lambda: server.infer(MODEL, [wrong_name]), wrong, "images"),
        (lambda: server.infer(MODEL, [wrong_shape]), wrong, "shape"),
        (lambda: server.infer("nothing", [over.input(crops)]), missing, "nothing"),
        (lambda: server.infer(MODEL, [over.input(crops)], sequence_id=3), wrong, "sequence_id"),
        (lambda: server.get_model_metadata("nothing"), missing, "nothing"),
        (lambda: server.load_model(MODEL), absent, "not loaded"),
        (lambda: server.unload_model(MODEL), absent, "not loaded"),
        (server.get_system_shared_memory_status, absent, "shared memory"),
        (lambda: server.update_log_settings({"log_verbose_level": 1}), absent, "logging"),
        (server.get_trace_settings, absent, "tracing"),
    ]

    for ask, status, said in refusals:
        with pytest.raises(InferenceServerException, match=said) as refusal:
            ask()
        assert refusal.value.status() == status


def test_a_client_without_a_token_is_told_so(over: Over, local: Local, crops: NDArray[np.uint8]) -> None:
    stranger = over.module.InferenceServerClient(over.address(local))

    with pytest.raises(InferenceServerException, match="Authorization: Bearer"):
        stranger.infer(MODEL, [over.input(crops)])

    stranger.close()


def test_a_deadline_over_grpc_is_kept(local: Local, trained: Job, crops: NDArray[np.uint8]) -> None:
    del trained
    server, tensor = _client(OverGrpc(), local), OverGrpc.input(crops)

    with pytest.raises(InferenceServerException) as refusal:
        server.infer(MODEL, [tensor], client_timeout=0.0001)

    assert refusal.value.status() == "StatusCode.DEADLINE_EXCEEDED"
    assert len(server.infer(MODEL, [tensor], client_timeout=30).as_numpy("digits")) == len(crops)
    server.close()

"""The Open Inference Protocol over gRPC: answers, refusals, deadlines and cancellation, over a real port."""

import threading
from collections.abc import Iterator
from typing import Any

import grpc
import numpy as np
import pytest
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from api.application import Application
from api.grpc.messages import CALLS, DESCRIPTOR, SERVICE
from api.grpc.statuses import code_of
from services.errors import HxserveError
from services.jobs.record import JobState
from services.models.files import ModelStore
from services.users.accounts import Role
from tests.api.grpc import COUNT, CREDENTIALS, Stub, infer_request, serving
from tests.api.inference import expected_outputs
from tests.services.chip import Chip
from tests.services.samples import some_crops
from tests.services.test_errors import TREE
from tests.system.conftest import wait_until

Code = grpc.StatusCode
_TYPES: dict[str, Any] = {"INT64": "<i8", "INT8": "i1", "FP32": "<f4"}


@pytest.fixture
def channel(application: Application) -> Iterator[grpc.Channel]:
    with serving(application) as server, grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        yield channel


@pytest.fixture
def stub(channel: grpc.Channel) -> Stub:
    return Stub(channel)


def outputs_of(answer: Any) -> dict[str, list[Any]]:
    """The tensors of an answer."""
    return {
        output.name: np.frombuffer(raw, _TYPES[output.datatype]).reshape(output.shape).tolist()
        for output, raw in zip(answer.outputs, answer.raw_output_contents, strict=True)
    }


def refused(call: Any) -> grpc.RpcError:
    """The refusal of a call under way."""
    with pytest.raises(grpc.RpcError) as refusal:
        call.result(timeout=30)
    return refusal.value


def states(application: Application) -> list[JobState]:
    """The states of all jobs on record."""
    ids = [job_id for _, job_id in application.jobs.newest(before=None, count=100)]
    return [job.state for job in application.jobs.get_many(ids)]


@pytest.mark.parametrize("count", [1, COUNT, 65])
@pytest.mark.usefixtures("chip")
def test_tensors_as_bytes_come_back_as_bytes(stub: Stub, count: int) -> None:
    request = infer_request(count)
    request.id = "seven"

    answer = stub("ModelInfer", request)

    assert outputs_of(answer) == expected_outputs(count)
    assert (answer.model_name, answer.model_version, answer.id) == ("digits", "2", "seven")
    assert answer.parameters["backend"].string_param == "mock"
    assert answer.parameters["total_ms"].double_param > 0


@pytest.mark.usefixtures("chip")
def test_numbers_one_by_one_are_the_same_crops(stub: Stub) -> None:
    whole, unit = infer_request(), infer_request()
    crops = some_crops(COUNT)
    for request, kind, contents, values in (
        (whole, "UINT8", "uint_contents", list(crops)),
        (unit, "FP32", "fp32_contents", [value / 255 for value in crops]),
    ):
        request.ClearField("raw_input_contents")
        request.inputs[0].datatype = kind
        getattr(request.inputs[0].contents, contents).extend(values)

    assert outputs_of(stub("ModelInfer", whole)) == expected_outputs()
    assert outputs_of(stub("ModelInfer", unit)) == expected_outputs()


@pytest.mark.usefixtures("chip")
def test_only_the_outputs_asked_for_come(stub: Stub) -> None:
    request = infer_request()
    for name in ("scores", "digits"):
        request.outputs.add(name=name)

    assert list(outputs_of(stub("ModelInfer", request))) == ["scores", "digits"]


@pytest.mark.usefixtures("chip")
def test_the_same_request_with_the_same_key_is_run_once(stub: Stub, application: Application) -> None:
    metadata = (*CREDENTIALS, ("idempotency-key", "k"))

    first, again = (stub("ModelInfer", infer_request(), metadata=metadata) for _ in range(2))

    assert outputs_of(first) == outputs_of(again) == expected_outputs()
    assert states(application) == ["succeeded"]


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"shape": [COUNT, 28, 27]}, "shape"),
    ({"shape": [2, 28, 28]}, "bytes came"),
    ({"sequence_id": 3}, "sequence_id"),
    ({"repeats": 65}, "repeats"),
    ({"timeout": -1}, "timeout"),
]


@pytest.mark.parametrize(("changes", "said"), WRONG)
@pytest.mark.usefixtures("chip")
def test_a_wrong_request_is_an_invalid_argument(stub: Stub, changes: dict[str, Any], said: str) -> None:
    refusal = refused(stub.start("ModelInfer", infer_request(**changes)))

    assert refusal.code() is Code.INVALID_ARGUMENT
    assert said in refusal.details()
    assert "retry-after" not in dict(refusal.trailing_metadata())


@pytest.mark.usefixtures("models")
def test_a_message_that_is_none_is_an_invalid_argument(channel: grpc.Channel) -> None:
    call = channel.unary_unary(f"/{SERVICE}/ModelInfer")
    refusal = refused(call.future(b"\xff" * 9, metadata=CREDENTIALS))

    assert (refusal.code(), refusal.details()) == (
        Code.INVALID_ARGUMENT,
        "the message is no inference.ModelInferRequest",
    )


@pytest.mark.parametrize("limits", [{"max_body_bytes": 2**16}])
@pytest.mark.usefixtures("models")
def test_a_message_beyond_the_limit_is_refused(stub: Stub) -> None:
    refusal = refused(stub.start("ModelInfer", infer_request(200)))

    assert refusal.code() is Code.RESOURCE_EXHAUSTED


@pytest.mark.parametrize("limits", [{"max_crops_per_request": 2}])
@pytest.mark.usefixtures("models")
def test_more_crops_than_a_request_may_have_are_refused(stub: Stub) -> None:
    refusal = refused(stub.start("ModelInfer", infer_request()))

    assert (refusal.code(), refusal.details()) == (
        Code.INVALID_ARGUMENT,
        "3 images are too many; send at most 2 per request",
    )


def test_a_model_that_is_not_there_is_not_found(stub: Stub) -> None:
    refusal = refused(stub.start("ModelInfer", infer_request(model="nothing")))

    assert refusal.code() is Code.NOT_FOUND
    assert dict(refusal.trailing_metadata())["hxserve-code"] == "model_not_found"


@pytest.mark.parametrize("metadata", [(), (("authorization", "Bearer wrong"),), (("authorization", "x"),)])
@pytest.mark.parametrize("name", sorted(set(CALLS) - {"ServerLive", "ServerReady"}))
def test_all_but_the_servers_health_needs_a_token(stub: Stub, name: str, metadata: Any) -> None:
    refusal = refused(stub.start(name, metadata=metadata))

    assert refusal.code() is Code.UNAUTHENTICATED
    assert "Authorization: Bearer" in refusal.details()


def test_health_of_the_server_needs_no_token(stub: Stub, idle_chip: Chip) -> None:
    del idle_chip

    assert stub("ServerLive", metadata=()).live
    assert stub("ServerReady", metadata=()).ready


def test_without_a_chip_the_server_is_not_ready(stub: Stub, models: ModelStore) -> None:
    del models

    assert not stub("ServerReady").ready


@pytest.mark.parametrize("limits", [{"max_waiting_crops": 2}])
@pytest.mark.usefixtures("idle_chip")
def test_a_full_queue_says_when_to_try_again(stub: Stub) -> None:
    refusal = refused(stub.start("ModelInfer", infer_request()))

    trailer = dict(refusal.trailing_metadata())
    assert refusal.code() is Code.RESOURCE_EXHAUSTED
    assert trailer["retry-after"] == "1"
    status, reason, retry = Status.FromString(trailer["grpc-status-details-bin"]), ErrorInfo(), RetryInfo()
    assert status.message == refusal.details()
    assert status.details[0].Unpack(reason)
    assert status.details[1].Unpack(retry)
    assert (reason.reason, retry.retry_delay.seconds) == ("queue_full", 1)


@pytest.mark.usefixtures("chip")
def test_the_rate_of_a_user_is_limited_as_over_http(stub: Stub, application: Application) -> None:
    _, issued = application.users.add("ada", Role.USER, {"requests_per_second": 1})
    metadata = (("authorization", f"Bearer {issued.secret}"),)
    for _ in range(2):
        stub("ModelInfer", infer_request(), metadata=metadata)

    refusal = refused(stub.start("ModelInfer", infer_request(), metadata=metadata))

    assert refusal.code() is Code.RESOURCE_EXHAUSTED
    assert dict(refusal.trailing_metadata())["hxserve-code"] == "quota_exceeded"


def test_another_users_private_model_is_not_found(stub: Stub, application: Application, chip: Chip) -> None:
    del chip
    _, issued = application.users.add("eve", Role.USER, {})
    metadata = (("authorization", f"Bearer {issued.secret}"),)

    refusal = refused(stub.start("ModelInfer", infer_request(model="ada~digits"), metadata=metadata))

    assert refusal.code() is Code.NOT_FOUND


def test_what_was_not_run_within_its_timeout_is_not_run_at_all(
    stub: Stub, application: Application, idle_chip: Chip
) -> None:
    refusal = refused(stub.start("ModelInfer", infer_request(timeout=1000)))

    assert (refusal.code(), refusal.details()[:30]) == (
        Code.DEADLINE_EXCEEDED,
        "the crops were not run in time",
    )
    assert states(application) == ["cancelled"]
    assert idle_chip.work_once() == 0


@pytest.mark.parametrize("count", [COUNT, 65])
def test_a_deadline_that_passes_drops_the_crops(
    stub: Stub, application: Application, idle_chip: Chip, count: int
) -> None:
    refusal = refused(stub.start("ModelInfer", infer_request(count), timeout=0.5))

    assert refusal.code() is Code.DEADLINE_EXCEEDED
    wait_until(lambda: states(application) == ["cancelled"])
    assert idle_chip.work_once() == 0


def test_a_cancelled_call_drops_its_crops_and_no_others(
    stub: Stub, application: Application, idle_chip: Chip
) -> None:
    cancelled, kept = (stub.start("ModelInfer", infer_request()) for _ in range(2))
    wait_until(lambda: application.chips.waiting_crops() == 2 * COUNT)

    cancelled.cancel()

    wait_until(lambda: states(application) == ["cancelled"])
    idle_chip.start()
    assert outputs_of(kept.result(timeout=30)) == expected_outputs()


def test_a_cancelled_call_with_a_key_is_answered_when_it_is_sent_again(
    stub: Stub, application: Application, idle_chip: Chip
) -> None:
    metadata = (*CREDENTIALS, ("idempotency-key", "k"))
    call = stub.start("ModelInfer", infer_request(), metadata=metadata)
    wait_until(lambda: application.chips.waiting_crops() == COUNT)
    call.cancel()

    idle_chip.start()

    assert outputs_of(stub("ModelInfer", infer_request(), metadata=metadata)) == expected_outputs()
    assert states(application) == ["succeeded"]


@pytest.mark.usefixtures("chip")
def test_a_stream_answers_in_order_and_goes_on_after_a_refusal(stub: Stub) -> None:
    requests = [infer_request(1 + number % 3) for number in range(100)]
    for number, request in enumerate(requests):
        request.id = str(number)
    requests[40].model_name = "nothing"

    answers = list(stub.stream(iter(requests)))

    assert [answer.infer_response.id for answer in answers] == [request.id for request in requests]
    assert "nothing" in answers[40].error_message
    assert answers[40].infer_response.parameters["hxserve_code"].string_param == "model_not_found"
    assert not answers[40].infer_response.parameters["retryable"].bool_param
    for number, answer in enumerate(answers):
        if number != 40:
            assert outputs_of(answer.infer_response) == expected_outputs(1 + number % 3)
            assert answer.infer_response.parameters["triton_final_response"].bool_param


def test_a_stream_that_is_cancelled_drops_its_crops(
    stub: Stub, application: Application, idle_chip: Chip
) -> None:
    open_end = threading.Event()

    def requests() -> Iterator[Any]:
        yield from (infer_request() for _ in range(4))
        open_end.wait(30)

    stream = stub.stream(requests())
    wait_until(lambda: application.chips.waiting_crops() == 4 * COUNT)
    stream.cancel()

    wait_until(lambda: states(application) == ["cancelled"] * 4)
    open_end.set()
    assert idle_chip.work_once() == 0


def test_a_stream_without_a_token_is_refused(stub: Stub) -> None:
    with pytest.raises(grpc.RpcError) as refusal:
        list(stub.stream(iter([infer_request()]), metadata=()))

    assert refusal.value.code() is Code.UNAUTHENTICATED


@pytest.mark.usefixtures("chip")
def test_its_calls_are_counted_with_the_status_that_http_has(stub: Stub, application: Application) -> None:
    stub("ModelInfer", infer_request())
    refused(stub.start("ModelInfer", infer_request(model="nothing")))

    route = f"/{SERVICE}/ModelInfer"
    counted = application.request_times.distributions
    assert {key: sum(counted[key].counts) for key in counted} == {
        ("POST", route, 200): 1,
        ("POST", route, 404): 1,
    }


@pytest.mark.parametrize("kind", TREE)
def test_every_error_has_a_code_and_a_final_one_is_never_tried_again(kind: type[HxserveError]) -> None:
    code = code_of(kind())

    assert code not in {Code.OK, Code.UNKNOWN}
    assert kind.retryable or code is not Code.UNAVAILABLE


@pytest.mark.usefixtures("idle_chip")
def test_the_health_service_says_that_a_chip_serves(channel: grpc.Channel) -> None:
    def status() -> int:
        said: int = HealthStub(channel).Check(HealthCheckRequest(service=SERVICE), timeout=10).status
        return said

    wait_until(lambda: status() == HealthCheckResponse.SERVING)


def test_reflection_describes_all_services(channel: grpc.Channel) -> None:
    reflected = ProtoReflectionDescriptorDatabase(channel)

    services = set(reflected.get_services())
    described = reflected.FindFileContainingSymbol(SERVICE).service[0]

    assert services == {SERVICE, "grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"}
    assert reflected.FindFileContainingSymbol("grpc.health.v1.Health").package == "grpc.health.v1"
    assert {method.name for method in described.method} == {*CALLS, "ModelStreamInfer"}
    assert DESCRIPTOR.full_name == SERVICE

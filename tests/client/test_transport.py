"""Transport of requests: refusals, repetitions, broken connections."""

import socket
import subprocess
import sys
import threading

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from hxserve import Client, ConnectionFailedError, ServiceError
from hxserve.errors import AnswerNotUnderstoodError, InvalidNameError
from tests.client.records import JOB_ID
from tests.client.service import DROPPED, TOKEN, Reply, Service, problem


def test_a_refusal_carries_the_services_code_and_words(service: Service, client: Client) -> None:
    service.faults.append(problem(422, "invalid_input", "params.epochs: must be at least 1, got 0"))

    with pytest.raises(ServiceError) as caught:
        client.train(epochs=0)

    assert (caught.value.code, caught.value.status, caught.value.retryable) == ("invalid_input", 422, False)
    assert "params.epochs" in str(caught.value)


def test_a_wrong_token_is_a_refusal(service: Service) -> None:
    with pytest.raises(ServiceError, match="not_authenticated"):
        Client(service.url, "wrong").models()


@pytest.mark.parametrize(
    "fault",
    [
        problem(503, "unavailable", "starting", retry_after="1"),
        problem(429, "queue_full", "later", retry_after="0"),
        Reply(502, body=b"<html>Bad gateway</html>"),
        DROPPED,
        Reply(document={"chips": []}, cut=True),
    ],
    ids=["503", "429", "502", "dropped", "cut"],
)
def test_what_passes_is_tried_again(service: Service, client: Client, fault: Reply) -> None:
    service.faults.append(fault)

    chips = client.chip()["chips"]

    assert chips[0]["id"] == "chip-1"
    assert len(service.requests) == 2


def test_a_submission_that_is_repeated_keeps_its_key(service: Service, client: Client) -> None:
    service.faults.extend([DROPPED, Reply(502)])

    client.train()

    keys = [request.headers["Idempotency-Key"] for request in service.asked("POST", "/v1/jobs")]
    assert len(keys) == 3
    assert len(set(keys)) == 1


def test_two_submissions_have_two_keys(service: Service, client: Client) -> None:
    client.train()
    client.train()

    first, second = service.asked("POST", "/v1/jobs")
    assert first.headers["Idempotency-Key"] != second.headers["Idempotency-Key"]


def test_a_service_that_stays_busy_is_an_error_that_says_when_to_come_back(
    service: Service, client: Client
) -> None:
    service.faults.extend([problem(503, "unavailable", "no worker holds the chip", "0")] * 5)

    with pytest.raises(ServiceError) as caught:
        client.chip()

    assert caught.value.retryable
    assert caught.value.retry_after_s == 0
    assert "no worker" in caught.value.detail


def test_other_failures_are_not_repeated(service: Service, client: Client) -> None:
    service.faults.append(problem(500, "internal_error", "the operator's log says what"))

    with pytest.raises(ServiceError, match="internal_error"):
        client.chip()

    assert len(service.requests) == 1


def test_without_a_service_the_error_says_how_to_start_one() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    with pytest.raises(ConnectionFailedError, match="hxserve up"):
        Client(f"http://127.0.0.1:{port}", retries=1, backoff_s=0).models()


def test_a_service_that_says_nothing_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"

        with pytest.raises(ConnectionFailedError, match="then said nothing"):
            Client(url, timeout_s=0.05, retries=0).models()


def test_a_service_without_tls_is_not_taken_for_one_that_restarts(service: Service) -> None:
    url = service.url.replace("http:", "https:")

    with pytest.raises(ConnectionFailedError, match="no secure connection"):
        Client(url, retries=0).models()


def test_another_server_is_recognised(service: Service, client: Client) -> None:
    service.faults.append(Reply(body=b"<html>", headers={"Content-Type": "text/html"}))

    with pytest.raises(AnswerNotUnderstoodError, match="text/html"):
        client.models()


def test_a_redirect_is_not_followed_with_the_token(service: Service, client: Client) -> None:
    service.faults.append(Reply(308, headers={"Location": "https://elsewhere/"}))

    with pytest.raises(ServiceError, match="https://elsewhere/"):
        client.models()


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_a_name_that_leads_elsewhere_is_refused(client: Client, name: str) -> None:
    with pytest.raises(InvalidNameError):
        client.delete_version("digits", name)


def test_a_name_is_one_segment_of_the_path(service: Service, client: Client) -> None:
    with pytest.raises(ServiceError, match="not_found"):
        client.job("a/b?c")

    assert service.requests[0].path == "/v1/jobs/a%2Fb%3Fc"


def test_a_deletion_done_at_the_first_try_succeeds_at_the_second(service: Service, client: Client) -> None:
    service.faults.extend([DROPPED, problem(404, "model_not_found", "no such version")])

    client.delete_version("digits", 1)


def test_deleting_what_is_not_there_is_refused(client: Client) -> None:
    with pytest.raises(ServiceError, match="not_found"):
        client.delete_version("digits", 7)


def test_readiness_is_asked_once(service: Service, client: Client) -> None:
    service.faults.append(problem(503, "unavailable", "no worker", retry_after="5"))

    assert not client.is_ready()
    assert client.is_ready()


def test_one_client_serves_many_threads(service: Service, client: Client) -> None:
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(client.job(JOB_ID).id)) for _ in range(12)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == [JOB_ID] * 12
    assert all(r.headers["Authorization"] == f"Bearer {TOKEN}" for r in service.requests)


def test_a_request_within_a_span_carries_it_and_is_a_span_itself(
    service: Service, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)

    with provider.get_tracer("program").start_as_current_span("program") as outer:
        client.chip()

    [span] = [span for span in exporter.get_finished_spans() if span.name == "GET"]
    assert span.context is not None
    assert span.parent == outer.get_span_context()
    assert span.attributes is not None
    assert span.attributes["http.response.status_code"] == 200
    ids = f"{span.context.trace_id:032x}-{span.context.span_id:016x}"
    assert service.requests[-1].headers["traceparent"].split("-", 1)[1].startswith(ids)


def test_a_request_without_a_span_carries_none(service: Service, client: Client) -> None:
    client.chip()

    assert "traceparent" not in service.requests[-1].headers


def test_the_client_does_not_import_opentelemetry() -> None:
    program = (
        "import sys, hxserve.cli; print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )

    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert ran.stdout.strip() == "[]"

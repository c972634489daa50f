"""Traces through the real processes: a client's program, API, worker, and a collector that takes what they export."""

import json
import os
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import urllib3
from safetensors.numpy import save

from api.grpc.messages import SERVICE
from api.operations import MEDIA_TYPE
from deploy.local import Local, running
from hxserve import Client
from services.settings import load_settings
from services.store.connection import Connection
from tests.api.grpc import Stub, infer_request
from tests.services.tracing.test_traces import without_opentelemetry
from tests.system.collector import Collected, Collector, collecting
from tests.system.conftest import GRPC_PORT, TRAINING, wait_until

CROPS = 784 * bytes([7])
CLASSIFY = "/v1/models/digits/classify?wait=30"
_NEVER = {"OTEL_TRACES_SAMPLER": "parentbased_always_off"}
"""Only what a client has sampled is traced."""
_PROGRAM = """
import sys
import numpy as np
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from hxserve import Client

provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(provider)
with Client(*sys.argv[1:3]) as client, trace.get_tracer("program").start_as_current_span("program") as span:
    client.classify(np.full((1, 28, 28), 7, np.uint8), "digits")
    print(f"{span.get_span_context().trace_id:032x}")
provider.shutdown()
"""


@contextmanager
def _service(folder: Path, **variables: str) -> Iterator[Local]:
    """A service with these variables, and a model."""
    settings = load_settings(
        data_dir=folder,
        chip="mock",
        port=0,
        grpc_port=GRPC_PORT,
        log_format="json",
        log_level="debug",
        lease_s=60,
    )
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("OTEL_")]:
            patch.delenv(name)
        for name, value in {"OTEL_BSP_SCHEDULE_DELAY": "100", **variables}.items():
            patch.setenv(name, value)
        with running(settings) as local:
            with Client(local.url, local.token) as client:
                client.train("digits", wait=True, **TRAINING | {"epochs": 1})
            yield local


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    """A collector for all tests here: each has traces of its own."""
    with collecting() as collector:
        yield collector


@pytest.fixture(scope="module")
def traced(collector: Collector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    """A service that traces what its clients have sampled."""
    variables = _NEVER | {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
    with _service(tmp_path_factory.mktemp("traced"), **variables) as local:
        yield local


class _Sender:
    """A foreign client that sends a `traceparent`; `sampled` is its last bit."""

    def __init__(self, local: Local, *, sampled: bool = True) -> None:
        self.trace_id, self.span_id = uuid.uuid4().hex, uuid.uuid4().hex[:16]
        self.local = local
        headers = {
            "Authorization": f"Bearer {local.token}",
            "traceparent": f"00-{self.trace_id}-{self.span_id}-0{int(sampled)}",
        }
        self._pool = urllib3.PoolManager(headers=headers, retries=False, timeout=60)

    def send(
        self, method: str, path: str, body: bytes | None = None, **more: Any
    ) -> urllib3.BaseHTTPResponse:
        """Returns the answer."""
        kind = more.pop("kind", "application/octet-stream")
        headers = {**self._pool.headers, "Content-Type": kind, "Idempotency-Key": uuid.uuid4().hex}
        return self._pool.request(method, self.local.url + path, body=body, headers=headers, **more)

    def classify(self) -> urllib3.BaseHTTPResponse:
        """Returns the answer to a crop."""
        return self.send("POST", CLASSIFY, CROPS)


def _whole(collector: Collector, trace_id: str, *names: str) -> dict[str, Collected]:
    """The spans of a trace by name, once all of these have come."""
    wait_until(lambda: set(names) <= {span.name for span in collector.spans(trace_id=trace_id)})
    return {span.name: span for span in collector.spans(trace_id=trace_id)}


def _lines(local: Local, process: str, trace_id: str) -> list[dict[str, Any]]:
    """What a process logged with this trace."""
    text = local.processes[process].log.read_text("utf-8")
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    return [line for line in lines if line.get("trace_id") == trace_id]


def test_a_request_of_a_program_is_one_trace_from_client_to_chip_and_both_logs_name_it(
    traced: Local, collector: Collector
) -> None:
    variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_SERVICE_NAME": "program"}
    variables["OTEL_TRACES_SAMPLER"] = "always_on"

    ran = subprocess.run(
        [sys.executable, "-c", _PROGRAM, traced.url, traced.token],
        env=os.environ | variables,
        capture_output=True,
        check=True,
    )

    trace_id = ran.stdout.decode().strip()
    route = "POST /v1/models/<name>/classify"
    spans = _whole(collector, trace_id, "program", "POST", route, "wait in queue", "batch", "chip call")
    program, client, api = (spans[name] for name in ("program", "POST", route))
    waiting, batch, chip = (spans[name] for name in ("wait in queue", "batch", "chip call"))
    assert len(collector.spans(trace_id=trace_id)) == 6
    assert (client.parent, api.parent, waiting.parent, batch.parent, chip.parent) == (
        program.id,
        client.id,
        api.id,
        api.id,
        batch.id,
    )
    assert (client.service, api.service, batch.service) == ("program", "hxserve-api", "hxserve-worker")
    assert batch.links == {(trace_id, api.id)}
    assert waiting.links == {(trace_id, batch.id)}
    assert client.begin <= api.begin <= batch.begin <= chip.begin <= chip.end <= batch.end
    assert chip.end <= api.end <= client.end
    assert (api.attributes["http.response.status_code"], batch.attributes["hxserve.model"]) == (200, "digits")
    assert batch.resource["hxserve.chip"] == "chip-1"
    assert {line["span_id"] for line in _lines(traced, "api", trace_id)} == {api.id}
    assert batch.id in {line["span_id"] for line in _lines(traced, "worker", trace_id)}


def test_a_call_and_a_stream_over_grpc_are_traced_as_requests(traced: Local, collector: Collector) -> None:
    sender = _Sender(traced)
    metadata = (
        ("authorization", f"Bearer {traced.token}"),
        ("traceparent", f"00-{sender.trace_id}-{sender.span_id}-01"),
    )
    with grpc.insecure_channel(str(traced.grpc)) as channel:
        stub = Stub(channel)
        infer = stub.start("ModelInfer", infer_request(), metadata=metadata)
        named = dict(infer.trailing_metadata())["traceresponse"]
        assert len(list(stub.stream(iter([infer_request()]), metadata))) == 1

    call, stream = (f"POST /{SERVICE}/{name}" for name in ("ModelInfer", "ModelStreamInfer"))
    spans = _whole(collector, sender.trace_id, call, stream, "batch")
    assert {spans[call].parent, spans[stream].parent} == {sender.span_id}
    assert spans[call].service == "hxserve-grpc"
    assert named == f"00-{sender.trace_id}-{spans[call].id}-01"
    batches = [span for span in collector.spans(trace_id=sender.trace_id) if span.name == "batch"]
    assert {batch.parent for batch in batches} <= {spans[call].id, spans[stream].id}
    assert spans[call].attributes["http.response.status_code"] == 200


def test_an_answer_names_the_span_of_its_request_if_that_is_sampled(
    traced: Local, collector: Collector
) -> None:
    sampled, unsampled = _Sender(traced), _Sender(traced, sampled=False)

    answers = [sampled.classify(), sampled.send("POST", CLASSIFY, b"x"), sampled.send("GET", "/v1/chip")]
    without = unsampled.classify()

    named = [answer.headers["traceresponse"].split("-") for answer in answers]
    wait_until(lambda: len(collector.spans(trace_id=sampled.trace_id)) >= 6)
    statuses = {
        span.id: span.attributes["http.response.status_code"]
        for span in collector.spans(trace_id=sampled.trace_id, service="hxserve-api")
    }
    assert [statuses[span_id] for _, _, span_id, _ in named] == [200, 422, 200]
    assert {trace_id for _, trace_id, _, _ in named} == {sampled.trace_id}
    assert without.status == 200
    assert "traceresponse" not in without.headers


def test_a_batch_links_to_all_sampled_requests_in_it_and_to_no_other(
    traced: Local, collector: Collector
) -> None:
    senders = [_Sender(traced, sampled=number % 2 == 0) for number in range(32)]
    worker = traced.processes["worker"].pid
    counted = _Sender(traced, sampled=False)

    def waiting() -> int:
        return int(counted.send("GET", "/v1/queue").json()["crops"]["waiting"])

    data = traced.processes["api"].log.parent.parent
    with ThreadPoolExecutor(33) as pool, closing(Connection(f"unix://{data}/redis/redis.sock")) as connection:
        os.kill(worker, signal.SIGSTOP)
        try:
            pool.submit(
                counted.classify
            )  # most likely handed to the worker with its bell, and waiting no more
            wait_until(lambda: bool(connection.client.exists("hx:crops:digits@1:admin")))
            before = waiting()
            answers = [pool.submit(sender.classify) for sender in senders]
            wait_until(lambda: waiting() == before + 32)
        finally:
            os.kill(worker, signal.SIGCONT)
        assert {answer.result().status for answer in answers} == {200}

    sampled = senders[::2]
    for sender in sampled:
        _whole(collector, sender.trace_id, "POST /v1/models/<name>/classify", "wait in queue")
    requests = {
        (span.trace_id, span.id)
        for sender in sampled
        for span in collector.spans(trace_id=sender.trace_id, service="hxserve-api")
    }
    batches = [span for span in collector.spans(name="batch") if span.links & requests]
    waits = [
        span for sender in sampled for span in collector.spans(trace_id=sender.trace_id, name="wait in queue")
    ]
    assert len(requests) == len(waits) == 16
    assert [batch.links for batch in batches] == [requests]
    assert {link for span in waits for link in span.links} == {(batches[0].trace_id, batches[0].id)}
    assert batches[0].attributes["hxserve.crops"] >= 32
    assert not [span for sender in senders[1::2] for span in collector.spans(trace_id=sender.trace_id)]


def test_a_job_is_a_trace_of_slices_that_links_to_its_submission(traced: Local, collector: Collector) -> None:
    sender = _Sender(traced)

    body = {"kind": "training", "model": "other", "params": TRAINING | {"epochs": 1}}
    job = sender.send("POST", "/v1/jobs", json.dumps(body).encode(), kind="application/json").json()
    with Client(traced.url, traced.token) as client:
        client.wait(job["id"])

    submission = _whole(collector, sender.trace_id, "POST /v1/jobs", "wait in queue")

    def roots() -> list[Collected]:
        jobs = collector.spans(name="job training")
        return [span for span in jobs if span.attributes["hxserve.job"] == job["id"]]

    wait_until(lambda: bool(roots()))
    [root] = roots()
    slices = collector.spans(trace_id=root.trace_id, name="slice")
    assert root.links == {(sender.trace_id, submission["POST /v1/jobs"].id)}
    assert submission["wait in queue"].links == {(root.trace_id, root.id)}
    assert root.attributes["hxserve.state"] == "succeeded"
    assert slices
    assert {span.parent for span in slices} == {root.id}
    assert "trace" not in job
    assert [line["job"] for line in _lines(traced, "api", sender.trace_id) if "submitted" in line["message"]]
    assert {"taken up", "succeeded"} <= {
        word
        for line in _lines(traced, "worker", root.trace_id)
        for word in ("taken up", "succeeded")
        if word in line["message"]
    }


def test_an_operation_of_a_program_is_a_trace_down_to_the_chip(traced: Local, collector: Collector) -> None:
    sender = _Sender(traced)
    opened = sender.send("POST", "/v1/chip/sessions", b"{}", kind="application/json").json()["id"]

    inputs, weights = np.ones((2, 20), np.uint8), np.ones((20, 3), np.int8)
    operation = save({"inputs": inputs, "weights": weights})
    answer = sender.send("POST", f"/v1/chip/sessions/{opened}/operations", operation, kind=MEDIA_TYPE)

    assert answer.status == 200
    route = "POST /v1/chip/sessions/<session>/operations"
    spans = _whole(collector, sender.trace_id, route, "wait in queue", "operation", "chip call")
    assert spans[route].parent == sender.span_id
    assert spans["wait in queue"].parent == spans["operation"].parent == spans[route].id
    assert spans["chip call"].parent == spans["operation"].id
    assert spans["operation"].links == {(sender.trace_id, spans[route].id)}


@pytest.mark.long
def test_a_dead_collector_changes_no_answer_and_is_logged_once(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections, and never answers
        dead = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with _service(
            tmp_path / "data", OTEL_EXPORTER_OTLP_ENDPOINT=dead, OTEL_EXPORTER_OTLP_TIMEOUT="1"
        ) as local:
            statuses = {_Sender(local).classify().status for _ in range(300)}
            logs = [local.processes[process].log for process in ("api", "worker")]
            wait_until(lambda: all("takes no traces" in log.read_text() for log in logs))

    assert statuses == {200}
    assert [log.read_text().count("takes no traces") for log in logs] == [1, 1]


@pytest.mark.long
def test_without_opentelemetry_the_service_runs_and_says_what_is_missing(
    collector: Collector, tmp_path: Path
) -> None:
    hidden = without_opentelemetry(tmp_path / "hidden")
    path = os.pathsep.join(filter(None, [hidden, os.environ.get("PYTHONPATH")]))

    with _service(tmp_path / "data", OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, PYTHONPATH=path) as local:
        sender = _Sender(local)
        answer = sender.classify()
        logs = [local.processes[process].log.read_text() for process in ("api", "worker")]

    assert answer.status == 200
    assert "traceresponse" not in answer.headers
    assert all("install hxserve-server[tracing]" in log for log in logs)
    assert not collector.spans(trace_id=sender.trace_id)

"""A small real HTTP server that keeps the service's side of the contract, and breaks it when told to."""

import json
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.client.records import (
    JOB_ID,
    WEIGHTS,
    a_chip,
    a_correction,
    a_dataset,
    a_dataset_version,
    a_labelled_crop,
    a_model,
    a_new_token,
    a_user,
    job_record,
    manifest,
    predictions_document,
    trained,
)

TOKEN = "a-token-of-the-tests"  # noqa: S105 - opens nothing but the tests' own server


@dataclass(frozen=True, slots=True)
class Request:
    """A received request."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, read."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Reply:
    """A response; `cut` ends the connection in the middle of the body, `drop` before any byte."""

    status: int = 200
    document: Any = None
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: bool = False
    drop: bool = False

    @property
    def content(self) -> bytes:
        """The body, written."""
        if self.body is not None:
            return self.body
        return b"" if self.document is None else json.dumps(self.document).encode()


DROPPED = Reply(drop=True)


def problem(status: int, code: str, detail: str, retry_after: str | None = None) -> Reply:
    """A problem document."""
    document = {"type": "about:blank", "title": code, "status": status, "detail": detail, "code": code}
    headers = {"Content-Type": "application/problem+json"}
    if retry_after is not None:
        headers["Retry-After"] = retry_after
    return Reply(status, document | {"retryable": status in {429, 503}, "error": detail}, headers=headers)


def job_reply(record: Mapping[str, Any], status: int = 200) -> Reply:
    """A job with its ETag."""
    return Reply(status, record, headers={"ETag": f'"{record["revision"]}"'})


MODEL = "/v1/models/digits"

ANSWERS: dict[tuple[str, str], Reply] = {
    ("GET", "/readyz"): Reply(document={"ready": True}),
    ("GET", "/v1/models"): Reply(
        document={"models": [a_model(), a_model(name="ada~letters", owner="ada", shared=False)]}
    ),
    ("GET", MODEL): Reply(
        document=a_model(versions=[manifest()]),
    ),
    ("GET", f"{MODEL}/versions/latest"): Reply(document=manifest()),
    ("GET", f"{MODEL}/versions/1"): Reply(document=manifest()),
    ("GET", f"{MODEL}/versions/1/weights"): Reply(body=WEIGHTS),
    ("POST", "/v1/models/brought/versions"): job_reply(
        job_record("queued", kind="upload", model="brought"), 202
    ),
    ("PUT", f"{MODEL}/aliases/production"): Reply(204),
    ("DELETE", f"{MODEL}/aliases/production"): Reply(204),
    ("DELETE", f"{MODEL}/versions/1"): Reply(204),
    ("POST", f"/v1/jobs/{JOB_ID}/cancel"): job_reply(job_record("running", 3, cancel_requested=True), 202),
    ("GET", "/v1/jobs"): Reply(document={"jobs": [trained(), job_record("queued")], "next_cursor": None}),
    ("GET", "/v1/chip"): Reply(
        document={"chips": [a_chip()]},
    ),
    ("GET", "/v1/queue"): Reply(
        document={
            "crops": {"waiting": 4, "expected_wait_s": 0.02},
            "jobs": {"running": 1, "queued": 2, "expected_wait_s": 90.0},
        }
    ),
    ("GET", "/v1/samples/3"): Reply(document={"digit": 3, "dataset": "mnist", "pixels": [0, 255] * 392}),
    ("GET", "/v1/usage"): Reply(
        document={
            "users": [{"user": "admin", "chip_time_s": {"training": 61.5}, "total_s": 61.5}],
            "all": {"chip_time_s": {"classification": 2.0, "training": 91.5}, "total_s": 93.5},
        }
    ),
    ("GET", "/v1/me"): Reply(
        document={
            "name": "ada",
            "role": "user",
            "quotas": {
                "max_queued_jobs": {"limit": 20, "used": 3, "remaining": 17},
                "max_waiting_crops": {"limit": None, "used": 0, "remaining": None},
                "chip_seconds_per_day": {"limit": 14400.0, "used": 3600.0, "remaining": 10800.0},
                "requests_per_second": {"limit": 1000.0, "used": None, "remaining": None},
                "operations_per_second": {"limit": 500.0, "used": None, "remaining": None},
                "operation_bytes_per_second": {"limit": 100e6, "used": None, "remaining": None},
                "kept_crops": {"limit": 5000, "used": 4, "remaining": 4996},
                "open_corrections": {"limit": None, "used": 2, "remaining": None},
                "dataset_bytes": {"limit": 2**30, "used": 0, "remaining": 2**30},
            },
        }
    ),
    ("POST", "/v1/corrections"): Reply(201, document=a_correction()),
    ("GET", "/v1/corrections"): Reply(
        document={"corrections": [a_correction(), a_labelled_crop()], "next_cursor": None}
    ),
    ("DELETE", "/v1/corrections/answer-1-2"): Reply(204),
    ("POST", "/v1/corrections/close"): Reply(
        document={
            "dataset": "ada~mine",
            "version": "2",
            "sha256": "0",
            "counts": {"train": [1] * 10, "test": [0] * 9 + [2]},
            "remarks": ["1 crop shows no digit and was left out."],
            "closed": 3,
        }
    ),
    ("GET", "/v1/accuracy"): Reply(
        document={
            "versions": [
                {
                    "model": "digits",
                    "version": "1",
                    "right": 45,
                    "wrong": 5,
                    "not_a_digit": 1,
                    "accuracy": 0.9,
                    "interval": [0.7864, 0.9565],
                },
                {
                    "model": "digits",
                    "version": "2",
                    "right": 0,
                    "wrong": 0,
                    "not_a_digit": 1,
                    "accuracy": None,
                    "interval": None,
                },
            ],
            "note": "",
        }
    ),
    ("GET", "/v1/datasets"): Reply(
        document={"datasets": [a_dataset(), a_dataset(name="broken", owner=None, shared=True, newest=None)]}
    ),
    ("GET", "/v1/datasets/mine"): Reply(document=a_dataset(versions=[a_dataset_version()])),
    ("GET", "/v1/datasets/mine/versions/1"): Reply(document=a_dataset_version()),
    ("GET", "/v1/datasets/mine/versions/1/sheet"): Reply(body=b"a picture"),
    ("DELETE", "/v1/datasets/mine"): Reply(204),
    ("DELETE", "/v1/datasets/mine/versions/1"): Reply(204),
    ("PUT", "/v1/datasets/mine/share"): Reply(document=a_dataset(shared=True)),
    ("DELETE", "/v1/datasets/mine/share"): Reply(document=a_dataset()),
    ("PUT", "/v1/me/keep"): Reply(document={"keep": True}),
    ("GET", "/v1/users"): Reply(document={"users": [a_user(), a_user(name="grace", disabled=True)]}),
    ("GET", "/v1/users/ada"): Reply(document=a_user()),
    ("POST", "/v1/users"): Reply(201, document=a_user() | a_new_token()),
    ("PATCH", "/v1/users/ada"): Reply(document=a_user(disabled=True)),
    ("POST", "/v1/users/ada/tokens"): Reply(201, document=a_new_token()),
    ("DELETE", "/v1/users/ada/tokens"): Reply(document={"revoked": 2}),
    ("DELETE", "/v1/users/ada/tokens/0123456789ab"): Reply(document={"revoked": 1}),
    ("PUT", "/v1/models/letters/share"): Reply(document=a_model(name="ada~letters", owner="ada")),
    ("DELETE", "/v1/models/letters/share"): Reply(
        document=a_model(name="ada~letters", owner="ada", shared=False)
    ),
    ("PUT", "/v1/models/letters/versions/2/share"): Reply(
        document=a_model(name="ada~letters", owner="ada", shared=False, shared_versions=["2"])
    ),
}


class Service:
    """The server's responses, and the requests it received.

    `answers` are by method and path, `faults` are given first, whoever asks. `jobs` are the states that the
    job goes through: each long poll gets the next one, and the last one stays.
    """

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[Request] = []
        self.answers = dict(ANSWERS)
        self.faults: deque[Reply] = deque()
        self.jobs: deque[dict[str, Any]] = deque([trained()])
        self.streams: deque[Reply] = deque()
        self._lock = threading.Lock()

    def asked(self, method: str, path: str) -> list[Request]:
        """The requests of this method and path."""
        return [r for r in self.requests if (r.method, r.path) == (method, path)]

    def reply_to(self, request: Request) -> Reply:
        """Set the response."""
        with self._lock:
            self.requests.append(request)
            if self.faults:
                return self.faults.popleft()
            is_public = request.path in {"/readyz", "/openapi.json"}
            if not is_public and request.headers.get("Authorization") != f"Bearer {TOKEN}":
                return problem(401, "not_authenticated", "No valid token came with the request")
            return self._planned(request)

    def _planned(self, request: Request) -> Reply:
        match request.method, request.path:
            case "POST", "/v1/jobs":
                return job_reply(self.jobs[0], 202)
            case "GET", path if path == f"/v1/jobs/{JOB_ID}":
                return self._job(request)
            case "GET", path if path == f"/v1/jobs/{JOB_ID}/events":
                return self.streams.popleft()
            case "POST", path if path.endswith("/classify") and ("POST", path) not in self.answers:
                return self._classify(request)
            case key:
                return self.answers.get(key, problem(404, "not_found", f"there is no {request.path}"))

    def _job(self, request: Request) -> Reply:
        if "wait" in request.query and len(self.jobs) > 1:
            self.jobs.popleft()
        reply = job_reply(self.jobs[0])
        known = request.headers.get("If-None-Match")
        return Reply(304, headers=reply.headers) if known == reply.headers["ETag"] else reply

    def _classify(self, request: Request) -> Reply:
        kind = request.headers["Content-Type"]
        if kind == "application/octet-stream":
            return Reply(document=predictions_document(len(request.body) // 784))
        if kind.startswith("multipart/"):
            return Reply(document=predictions_document(request.body.count(b'name="images"')))
        return Reply(document=predictions_document(1))


def _handler_of(service: Service) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Without it, an answer in two writes waits for the client's delayed acknowledgement.
        disable_nagle_algorithm = True

        def answer(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            request = Request(
                self.command, parts.path, dict(parse_qsl(parts.query)), dict(self.headers.items()), body
            )
            reply = service.reply_to(request)
            if reply.drop:
                self.close_connection = True
                return
            headers = {"Content-Type": "application/json", **reply.headers}
            self.send_response(reply.status)
            if reply.status not in {204, 304}:
                headers["Content-Length"] = str(len(reply.content) + (100 if reply.cut else 0))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(reply.content)
            self.close_connection = self.close_connection or reply.cut

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815 - http.server's names

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    return Handler


@contextmanager
def running(service: Service) -> Iterator[Service]:
    """The service, answering at `service.url`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(service))
    server.daemon_threads = True
    service.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

"""A collector of OpenTelemetry, as small as one can be: it takes spans by OTLP over HTTP and keeps them."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span


@dataclass(frozen=True, slots=True)
class Collected:
    """A span that was exported; ids in hexadecimal digits, times in Unix nanoseconds."""

    service: str
    name: str
    trace_id: str
    id: str
    parent: str
    links: frozenset[tuple[str, str]]
    begin: int
    end: int
    is_error: bool
    attributes: Mapping[str, Any] = field(hash=False)
    resource: Mapping[str, Any] = field(hash=False)


class Collector:
    """The spans that came."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._spans: list[Collected] = []

    def take(self, body: bytes) -> None:
        """Keep the spans of one export."""
        for of_resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            resource = _attributes(of_resource.resource.attributes)
            for of_scope in of_resource.scope_spans:
                self._spans += [_collected(span, resource) for span in of_scope.spans]

    def spans(self, **wanted: str) -> list[Collected]:
        """Return the spans whose attributes (`name`, `service`, `trace_id`) are these."""
        return [
            span
            for span in list(self._spans)
            if all(getattr(span, name) == value for name, value in wanted.items())
        ]


def _collected(span: Span, resource: Mapping[str, Any]) -> Collected:
    return Collected(
        resource["service.name"],
        span.name,
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        frozenset((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
        span.start_time_unix_nano,
        span.end_time_unix_nano,
        span.status.code == 2,
        _attributes(span.attributes),
        resource,
    )


def _attributes(attributes: "Any") -> dict[str, Any]:
    pairs: list[KeyValue] = list(attributes)
    return {pair.key: getattr(pair.value, str(pair.value.WhichOneof("value"))) for pair in pairs}


@contextmanager
def collecting() -> Iterator[Collector]:
    """Run a collector until the context ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            collector.take(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Write nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        collector = Collector(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield collector
        finally:
            server.shutdown()
            thread.join()

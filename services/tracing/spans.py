"""Spans of OpenTelemetry, and their export by OTLP over HTTP; the only module of the service that imports it."""

import logging
import os
import threading
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from services.tracing.sampling import TRACEPARENT, Sampling
from services.tracing.traces import CARRIED_BYTES, Attributes

_TRACE_BYTES: Final = 16
_FLUSH_S: Final = 2.0
"""The longest that a process which ends waits for its last spans to be taken."""
_EXPORTED_AT_ONCE: Final = 128
"""Spans of one export: encoding more holds up the API's loop for longer, and fewer take more time each."""
_MOST_LINKS: Final = 4096
"""As many as a batch may have crops."""
_FIRST_ERROR: Final = 500
_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)
_LIBRARIES: Final = (
    "opentelemetry.exporter.otlp.proto.http.trace_exporter",
    "opentelemetry.sdk._shared_internal",
)
"""Loggers that would write several lines about each failure of a collector."""
_log = logging.getLogger(__name__)


class Span:
    """A sampled span that has begun."""

    __slots__ = ("_span", "_tracer")

    def __init__(self, span: trace.Span, tracer: trace.Tracer) -> None:
        self._span = span
        self._tracer = tracer

    @property
    def carried(self) -> bytes:
        """The span as it is carried through Redis."""
        context = self._span.get_span_context()
        return context.trace_id.to_bytes(_TRACE_BYTES) + context.span_id.to_bytes(
            CARRIED_BYTES - _TRACE_BYTES
        )

    @property
    def facts(self) -> dict[str, str]:
        """Its ids, for log lines."""
        context = self._span.get_span_context()
        return {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}

    @property
    def traceresponse(self) -> str:
        """The header of an answer that names it."""
        context = self._span.get_span_context()
        return f"00-{context.trace_id:032x}-{context.span_id:016x}-01"

    def begin_child(self, name: str, attributes: Attributes) -> "Span":
        """Begin a span under this one."""
        under = trace.set_span_in_context(self._span)
        return Span(self._tracer.start_span(name, under, attributes=attributes), self._tracer)

    def note(self, attributes: Attributes, error: str = "") -> None:
        """Add attributes, and the code of an error if there was one."""
        self._span.set_attributes(attributes)
        if error:
            self._span.set_attribute("error.type", error)
            self._span.set_status(Status(StatusCode.ERROR))

    def end(self, *, error: str = "") -> None:
        """End it."""
        if error:
            self.note({}, error)
        self._span.end()

    def answer(self, status: int) -> None:
        """End the span of a request with the status of its answer."""
        failed = status >= _FIRST_ERROR
        self.note({"http.response.status_code": status}, str(status) if failed else "")
        self._span.end()


class SpanSource:
    """Begins the spans of a process, and exports those that have ended in a thread of its own."""

    def __init__(self, process: str, sampling: Sampling, facts: Mapping[str, str]) -> None:
        self.sampling = sampling
        exporter = _QuietExporter()
        self.endpoint = exporter.endpoint
        attributes = {f"hxserve.{name}": value for name, value in {"process": process, **facts}.items()}
        # None: as the environment has it.
        links = None if os.environ.get("OTEL_SPAN_LINK_COUNT_LIMIT") else _MOST_LINKS
        at_once = None if os.environ.get("OTEL_BSP_MAX_EXPORT_BATCH_SIZE") else _EXPORTED_AT_ONCE
        self._provider = TracerProvider(
            sampler=ALWAYS_ON,  # what is not sampled does not come here
            resource=_resource(f"hxserve-{process}", attributes),
            shutdown_on_exit=False,
            span_limits=SpanLimits(max_links=links),
        )
        self._provider.add_span_processor(BatchSpanProcessor(exporter, max_export_batch_size=at_once))
        self._tracer = self._provider.get_tracer("hxserve")

    def begin_request(
        self, name: str, traceparent: str | None, tracestate: str | None, attributes: Attributes
    ) -> Span:
        """Begin the span of a request, under that of its client if it sent one."""
        sent = TRACEPARENT.fullmatch(traceparent) if traceparent else None
        context = _under(_context_of_client(sent[1], sent[2], tracestate)) if sent else None
        span = self._tracer.start_span(name, context, SpanKind.SERVER, attributes)
        return Span(span, self._tracer)

    def begin_work(
        self,
        name: str,
        waited: Sequence[tuple[bytes, float]],
        taken_at: float,
        attributes: Attributes,
        *,
        is_root: bool,
    ) -> Span:
        """Begin the span of work for requests, and record their waiting; see `traces.begin_work`."""
        requests = {
            text[start : start + CARRIED_BYTES]: since
            for text, since in waited
            for start in range(0, len(text), CARRIED_BYTES)
        }
        contexts = [(_context_of(carried), since) for carried, since in requests.items()]
        work = self._tracer.start_span(
            name,
            None if is_root else _under(contexts[0][0]),
            SpanKind.CONSUMER,
            attributes,
            [Link(context) for context, _ in contexts],
        )
        to_work = [Link(work.get_span_context())]
        for context, since in contexts:
            waiting = self._tracer.start_span(
                "wait in queue", _under(context), links=to_work, start_time=_nanoseconds(since)
            )
            waiting.end(_nanoseconds(max(since, taken_at)))
        return Span(work, self._tracer)

    def close(self) -> None:
        """Export what has ended, as far as the collector takes it within two seconds."""
        # In a thread, since the exporter goes on trying for ten seconds where there is no collector.
        closing = threading.Thread(target=self._provider.shutdown, name="last spans", daemon=True)
        closing.start()
        closing.join(_FLUSH_S)


class _QuietExporter(SpanExporter):
    """Exports by OTLP over HTTP; the log says when a collector stops taking spans, and when it begins again."""

    def __init__(self) -> None:
        self._exporter = OTLPSpanExporter()
        self._fails = False
        for name in _LIBRARIES:
            logging.getLogger(name).setLevel(logging.CRITICAL)

    @property
    def endpoint(self) -> str:
        """The address of the collector, without its path, in which some collectors have a key."""
        address = urlsplit(self._exporter._endpoint)
        return f"{address.scheme}://{address.netloc.rpartition('@')[2]}"

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export spans; those that the collector does not take are dropped."""
        result = self._exporter.export(spans)
        fails = result is not SpanExportResult.SUCCESS
        if fails and not self._fails:
            _log.warning("%s takes no traces; they are dropped until it does", self.endpoint)
        elif self._fails and not fails:
            _log.info("%s takes traces again", self.endpoint)
        self._fails = fails
        return result

    def shutdown(self) -> None:
        """End, without trying any longer."""
        self._exporter.shutdown()  # type: ignore[no-untyped-call] # untyped there


def _resource(service: str, attributes: Mapping[str, str]) -> Resource:
    """Return the description of this process; `service` is its name unless a variable gives it another."""
    described = Resource.create(attributes)
    is_named = not str(described.attributes[SERVICE_NAME]).startswith("unknown_service")
    return described if is_named else described.merge(Resource({SERVICE_NAME: service}))


def _context_of(carried: bytes) -> SpanContext:
    """Return the context of a span that was carried through Redis."""
    trace_id, span_id = carried[:_TRACE_BYTES], carried[_TRACE_BYTES:]
    return SpanContext(
        int.from_bytes(trace_id), int.from_bytes(span_id), is_remote=True, trace_flags=_SAMPLED
    )


def _context_of_client(trace_id: str, span_id: str, tracestate: str | None) -> SpanContext:
    """Return the context of a client's span; the SDK's own reader of headers takes longer than the rest of a span."""
    state = TraceState.from_header([tracestate]) if tracestate else None
    return SpanContext(
        int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=_SAMPLED, trace_state=state
    )


def _under(context: SpanContext) -> Context:
    return trace.set_span_in_context(trace.NonRecordingSpan(context))


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1e9)

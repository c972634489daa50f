"""Traces of requests and jobs, where an operator has them exported; otherwise each function here does nothing.

A span that is sampled is carried through Redis as 24 bytes, the ids of its trace and its own; one that is not is
carried by nothing. `spans`, which imports OpenTelemetry, is imported when a process begins to export.
"""

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

from services.logs import about
from services.tracing.sampling import Sampling

if TYPE_CHECKING:
    from services.tracing.spans import Span, SpanSource

Attributes = Mapping[str, str | int | float | bool]

CARRIED_BYTES: Final = 24
"""Bytes by which a sampled span is named: 16 of its trace, 8 of its own id."""
_NO_ATTRIBUTES: Final[Attributes] = {}
_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_NOTHING: Final[AbstractContextManager[None]] = nullcontext()
_current: ContextVar["Span | None"] = ContextVar("span", default=None)
_log = logging.getLogger(__name__)


class _Export:
    """What this process exports to: nothing, until `exported` has begun."""

    source: "SpanSource | None" = None


@contextmanager
def exported(process: str, **facts: str) -> Iterator[None]:
    """Export the traces of this process until the context ends, if the environment names a collector.

    Args:
        process: its name; the service is `hxserve-<process>` unless OTEL_SERVICE_NAME names it.
        **facts: of the process, on each of its spans.

    Raises:
        SettingsError: a variable has an impossible value.
    """
    source = _open(process, os.environ, facts)
    _Export.source = source
    try:
        yield
    finally:
        _Export.source = None
        if source is not None:
            source.close()


def _open(process: str, environment: Mapping[str, str], facts: Mapping[str, str]) -> "SpanSource | None":
    is_disabled = environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    is_elsewhere = environment.get("OTEL_TRACES_EXPORTER", "").strip() not in {"", "otlp"}
    if is_disabled or is_elsewhere or not any(environment.get(name) for name in _ENDPOINTS):
        return None
    sampling = Sampling.of_environment(environment)
    try:
        from services.tracing.spans import SpanSource  # noqa: PLC0415 only where traces are exported
    except ImportError as error:
        _log.warning("no traces are exported (%s); install hxserve-server[tracing]", error)
        return None
    source = SpanSource(process, sampling, facts)
    _log.info("traces go to %s, a share of %g of them", source.endpoint, sampling.ratio)
    return source


def is_exporting() -> bool:
    """Return whether this process exports traces."""
    return _Export.source is not None


def begin_request(
    method: str, route: str, traceparent: str | None, tracestate: str | None = None
) -> "Span | None":
    """Begin the span of a request that has come; None if it is not sampled.

    Args:
        method: of HTTP.
        route: the rule that its address matched.
        traceparent: the header, if there is one.
        tracestate: likewise.
    """
    source = _Export.source
    if source is None or not source.sampling.takes(traceparent):
        return None
    attributes = {"http.request.method": method, "http.route": route}
    return source.begin_request(f"{method} {route}", traceparent, tracestate, attributes)


def begin_work(
    name: str,
    waited: Sequence[tuple[bytes, float]],
    taken_at: float,
    attributes: Attributes = _NO_ATTRIBUTES,
    *,
    is_root: bool = False,
) -> "Span | None":
    """Begin the span of work for requests that waited in Redis, with links to them; None if none is sampled.

    The waiting of each is a span too, under its request, and links to the work. The work itself is under the first
    of them, or the root of a trace of its own.

    Args:
        name: of the span.
        waited: the spans that were carried, one or several in one text, and since when each waited, in Unix seconds.
        taken_at: until when they waited, in Unix seconds.
        attributes: of the work.
        is_root: for work that may be longer than a trace should be.
    """
    source = _Export.source
    if source is None or not waited:
        return None
    return source.begin_work(name, waited, taken_at, attributes, is_root=is_root)


def within(span: "Span | None") -> AbstractContextManager[None]:
    """Make a span the present one until the context ends: log lines name it, and `child` begins under it."""
    return _NOTHING if span is None else _within(span)


@contextmanager
def _within(span: "Span") -> Iterator[None]:
    token = _current.set(span)
    try:
        with about(**span.facts):
            yield
    finally:
        _current.reset(token)


def child(name: str, attributes: Attributes = _NO_ATTRIBUTES) -> AbstractContextManager[None]:
    """Record what is done in the context as a span under the present one; nothing if there is none."""
    parent = _current.get()
    return _NOTHING if parent is None else _child(parent, name, attributes)


@contextmanager
def _child(parent: "Span", name: str, attributes: Attributes) -> Iterator[None]:
    with ended(parent.begin_child(name, attributes)):
        yield


def ended(span: "Span | None") -> AbstractContextManager[None]:
    """Make a span the present one, and end it with the context; an exception is its error."""
    return _NOTHING if span is None else _ended(span)


@contextmanager
def _ended(span: "Span") -> Iterator[None]:
    try:
        with _within(span):
            yield
    except BaseException as error:
        span.end(error=type(error).__name__)
        raise
    span.end()


def carried() -> bytes:
    """Return the present span as it is carried through Redis; nothing if there is none."""
    span = _current.get()
    return b"" if span is None else span.carried


def note(attributes: Attributes, error: str = "") -> None:
    """Add to the present span, if there is one, what is known only now; `error` is the code of what went wrong."""
    span = _current.get()
    if span is not None:
        span.note(attributes, error)

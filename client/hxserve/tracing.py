"""The span of a request, in programs that use OpenTelemetry; in all others this does nothing, and imports nothing."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

_NOTHING: Final[dict[str, str]] = {}

NoteStatus = Callable[[int], None]


@contextmanager
def request_span(method: str, url: str) -> Iterator[tuple[dict[str, str], NoteStatus]]:
    """Record a request as a span under the program's present one.

    Args:
        method: of HTTP.
        url: without the query, which may name more than an operator of traces should know.

    Yields:
        The headers that carry the span to the service, and a function that takes the status of the answer.
    """
    # A program with a span has imported it; one without need not wait for that.
    if "opentelemetry.trace" not in sys.modules:
        yield _NOTHING, _ignore
        return
    from opentelemetry import propagate, trace  # noqa: PLC0415 see above

    attributes = {"http.request.method": method, "url.full": url}
    tracer = trace.get_tracer("hxserve")
    with tracer.start_as_current_span(method, kind=trace.SpanKind.CLIENT, attributes=attributes) as span:

        def note(status: int) -> None:
            span.set_attribute("http.response.status_code", status)
            if status >= 400:
                span.set_attribute("error.type", str(status))
                span.set_status(trace.StatusCode.ERROR)

        headers: dict[str, str] = {}
        propagate.inject(headers)
        yield headers, note


def _ignore(status: int) -> None:
    """Do nothing with a status."""

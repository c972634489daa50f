"""Ids and spans of requests, in the lines that are logged about a request and in the head of its answer.

A proxy before the API may set the id, so that one id is in both logs. Answers to crops carry an id if a proxy set one,
and refusals always: more would cost the busiest endpoint time.
"""

import logging
import re
import secrets
import time
from http import HTTPMethod, HTTPStatus
from typing import TYPE_CHECKING, Any, Final, TypeVar

from flask import Flask, Response, g, request
from werkzeug.wrappers import Response as AnyResponse

from api.application import METHODS, application
from api.server.request import Request
from api.server.responses import Headers
from services.logs import about
from services.tracing.traces import begin_request, within

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

    from services.tracing.spans import Span

HEADER: Final = "X-Request-ID"
TRACE_HEADER: Final = "traceresponse"
"""Names the span of a request that is traced. Source: W3C Trace Context Level 2."""
ENVIRON: Final = "HTTP_X_REQUEST_ID"
_WELL_FORMED: Final = re.compile(r"[A-Za-z0-9._:-]{8,128}")
_SAFE: Final = frozenset({HTTPMethod.GET, HTTPMethod.HEAD, HTTPMethod.OPTIONS})
_UNTRACED: Final = frozenset({"health", "metrics"})
"""Asked for every few seconds by machines."""
_log = logging.getLogger("api.requests")

SomeResponse = TypeVar("SomeResponse", bound=AnyResponse)


def id_of(environ: "WSGIEnvironment") -> str:
    """Return the id that came with a request if it is well-formed, or a new one."""
    given = environ.get(ENVIRON, "")
    return given if _WELL_FORMED.fullmatch(given) else secrets.token_hex(8)


def identified(response: SomeResponse, request_id: str) -> SomeResponse:
    """Add a request's id to the head of its answer; return the answer."""
    response.headers[HEADER] = request_id
    return response


def with_given_id(headers: Headers, request: Request) -> Headers:
    """Add the id that came with a request to the head of its answer, if one did; return the head."""
    given = request.headers.get(HEADER.lower())
    return (*headers, (HEADER, id_of({ENVIRON: given}))) if given else headers


def begin_span(request: Request, route: str) -> "Span | None":
    """Begin the span of a request that is answered without Flask; None if it is not sampled."""
    headers = request.headers
    return begin_request(request.method, route, headers.get("traceparent"), headers.get("tracestate"))


def end_span(span: "Span | None", route: str, status: int, headers: Headers, seconds: float) -> Headers:
    """End the span of such a request, if it has one; return the head of its answer, which names the span then."""
    if span is None:
        return headers
    if _log.isEnabledFor(logging.DEBUG):
        with within(span):
            _log.debug("POST %s: %d in %.1f ms", route, status, 1000 * seconds)
    span.answer(status)
    return (*headers, (TRACE_HEADER, span.traceresponse))


def observe_requests(app: Flask) -> None:
    """Give each request that Flask answers its id and its span, and record and log its duration.

    Successful reads are logged on the level of debugging, with their routes instead of addresses, which may contain
    anything.
    """

    @app.before_request
    def begin() -> None:
        g.request_id = id_of(request.environ)
        g.about = about(request=g.request_id)
        g.about.__enter__()
        g.came_at = time.perf_counter()
        g.span = _begin_span_in_flask()
        g.within = within(g.span)
        g.within.__enter__()

    @app.after_request
    def end(response: Response) -> Response:
        route = request.url_rule.rule if request.url_rule else None
        seconds = time.perf_counter() - g.came_at
        application().request_times.note(request.method, route, response.status_code, seconds)
        _log_answer(route, response.status_code, seconds)
        if g.span is not None:
            g.span.answer(response.status_code)
            response.headers[TRACE_HEADER] = g.span.traceresponse
        return identified(response, g.request_id)

    @app.teardown_request
    def forget(error: BaseException | None) -> None:
        del error
        for name in ("within", "about"):
            known: Any = g.pop(name, None)
            if known is not None:
                known.__exit__(None, None, None)


def _begin_span_in_flask() -> "Span | None":
    if request.blueprint in _UNTRACED:
        return None
    method = request.method if request.method in METHODS else "other"
    route = request.url_rule.rule if request.url_rule else "unmatched"
    headers = request.headers
    return begin_request(method, route, headers.get("traceparent"), headers.get("tracestate"))


def _log_answer(route: str | None, status: int, seconds: float) -> None:
    succeeds = status < HTTPStatus.BAD_REQUEST
    # Health is asked for every few seconds; that it is not ready is no news.
    is_quiet = (request.method in _SAFE and succeeds) or request.blueprint == "health"
    level = logging.DEBUG if is_quiet else logging.INFO
    if not _log.isEnabledFor(level):
        return
    user = g.get("user")
    job_id = (request.view_args or {}).get("job_id")
    facts = {"user": user.name} if user else {}
    if job_id and succeeds:
        facts["job"] = job_id
    method = request.method if request.method in METHODS else "other"
    with about(**facts):
        _log.log(level, "%s %s: %d in %.1f ms", method, route or "unmatched", status, 1000 * seconds)

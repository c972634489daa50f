"""Ids of requests, in the lines that are logged about a request and in the head of its answer.

A proxy before the API may set the id, so that one id is in both logs. Answers to crops carry an id if a proxy set one,
and refusals always: more would cost the busiest endpoint time.
"""

import logging
import re
import secrets
import time
from http import HTTPMethod, HTTPStatus
from typing import TYPE_CHECKING, Final, TypeVar

from flask import Flask, Response, g, request
from werkzeug.wrappers import Response as AnyResponse

from services.logs import about

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

HEADER: Final = "X-Request-ID"
ENVIRON: Final = "HTTP_X_REQUEST_ID"
_WELL_FORMED: Final = re.compile(r"[A-Za-z0-9._:-]{8,128}")
_SAFE: Final = frozenset({HTTPMethod.GET, HTTPMethod.HEAD, HTTPMethod.OPTIONS})
_METHODS: Final = frozenset(HTTPMethod)
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


def identify_requests(app: Flask) -> None:
    """Give each request that Flask answers its id, before anything else is done about it."""

    @app.before_request
    def begin() -> None:
        g.request_id = id_of(request.environ)
        g.about = about(request=g.request_id)
        g.about.__enter__()
        g.came_at = time.perf_counter()

    @app.after_request
    def end(response: Response) -> Response:
        return identified(response, g.request_id)

    @app.teardown_request
    def forget(error: BaseException | None) -> None:
        del error
        if (known := g.pop("about", None)) is not None:
            known.__exit__(None, None, None)


def log_answers(app: Flask) -> None:
    """Log a line for each request that Flask answers, successful reads on the level of debugging.

    Routes are logged instead of addresses, which may contain anything.
    """

    @app.after_request
    def log(response: Response) -> Response:
        reads = request.method in _SAFE and response.status_code < HTTPStatus.BAD_REQUEST
        reads = (
            reads or request.blueprint == "health"
        )  # asked every few seconds; that it is not ready is no news
        level = logging.DEBUG if reads else logging.INFO
        if _log.isEnabledFor(level):
            user = g.get("user")
            job_id = (request.view_args or {}).get("job_id")
            facts = {"user": user.name} if user else {}
            if job_id and response.status_code < HTTPStatus.BAD_REQUEST:
                facts["job"] = job_id
            with about(**facts):
                _log.log(
                    level,
                    "%s %s: %d in %.1f ms",
                    request.method if request.method in _METHODS else "other",
                    request.url_rule.rule if request.url_rule else "unmatched",
                    response.status_code,
                    1000 * (time.perf_counter() - g.came_at),
                )
        return response

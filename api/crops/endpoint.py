"""The classification endpoint: reads a request by its protocol, submits its crops, and sends the answer."""

import re
import time
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import gevent
from flask import Flask
from werkzeug.wrappers import Response

from api.application import Application
from api.authentication import Authenticator
from api.crops.dropping import conclude_or_drop
from api.crops.protocols import Classify, CropProtocol, Infer, Render
from api.operations import OPERATIONS, OperationExchange
from api.problems import document
from api.protection import HEADERS, protect
from api.request_ids import begin_span, end_span, id_of, identified, with_given_id
from api.routes.jobs import job_response
from api.server.request import Request
from api.server.responses import Headers
from api.server.server import Respond
from api.server.wsgi import WSGI, environ_of, request_of
from services.crops.lanes import Lane
from services.crops.requests import Answered, CropRequest, JobReference, PendingAnswer
from services.errors import RedisUnavailableError
from services.logs import about
from services.models.files import LATEST
from services.tracing.traces import carried, within
from services.users.authentication import User

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

    from services.tracing.spans import Span

_PATH: Final = re.compile(r"/+(v1|v2)/models/([^/]+)(?:/versions/([^/]+))?/(classify|infer)")
_PROTOCOLS: Final[dict[tuple[str, str], CropProtocol]] = {
    ("v1", "classify"): Classify(),
    ("v2", "infer"): Infer(),
}
_QUICK_S: Final = 0.1
"""Look-ups that take no longer did not wait for Redis."""
_PROTECTION: Final = tuple(HEADERS.items())
_REFUSALS: Final = {
    HTTPStatus.REQUEST_TIMEOUT: "request_timeout",
    HTTPStatus.REQUEST_URI_TOO_LONG: "address_too_long",
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: "head_too_large",
}


class Endpoint:
    """The application that the server runs: answers crops and operations itself and passes all others to Flask."""

    def __init__(self, flask: Flask, services: Application, authenticator: Authenticator) -> None:
        self.wsgi: WSGI = flask.wsgi_app
        self.services = services
        self.authenticator = authenticator
        self._flask = flask
        settings = services.settings
        self.most_crops, self.most_bytes = settings.max_crops_per_request, settings.max_body_bytes

    def find(self, request: Request) -> "CropExchange | OperationExchange | None":
        """Return what answers a request that brings crops, or an operation of a program; None where Flask does."""
        if request.method != "POST":
            return None
        if operations := OPERATIONS.fullmatch(request.path):
            return OperationExchange(self, operations[1])
        return self._find_crops(request)

    def _find_crops(self, request: Request) -> "CropExchange | None":
        place = _PATH.fullmatch(request.path)
        protocol = _PROTOCOLS.get((place[1], place[4])) if place else None
        if place is None or protocol is None:
            return None
        return CropExchange(self, protocol, place[2], place[3])

    def refusal(self, status: HTTPStatus, detail: str) -> tuple[Headers, bytes]:
        """Return the answer to a request that cannot be read: headers and body."""
        code = _REFUSALS.get(status, "bad_request")
        response = document(status, code, detail, retryable=status is HTTPStatus.REQUEST_TIMEOUT)
        _, headers, body = _parts_of(protect(response))
        return headers, body

    def failure(self, request: Request, error: Exception) -> tuple[int, Headers, bytes]:
        """Return the answer to a request that failed; Flask's handlers make it, as for every error."""
        environ = environ_of(request)
        request_id = id_of(environ)
        with about(request=request_id), self._flask.request_context(environ):
            response = self._flask.make_response(self._flask.handle_user_exception(error))
            return _parts_of(identified(protect(response), request_id))

    def answer_in_flask(self, environ: "WSGIEnvironment", user: User) -> Response:
        """Return the response to a request that came through WSGI; waits for its answer.

        Raises:
            HxserveError: it was refused, or could not be run.
        """
        request = request_of(environ)
        exchange = self._find_crops(request)
        assert exchange is not None  # Flask has the same rules
        asked, render = exchange.read(request, user)
        asked.trace = carried()
        outcome = exchange.conclude(self.services.classifications.submit(asked), asked.wait_s)
        if isinstance(outcome, Answered):
            headers, body = render(outcome)
            return Response(body, headers=list(headers))
        return job_response(self.services, self.services.jobs.get(outcome.job_id), 202)

    def job(self, request: Request, job_id: str) -> tuple[int, Headers, bytes]:
        """Return the answer to a request whose answer is a job's."""
        environ = environ_of(request)
        with self._flask.request_context(environ):
            job = self.services.jobs.get(job_id)
            return _parts_of(identified(protect(job_response(self.services, job, 202)), id_of(environ)))


class CropExchange:
    """A request with crops for one version of a model, until it is answered.

    Most requests are answered without a greenlet of their own.
    """

    __slots__ = (
        "_began",
        "_endpoint",
        "_is_concluded",
        "_name",
        "_protocol",
        "_render",
        "_request",
        "_respond",
        "_span",
        "_timer",
        "_user",
        "_version",
    )

    def __init__(self, endpoint: Endpoint, protocol: CropProtocol, name: str, version: str | None) -> None:
        self._endpoint = endpoint
        self._protocol = protocol
        self._name = name
        self._version = version
        self._user: User | None = None
        self._is_concluded = False
        """True once the outcome is known or no longer waited for, whichever comes first: it is concluded once."""
        self._timer: Any = None
        self._span: Span | None = None
        self._request: Request
        self._respond: Respond
        self._render: Render
        self._began: float

    def is_immediate(self, request: Request) -> bool:
        """Return whether `answer` need not ask Redis whose the request is."""
        self._user = self._endpoint.authenticator.known_user(request)
        return self._user is not None

    def answer(self, request: Request, respond: Respond) -> None:
        """Submit a request's crops; `respond` is called when they are read, refused, or late."""
        self._request, self._respond, self._began = request, respond, time.monotonic()
        self._span = begin_span(request, self._rule)
        endpoint = self._endpoint
        try:
            user = self._user
            if user is None:
                user = endpoint.authenticator.user_of(request)
            else:
                endpoint.authenticator.admit(user)
            asked, self._render = self.read(request, user)
            if self._span is not None:
                asked.trace = self._span.carried
            lane = endpoint.services.classifications.known_lane(asked)
            if self._user is not None and lane is not None:
                self._submit(asked, lane)
            else:
                gevent.spawn(self._submit_after_look_ups, asked)
        except Exception as error:  # noqa: BLE001 Flask's handlers make of it what they make of every error
            self._fail(error)

    def read(self, request: Request, user: User) -> tuple[CropRequest, Render]:
        """Return what a request asks, and what makes its answer."""
        endpoint = self._endpoint
        return self._protocol.read(
            request,
            user,
            self._name,
            self._version or LATEST,
            most_crops=endpoint.most_crops,
            most_bytes=endpoint.most_bytes,
        )

    def conclude(self, pending: PendingAnswer, wait_s: float = 0.0) -> Answered | JobReference:
        """Return what becomes of a request; waits up to `wait_s` for its answers.

        Raises:
            HxserveError: it was refused, or could not be run.
        """
        services = self._endpoint.services
        if self._protocol.has_jobs:
            return services.classifications.conclude(pending, wait_s)
        return conclude_or_drop(services, pending, wait_s)

    def _submit_after_look_ups(self, asked: CropRequest) -> None:
        try:
            self._check_look_ups(asked.wait_s)
            self._submit(asked)
        except Exception as error:  # noqa: BLE001 as in `answer`
            self._fail(error)

    def _check_look_ups(self, wait_s: float) -> None:
        """Do nothing unless Redis took so long that the client waits no longer.

        Raises:
            RedisUnavailableError: it did; nothing is accepted.
        """
        if wait_s > 0 and time.monotonic() - self._began > max(wait_s, _QUICK_S):
            raise RedisUnavailableError(
                "Redis did not say in time whose the request is; nothing was accepted"
            )

    def _submit(self, asked: CropRequest, lane: Lane | None = None) -> None:
        """Submit the crops, and wait for their answer without a greenlet."""
        pending = self._endpoint.services.classifications.submit(asked, self._done, lane)
        if asked.wait_s > 0:
            self._timer = gevent.get_hub().loop.timer(self._began + asked.wait_s - time.monotonic())
            self._timer.start(gevent.spawn, self._stop_waiting, pending)

    def _done(self, pending: PendingAnswer) -> None:
        """Answer a request whose outcome is known; must not wait."""
        if self._is_concluded:
            return
        self._is_concluded = True
        if pending.is_job:
            left_s = self._began + pending.request.wait_s - time.monotonic()
            gevent.spawn(self._answer_with, partial(self.conclude, pending, left_s))
        else:
            self._answer_with(pending.outcome)

    def _stop_waiting(self, pending: PendingAnswer) -> None:
        """Answer a client that waits no longer."""
        if not self._is_concluded:
            self._is_concluded = True
            self._answer_with(partial(self.conclude, pending))

    def _answer_with(self, conclude: Callable[[], Answered | JobReference]) -> None:
        try:
            outcome = conclude()
            if isinstance(outcome, Answered):
                headers, body = self._render(outcome)
                self._send(200, with_given_id(_PROTECTION + headers, self._request), body)
            else:
                self._send(*self._endpoint.job(self._request, outcome.job_id))
        except Exception as error:  # noqa: BLE001 as in `answer`; it must not end the greenlet that hears all answers
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        """Answer a request that could not be run."""
        with within(self._span):
            answer = self._endpoint.failure(self._request, error)
        self._send(*answer)

    def _send(self, status: int, headers: Headers, body: bytes) -> None:
        if self._timer is not None:
            self._timer.stop()
            self._timer.close()
            self._timer = None
        took_s = time.monotonic() - self._began
        self._endpoint.services.request_times.note("POST", self._rule, status, took_s)
        self._respond(status, end_span(self._span, self._rule, status, headers, took_s), body)

    @property
    def _rule(self) -> str:
        return self._protocol.rule if self._version is None else self._protocol.version_rule


def _parts_of(response: Response) -> tuple[int, Headers, bytes]:
    """Return status, headers and body of a response."""
    return response.status_code, tuple(response.headers.items()), response.get_data()

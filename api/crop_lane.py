"""The short way for crops: the same rules as every request's, without Flask's routing.

Flask's part of a request with one crop costs as much processor time as all the rest of it; see decision 9. What a
request means is decided by the functions that the Flask route calls, and what goes wrong is answered by Flask's
own error handlers.
"""

import re
import time
from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Final

from flask import Flask
from werkzeug.wrappers import Response

from api.application import Application
from api.authentication import Door
from api.bodies import RAW_CROPS
from api.protection import protect
from api.request_ids import ENVIRON, id_of, identified
from api.requests import WholeRequest
from api.routes.classification import answer_crops
from api.routes.inference import answer_infer
from api.routes.jobs import job_response
from services.crops.requests import Pending
from services.logs import about
from services.models.files import LATEST

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_CLASSIFY: Final = re.compile(r"/v1/models/([^/]+)(?:/versions/([^/]+))?/classify")
_INFER: Final = re.compile(r"/v2/models/([^/]+)(?:/versions/([^/]+))?/infer")


def place_of(environ: "WSGIEnvironment") -> tuple[str, str] | None:
    """The model and its version that a request has raw crops for, or None when it is another request."""
    if environ["REQUEST_METHOD"] != "POST" or environ.get("CONTENT_TYPE") != RAW_CROPS:
        return None
    place = _CLASSIFY.fullmatch(environ["PATH_INFO"])
    return (place[1], place[2] or LATEST) if place else None


def _place_of_inference(environ: "WSGIEnvironment") -> tuple[str, str] | None:
    """The same for an infer request."""
    place = _INFER.fullmatch(environ["PATH_INFO"]) if environ["REQUEST_METHOD"] == "POST" else None
    return (place[1], place[2] or LATEST) if place else None


@lru_cache(256)
def _route_of(path: str) -> str:
    """The rule of a path of crops, as Flask has it."""
    rule = "/v1/models/<name>%s/classify" if path.startswith("/v1") else "/v2/models/<name>%s/infer"
    return rule % ("/versions/<version>" if path.count("/") > 4 else "")


class CropLane:
    """WSGI: answers raw crops and infer requests itself and leaves all else to Flask."""

    def __init__(self, flask: Flask, application: Application, door: Door) -> None:
        self._flask = flask
        self._flask_wsgi: WSGIApplication = flask.wsgi_app
        self.application = application
        self.door = door

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answers one request."""
        answer: Callable[[WholeRequest, str, str], bytes | Response | Pending] = self._classify
        place = place_of(environ)
        if place is None:
            answer, place = self._infer, _place_of_inference(environ)
        if place is None:
            return self._flask_wsgi(environ, start_response)
        request = WholeRequest(environ)
        request.max_content_length = self.application.settings.max_body_bytes
        outcome = self.outcome(environ, partial(answer, request, *place), time.monotonic())
        if isinstance(outcome, bytes):
            outcome = protect(Response(outcome, content_type="application/json"))
        if ENVIRON in environ:
            outcome = identified(outcome, id_of(environ))
        return outcome(environ, start_response)

    def _classify(self, request: WholeRequest, name: str, version: str) -> bytes | Pending:
        user = self.door.user_of(request)
        return answer_crops(self.application, user, name, version, request)

    def _infer(self, request: WholeRequest, name: str, version: str) -> Response:
        user = self.door.user_of(request)
        return protect(answer_infer(self.application, user, name, version, request))

    def outcome(
        self, environ: "WSGIEnvironment", answer: Callable[[], bytes | Response | Pending], began: float
    ) -> bytes | Response:
        """What `answer` gives, or the response that says what became of the request instead.

        `began` is when it came, by `time.monotonic`.
        """
        outcome = self._outcome(environ, answer)
        self.note(environ, 200 if isinstance(outcome, bytes) else outcome.status_code, began)
        return outcome

    def note(self, environ: "WSGIEnvironment", status: int, began: float, requests: int = 1) -> None:
        """Counts a request that is answered now, or several alike."""
        route = _route_of(environ["PATH_INFO"])
        self.application.request_times.note("POST", route, status, time.monotonic() - began, requests)

    def _outcome(
        self, environ: "WSGIEnvironment", answer: Callable[[], bytes | Response | Pending]
    ) -> bytes | Response:
        try:
            answered = answer()
            if not isinstance(answered, Pending):
                return answered
            with self._flask.request_context(environ):
                job = self.application.jobs.get(answered.job_id)
                return identified(protect(job_response(self.application, job, 202)), id_of(environ))
        except Exception as error:  # noqa: BLE001 Flask's handlers make of it what they make of every error
            request_id = id_of(environ)
            with about(request=request_id), self._flask.request_context(environ):
                refusal = self._flask.make_response(self._flask.handle_user_exception(error))
                return identified(protect(refusal), request_id)

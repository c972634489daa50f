"""The short way for crops: the same rules as every request's, without Flask's routing.

Flask's part of a request with one crop costs as much processor time as all the rest of it; see decision 9. What a
request means is decided by the functions that the Flask route calls, and what goes wrong is answered by Flask's
own error handlers.
"""

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from flask import Flask
from werkzeug.wrappers import Response

from api.application import Application
from api.authentication import Door
from api.bodies import RAW_CROPS
from api.protection import protect
from api.requests import WholeRequest
from api.routes.classification import answer_crops
from api.routes.jobs import job_response
from services.classification import Pending
from services.models import LATEST

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_PATH: Final = re.compile(r"/v1/models/([^/]+)(?:/versions/([^/]+))?/classify")


def place_of(environ: "WSGIEnvironment") -> tuple[str, str] | None:
    """The model and its version that a request has raw crops for, or None when it is another request."""
    if environ["REQUEST_METHOD"] != "POST" or environ.get("CONTENT_TYPE") != RAW_CROPS:
        return None
    place = _PATH.fullmatch(environ["PATH_INFO"])
    return (place[1], place[2] or LATEST) if place else None


class CropLane:
    """WSGI: answers raw crops itself and leaves all else to Flask."""

    def __init__(self, flask: Flask, application: Application, door: Door) -> None:
        self._flask = flask
        self._flask_wsgi: WSGIApplication = flask.wsgi_app
        self.application = application
        self.door = door

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answers one request."""
        place = place_of(environ)
        if place is None:
            return self._flask_wsgi(environ, start_response)
        request = WholeRequest(environ)
        request.max_content_length = self.application.settings.max_body_bytes
        outcome = self.outcome(
            environ,
            lambda: answer_crops(self.application, self.door.user_of(request), *place, request),
        )
        if isinstance(outcome, str):
            outcome = protect(Response(outcome, content_type="application/json"))
        return outcome(environ, start_response)

    def outcome(self, environ: "WSGIEnvironment", answer: Callable[[], str | Pending]) -> str | Response:
        """The JSON that `answer` gives, or the response that says what became of the request instead."""
        try:
            answered = answer()
            if isinstance(answered, str):
                return answered
            with self._flask.request_context(environ):
                job = self.application.jobs.get(answered.job_id)
                return protect(job_response(self.application, job, 202))
        except Exception as error:  # noqa: BLE001 Flask's handlers make of it what they make of every error
            with self._flask.request_context(environ):
                return protect(self._flask.make_response(self._flask.handle_user_exception(error)))

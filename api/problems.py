"""Errors over HTTP: RFC 9457 problem documents, and the only table of statuses.

Under `/v2` an error has the form of the Open Inference Protocol: an object whose only member is `error`. A browser that
asks for a page is shown one.
"""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from flask import Flask, Response, json, request
from werkzeug.exceptions import ClientDisconnected, HTTPException, RequestEntityTooLarge

from api.inference.paths import absence, is_inference
from api.pages import is_page_wanted, language, render_page
from api.texts import Texts
from services import errors
from services.errors import HxserveError

STATUS_OF: Final[Mapping[type[HxserveError], HTTPStatus]] = {
    errors.HxserveError: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.InvalidInputError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.UnsupportedMediaError: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    errors.TooLargeError: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.NotAuthenticatedError: HTTPStatus.UNAUTHORIZED,
    errors.ForbiddenError: HTTPStatus.FORBIDDEN,
    errors.CrossSiteError: HTTPStatus.FORBIDDEN,
    errors.NotFoundError: HTTPStatus.NOT_FOUND,
    errors.ConflictError: HTTPStatus.CONFLICT,
    errors.WeightsUnknownError: HTTPStatus.PRECONDITION_FAILED,
    errors.QueueFullError: HTTPStatus.TOO_MANY_REQUESTS,
    errors.QuotaExceededError: HTTPStatus.TOO_MANY_REQUESTS,
    errors.UnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.ExpiredError: HTTPStatus.GATEWAY_TIMEOUT,
    errors.StillWaitingError: HTTPStatus.GATEWAY_TIMEOUT,
    errors.LeaseHeldError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.LeaseLostError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.CheckpointDamagedError: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.DatasetDamagedError: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.BatchDamagedError: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.StorageError: HTTPStatus.INSUFFICIENT_STORAGE,
    errors.TooManyTriesError: HTTPStatus.TOO_MANY_REQUESTS,
    errors.ChipError: HTTPStatus.BAD_GATEWAY,
    errors.ChipLostError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.DatasetMissingError: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.JobCrashedError: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.SettingsError: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.BackupDamagedError: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.SchemaError: HTTPStatus.INTERNAL_SERVER_ERROR,
}
"""The status of a class, and of its subclasses that have no line of their own."""

_OF_INFERENCE: Final[Mapping[HTTPStatus, HTTPStatus]] = {
    HTTPStatus.UNPROCESSABLE_ENTITY: HTTPStatus.BAD_REQUEST,
    HTTPStatus.GATEWAY_TIMEOUT: HTTPStatus.SERVICE_UNAVAILABLE,
}
"""Statuses that clients of the inference protocol know by another number, as Triton sends it."""

DEFAULT_RETRY_AFTER_S: Final = 1
_log = logging.getLogger(__name__)


def status_of(kind: type[HxserveError]) -> HTTPStatus:
    """Return the HTTP status of an error class."""
    return next(STATUS_OF[cls] for cls in kind.__mro__ if cls in STATUS_OF)


def problem(error: HxserveError) -> Response:
    """Return the problem document of an error."""
    status = status_of(type(error))
    response = document(status, error.code, error.message, retryable=error.retryable, **error.facts)
    if status in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}:
        response.headers["Retry-After"] = str(round(error.retry_after_s or DEFAULT_RETRY_AFTER_S) or 1)
    if status is HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = 'Bearer realm="hxserve"'
    return response


def register_problems(app: Flask) -> None:
    """Answer every error of the application with a problem document."""
    app.register_error_handler(HxserveError, lambda error: _as_asked(_ours(error)))
    app.register_error_handler(HTTPException, lambda error: _as_asked(_of_http(error)))
    app.register_error_handler(TimeoutError, lambda error: _as_asked(_silent_client(error)))
    app.register_error_handler(Exception, lambda error: _as_asked(_unexpected(error)))


def _as_asked(document: Response) -> Response:
    """Return a problem document, in the inference protocol's form under its paths; for a page, a page."""
    if is_page_wanted():
        return _as_page(document)
    if is_inference(request.path):
        document.data = json.dumps({"error": json.loads(document.get_data())["error"]})
        document.content_type = "application/json"
        document.status_code = _OF_INFERENCE.get(HTTPStatus(document.status_code), document.status_code)
        if document.status_code == HTTPStatus.SERVICE_UNAVAILABLE:
            document.headers.setdefault("Retry-After", str(DEFAULT_RETRY_AFTER_S))
    return document


def _as_page(document: Response) -> Response:
    body = json.loads(document.get_data())
    texts = Texts(language())
    is_unknown = body["status"] == HTTPStatus.NOT_FOUND and request.url_rule is None
    words = texts("nav.no_page") if is_unknown else texts.problem(body["code"], body["detail"])
    # The store may be what failed: ask it nothing.
    document.data = render_page("problem.html", problem=words, status=body["status"], maintained=())
    document.content_type = "text/html; charset=utf-8"
    return document


def _ours(error: HxserveError) -> Response:
    if status_of(type(error)) >= HTTPStatus.INTERNAL_SERVER_ERROR:
        _log.error("%s %s: %s [%s]", request.method, request.path, error.message, error.code)
    return problem(error)


def _of_http(error: HTTPException) -> Response:
    status = HTTPStatus(error.code or HTTPStatus.INTERNAL_SERVER_ERROR)
    if isinstance(error, ClientDisconnected) and isinstance(error.__context__, TimeoutError):
        return _silent_client(error.__context__)
    if isinstance(error, RequestEntityTooLarge):
        return problem(errors.TooLargeError(_too_large()))
    code = status.phrase.lower().replace(" ", "_")
    detail = error.description or status.description
    if status is HTTPStatus.NOT_FOUND:
        detail = absence(request.path) or f"there is no {request.path}; /openapi.json lists what there is"
    response = document(status, code, detail, retryable=False)
    for name, value in error.get_headers():
        if name.lower() == "allow":
            response.headers[name] = value
    return response


def _silent_client(error: TimeoutError) -> Response:
    del error
    detail = "the body did not come in time; send it without long pauses"
    return document(HTTPStatus.REQUEST_TIMEOUT, "request_timeout", detail, retryable=True)


def _too_large() -> str:
    most = request.max_content_length
    if most is not None and (request.content_length or 0) <= most:
        parts, text = request.max_form_parts, request.max_form_memory_size
        return f"the form has more than {parts} parts, or more than {text} bytes of text; send at most {parts} pictures"
    return f"the body is larger than {most} bytes; send it in several requests"


def _unexpected(error: Exception) -> Response:
    _log.exception("%s %s failed", request.method, request.path, exc_info=error)
    return problem(HxserveError())


def document(
    status: HTTPStatus, code: str, detail: str, *, retryable: bool, **facts: str | float | None
) -> Response:
    """Return a problem document as a response."""
    body = {
        "type": f"urn:hxserve:problem:{code}",
        "title": status.phrase,
        "status": int(status),
        "detail": detail,
        "code": code,
        "retryable": retryable,
        "error": detail,
        **facts,
    }
    return Response(json.dumps(body), status=status, content_type="application/problem+json")

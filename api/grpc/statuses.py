"""Errors over gRPC: status codes from the only table of HTTP statuses, and what comes with them in the trailer."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

import grpc
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from api.problems import DEFAULT_RETRY_AFTER_S, status_of
from services.errors import HxserveError

_CODES: Final[Mapping[HTTPStatus, grpc.StatusCode]] = {
    HTTPStatus.UNAUTHORIZED: grpc.StatusCode.UNAUTHENTICATED,
    HTTPStatus.FORBIDDEN: grpc.StatusCode.PERMISSION_DENIED,
    HTTPStatus.NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    HTTPStatus.CONFLICT: grpc.StatusCode.FAILED_PRECONDITION,
    HTTPStatus.PRECONDITION_FAILED: grpc.StatusCode.FAILED_PRECONDITION,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: grpc.StatusCode.INVALID_ARGUMENT,
    HTTPStatus.UNPROCESSABLE_ENTITY: grpc.StatusCode.INVALID_ARGUMENT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: grpc.StatusCode.INVALID_ARGUMENT,
    HTTPStatus.TOO_MANY_REQUESTS: grpc.StatusCode.RESOURCE_EXHAUSTED,
    HTTPStatus.INTERNAL_SERVER_ERROR: grpc.StatusCode.INTERNAL,
    HTTPStatus.BAD_GATEWAY: grpc.StatusCode.UNAVAILABLE,
    HTTPStatus.SERVICE_UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT: grpc.StatusCode.DEADLINE_EXCEEDED,
    HTTPStatus.INSUFFICIENT_STORAGE: grpc.StatusCode.UNAVAILABLE,
}

Trailer = tuple[tuple[str, str | bytes], ...]
"""Metadata after the answer."""


def code_of(error: HxserveError) -> grpc.StatusCode:
    """Return the status code of an error; one that is final is never one that clients try again by themselves."""
    code = _CODES[status_of(type(error))]
    if code is grpc.StatusCode.UNAVAILABLE and not error.retryable:
        return grpc.StatusCode.INTERNAL
    return code


def trailer_of(error: HxserveError) -> Trailer:
    """Return the error's own code, the time to wait, and both as the details that gRPC's libraries read."""
    status = Status(code=code_of(error).value[0], message=error.message)
    status.details.add().Pack(ErrorInfo(reason=error.code, domain="hxserve"))
    trailer: Trailer = (("hxserve-code", error.code),)
    if error.retryable:
        seconds = round(error.retry_after_s or DEFAULT_RETRY_AFTER_S) or 1
        retry = RetryInfo()
        retry.retry_delay.seconds = seconds
        status.details.add().Pack(retry)
        trailer += (("retry-after", str(seconds)),)
    return (*trailer, ("grpc-status-details-bin", status.SerializeToString()))

"""HTTP as hxserve speaks it: one pool of connections, retries, and problem documents made exceptions."""

import threading
from collections.abc import Mapping
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote, urlencode
from urllib.request import getproxies

import urllib3
from urllib3.connectionpool import ConnectionPool
from urllib3.exceptions import (
    HTTPError,
    MaxRetryError,
    NameResolutionError,
    NewConnectionError,
    ReadTimeoutError,
    SSLError,
)
from urllib3.exceptions import (
    TimeoutError as PoolTimeoutError,
)

from hxserve.addresses import Address
from hxserve.errors import (
    AbandonedError,
    AnswerNotUnderstoodError,
    ConnectionFailedError,
    InvalidNameError,
    ServiceError,
)
from hxserve.tracing import request_span

RETRIED_STATUSES: Final = frozenset({429, 502, 503})
LONGEST_RETRY_AFTER_S: Final = 60
LONGEST_BACKOFF_S: Final = 8.0
_CONNECT_TIMEOUT_S: Final = 10.0
ABANDONED: Final[ContextVar[threading.Event | None]] = ContextVar("abandoned", default=None)
"""Set when nobody waits for the answers of this context's requests any more."""


def segment(name: str) -> str:
    """Quote a name as one segment of a path.

    Raises:
        InvalidNameError: it would lead to another path.
    """
    if name.strip(". ") == "":
        raise InvalidNameError(f"{name!r} is not a name of a model, version, alias or job")
    return quote(name, safe="")


class _Patience(urllib3.Retry):
    """Does not retry a request whose Retry-After is longer than the limit."""

    def increment(
        self,
        method: str | None = None,
        url: str | None = None,
        response: urllib3.BaseHTTPResponse | None = None,
        error: Exception | None = None,
        _pool: ConnectionPool | None = None,
        _stacktrace: TracebackType | None = None,
    ) -> Self:
        """Return the remaining attempts after one that failed.

        Raises:
            MaxRetryError: none is left, or the service asked for a longer pause than is waited for.
        """
        asked = response.headers.get("Retry-After", "") if response else ""
        if asked.isdecimal() and int(asked) > LONGEST_RETRY_AFTER_S and _pool is not None:
            raise MaxRetryError(_pool, url)
        return super().increment(method, url, response, error, _pool, _stacktrace)


class Transport:
    """Requests to one service; safe to share between threads.

    Every request may be repeated without harm: reading and PUT by nature, a POST through its
    Idempotency-Key or because doing it twice changes nothing. So every request that fails on the way is sent again.
    """

    def __init__(
        self, address: Address, *, timeout_s: float, retries: int, backoff_s: float, maxsize: int
    ) -> None:
        self.address = address
        self.timeout_s = timeout_s
        headers = {"User-Agent": "hxserve-client"}
        if address.token:
            headers["Authorization"] = f"Bearer {address.token}"
        self._pool = urllib3.PoolManager(
            maxsize=maxsize,
            headers=headers,
            retries=_Patience(
                total=retries,
                redirect=False,
                allowed_methods=None,
                status_forcelist=RETRIED_STATUSES,
                backoff_factor=backoff_s,
                backoff_max=LONGEST_BACKOFF_S,
                backoff_jitter=backoff_s,
                retry_after_max=LONGEST_RETRY_AFTER_S,
                raise_on_status=False,
            ),
        )

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, object] | None = None,
        body: bytes | None = None,
        json: object = None,
        headers: Mapping[str, str] | None = None,
        wait_s: float = 0.0,
        stream: bool = False,
        retry: bool = True,
    ) -> urllib3.BaseHTTPResponse:
        """Send a request; return the answer, whatever its status.

        Args:
            method: GET, POST, PUT or DELETE.
            path: from `/` on, names in it already made segments.
            query: parameters; those that are None are left out.
            body: bytes to send as they are.
            json: document to send as JSON.
            headers: beside the usual ones.
            wait_s: how much longer than usual the service may take, because it was asked to wait.
            stream: leave the body to be read bit by bit.
            retry: repeat requests that failed on the way.

        Raises:
            ConnectionFailedError: no answer came.
            AbandonedError: the task that would get the answer was cancelled.
        """
        abandoned = ABANDONED.get()
        if abandoned is not None and abandoned.is_set():
            raise AbandonedError
        given = {name: value for name, value in (query or {}).items() if value is not None}
        address = self.address.url + path
        options: dict[str, Any] = {} if retry else {"retries": False}
        with request_span(method, address) as (of_span, note_status):
            try:
                response = self._pool.request(
                    method,
                    address + ("?" + urlencode(given) if given else ""),
                    body=body,
                    json=json,
                    headers={**self._pool.headers, **of_span, **(headers or {})},
                    timeout=urllib3.Timeout(connect=_CONNECT_TIMEOUT_S, read=self.timeout_s + wait_s),
                    preload_content=not stream,
                    redirect=False,
                    **options,
                )
            except HTTPError as error:
                raise ConnectionFailedError(self._explain(error)) from None
            note_status(response.status)
            return response

    def call(self, method: str, path: str, **options: Any) -> urllib3.BaseHTTPResponse:
        """Send a request that should succeed; return the answer.

        Raises:
            ConnectionFailedError: no answer came.
            ServiceError: the service refused.
        """
        response = self.request(method, path, **options)
        if response.status >= 300 and response.status != 304:
            raise problem(response)
        return response

    def call_json(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        """Send a request that should succeed; return the JSON object of the answer."""
        return json_object(self.call(method, path, **options))

    def delete(self, path: str) -> None:
        """Delete the resource at a path.

        Raises:
            ServiceError: the service refused, or there is nothing.
        """
        response = self.request("DELETE", path)
        repeated = response.retries is not None and len(response.retries.history) > 0
        # Repeated after a broken connection, it may be gone already, by the first try.
        if response.status >= 300 and not (repeated and response.status == 404):
            raise problem(response)

    def close(self) -> None:
        """Close idle connections."""
        self._pool.clear()

    def _explain(self, error: HTTPError) -> str:
        cause: Exception | None = error.reason if isinstance(error, MaxRetryError) else error
        match cause:
            case NameResolutionError():
                said = "the host's name is not known; check the address"
            case NewConnectionError():
                said = "nothing listens there; start a service with `hxserve up` or check the address"
            case ReadTimeoutError():
                said = "it accepted the request and then said nothing; look at the service's log"
            case SSLError():
                said = f"no secure connection ({cause}); does the address begin with http:// or https://?"
            case PoolTimeoutError():
                said = "the host does not react; check the address and the network between"
            case _:
                said = f"the connection broke ({cause}); look whether the service is being restarted"
        proxied = "; proxies of the environment are not used" if getproxies() else ""
        return f"no answer from {self.address.url}: {said}{proxied}"


def json_object(response: urllib3.BaseHTTPResponse) -> dict[str, Any]:
    """Return the JSON object of an answer.

    Raises:
        AnswerNotUnderstoodError: the body is something else.
    """
    try:
        document = response.json()
    except ValueError:
        document = None
    if not isinstance(document, dict):
        kind = response.headers.get("Content-Type", "no media type")
        raise AnswerNotUnderstoodError(
            f"expected a JSON object, got HTTP {response.status} with {kind}; is that hxserve at this address?"
        )
    return document


def problem(response: urllib3.BaseHTTPResponse) -> ServiceError:
    """Convert a refusal to an exception: from its problem document, or from the status of another server."""
    try:
        document = json_object(response)
    except AnswerNotUnderstoodError:
        reason = response.reason or "no reason given"
        document = {"detail": f"{reason}; another server or a proxy answered, check the address"}
    location = response.headers.get("Location")
    if 300 <= response.status < 400 and location:
        document["detail"] = f"the service is elsewhere; use the address {location}"
    retry_after = response.headers.get("Retry-After", "")
    detail = document.get("detail") or document.get("title") or response.reason or "no reason given"
    return ServiceError(
        str(document.get("code") or f"http_{response.status}"),
        str(detail),
        response.status,
        retryable=bool(document.get("retryable", response.status in RETRIED_STATUSES)),
        retry_after_s=float(retry_after) if retry_after.isdecimal() else None,
    )

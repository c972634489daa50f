"""A job's server-sent events, read through broken connections."""

import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from urllib3 import BaseHTTPResponse
from urllib3.exceptions import HTTPError

from hxserve.errors import ConnectionFailedError
from hxserve.job_states import FINAL_STATES
from hxserve.polling import fetch_job
from hxserve.transport import Transport, segment

_RECONNECT_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Event:
    """One change of a job: its place in the job's stream, its name, and its content."""

    id: str | None
    name: str
    data: Any

    @property
    def is_last(self) -> bool:
        """Whether the job's final state came with it."""
        return isinstance(self.data, dict) and self.data.get("state") in FINAL_STATES


def parse_events(chunks: Iterable[bytes]) -> Iterator[Event]:
    """Yield the events of a text/event-stream, however it is cut into chunks.

    Source: https://html.spec.whatwg.org/multipage/server-sent-events.html, without lone carriage returns.
    """
    event_id: str | None = None
    name, data = "message", list[str]()
    for line in _lines(chunks):
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match field:
            case "" if not line:
                if data:
                    yield Event(event_id, name, _decoded("\n".join(data)))
                name, data = "message", []
            case "id":
                event_id = value
            case "event":
                name = value
            case "data":
                data.append(value)


def follow_events(transport: Transport, job_id: str, *, patience_s: float) -> Iterator[Event]:
    """Yield a job's events from its first to its last; a broken stream goes on where it broke.

    Raises:
        ConnectionFailedError: the service stayed away for longer than `patience_s`.
    """
    last_id: str | None = None
    heard_at = time.monotonic()
    while True:
        try:
            for event in _stream(transport, job_id, last_id):
                heard_at = time.monotonic()
                last_id = event.id or last_id
                yield event
                if event.is_last:
                    return
            job = fetch_job(transport, job_id)
            if job and job.is_final:
                return
        except ConnectionFailedError:
            if time.monotonic() - heard_at > patience_s:
                raise
        time.sleep(_RECONNECT_S)


def _stream(transport: Transport, job_id: str, last_id: str | None) -> Iterator[Event]:
    headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last_id} if last_id else {})
    response = transport.call("GET", f"/v1/jobs/{segment(job_id)}/events", headers=headers, stream=True)
    try:
        yield from parse_events(_chunks(response))
    except HTTPError as error:
        raise ConnectionFailedError(f"the stream of events broke ({error})") from None
    finally:
        # Closed, not given back to the pool: the rest of an endless answer would come first.
        response.close()


def _chunks(response: BaseHTTPResponse) -> Iterator[bytes]:
    while chunk := response.read1(2**16):
        yield chunk


def _lines(chunks: Iterable[bytes]) -> Iterator[str]:
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line.removesuffix(b"\r").decode("utf-8", "replace")


def _decoded(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text

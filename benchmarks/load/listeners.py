"""`python -m benchmarks.load.listeners`: hundreds of dashboards in one cheap process, by long polls and by events.

Reads a plan from standard input, writes what they heard to standard output. A dashboard that polls asks again as soon
as it is answered, naming what it knows; one that listens keeps its stream.
"""

import asyncio
import json
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Final, Self, cast

from benchmarks.load.messages import build_request

_LENGTH: Final = re.compile(rb"\r\ncontent-length:\s*(\d+)", re.IGNORECASE)
_ETAG: Final = re.compile(rb"\r\netag:\s*(\S+)", re.IGNORECASE)
_REVISION: Final = re.compile(rb'"revision":\s*(\d+)')
_EVENT: Final = re.compile(rb"^id: (\d+)-(\d+)$", re.MULTILINE)
_CONNECTING: Final = 50
_CONNECTING_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class ListenersPlan:
    """So many dashboards look at one job for so long."""

    port: int
    token: str
    job_id: str
    pollers: int
    streams: int
    seconds: float

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The plan that `to_json` wrote."""
        return cls(**json.loads(text))

    def to_json(self) -> str:
        """The plan as text, for the process that carries it out."""
        return json.dumps(asdict(self))


@dataclass(slots=True)
class Heard:
    """What dashboards were told once all knew of the job, and what went wrong; `silent` were told nothing.

    `backward` counts answers and events that were older than what the same dashboard knew.
    """

    polls: int = 0
    unchanged: int = 0
    events: int = 0
    errors: int = 0
    backward: int = 0
    silent: int = 0
    client_cpu: float = 0.0
    first_error: str = ""
    seconds: float = 0.0


@dataclass(slots=True)
class _Poller(asyncio.Protocol):
    """A dashboard that polls."""

    plan: ListenersPlan
    heard: Heard
    known: int = 0
    etag: str = ""
    told: int = 0
    received: bytearray = field(default_factory=bytearray)
    transport: asyncio.Transport | None = None

    @property
    def knows(self) -> bool:
        """Whether it has heard of the job."""
        return self.known > 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._ask()

    def data_received(self, data: bytes) -> None:
        self.received += data
        head_end = self.received.find(b"\r\n\r\n")
        if head_end < 0:
            return
        length = _LENGTH.search(self.received, 0, head_end + 2)
        body_end = head_end + 4 + (int(length[1]) if length else 0)
        if len(self.received) < body_end:
            return
        self._take(bytes(self.received[:head_end]), bytes(self.received[head_end + 4 : body_end]))
        del self.received[:body_end]
        self._ask()

    def connection_lost(self, error: Exception | None) -> None:
        del error
        self.transport = None

    def _take(self, head: bytes, body: bytes) -> None:
        status = int(head[9:12])
        if status not in {200, 304}:
            self.heard.errors += 1
            self.heard.first_error = self.heard.first_error or f"{status} {body[:200]!r}"
            return
        self.heard.polls += 1
        self.told += 1
        if found := _ETAG.search(head + b"\r\n"):
            self.etag = found[1].decode()
        if status == 304:
            self.heard.unchanged += 1
        elif revision := _REVISION.search(body):
            self.heard.backward += int(revision[1]) < self.known
            self.known = int(revision[1])

    def _ask(self) -> None:
        headers = {"Authorization": f"Bearer {self.plan.token}"}
        if self.etag:
            headers["If-None-Match"] = self.etag
        if self.transport is not None:
            path = f"/v1/jobs/{self.plan.job_id}" + ("?wait=30" if self.knows else "")
            self.transport.write(build_request(path, method="GET", headers=headers))


@dataclass(slots=True)
class _Stream(asyncio.Protocol):
    """A dashboard that listens."""

    plan: ListenersPlan
    heard: Heard
    known: tuple[int, int] = (0, 0)
    told: int = 0
    rest: bytes = b""
    transport: asyncio.Transport | None = None

    @property
    def knows(self) -> bool:
        """Whether it has heard of the job."""
        return self.known > (0, 0)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        headers = {"Authorization": f"Bearer {self.plan.token}", "Accept": "text/event-stream"}
        path = f"/v1/jobs/{self.plan.job_id}/events"
        self.transport.write(build_request(path, method="GET", headers=headers))

    def data_received(self, data: bytes) -> None:
        lines, _, self.rest = (self.rest + data).rpartition(b"\n")
        if lines.startswith(b"HTTP/1.1 ") and not lines.startswith(b"HTTP/1.1 200"):
            self.heard.errors += 1
            self.heard.first_error = self.heard.first_error or repr(lines[:200])
        for milliseconds, number in _EVENT.findall(lines):
            place = int(milliseconds), int(number)
            self.heard.events += 1
            self.told += 1
            self.heard.backward += place <= self.known
            self.known = place

    def connection_lost(self, error: Exception | None) -> None:
        del error
        self.transport = None


async def _all_know(everyone: Sequence[_Poller | _Stream]) -> None:
    while not all(each.knows for each in everyone):
        await asyncio.sleep(0.05)


def _itself(each: _Poller | _Stream) -> _Poller | _Stream:
    return each


async def listen(plan: ListenersPlan) -> Heard:
    """What so many dashboards heard; the time counts from when all are connected."""
    heard = Heard()
    loop = asyncio.get_running_loop()
    everyone: list[_Poller | _Stream] = [_Poller(plan, heard) for _ in range(plan.pollers)]
    everyone += [_Stream(plan, heard) for _ in range(plan.streams)]
    for first in range(0, len(everyone), _CONNECTING):
        some = everyone[first : first + _CONNECTING]
        await asyncio.gather(
            *(loop.create_connection(partial(_itself, each), "127.0.0.1", plan.port) for each in some)
        )
    await asyncio.wait_for(_all_know(everyone), _CONNECTING_S)
    print("connected", flush=True)
    polls, events = heard.polls, heard.events
    for each in everyone:
        each.told = 0
    began, cpu = time.monotonic(), time.process_time()
    await asyncio.sleep(plan.seconds)
    heard.seconds = time.monotonic() - began
    heard.client_cpu = (time.process_time() - cpu) / heard.seconds
    heard.polls, heard.events = heard.polls - polls, heard.events - events
    for each in everyone:
        heard.silent += each.told == 0
        if each.transport is None:
            heard.errors += 1
            heard.first_error = heard.first_error or "the service hung up"
        else:
            each.transport.abort()
    return heard


if __name__ == "__main__":
    print(json.dumps(asdict(asyncio.run(listen(ListenersPlan.from_json(sys.stdin.readline()))))))

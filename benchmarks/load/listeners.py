"""`python -m benchmarks.load.listeners`: hundreds of dashboards in one cheap process, by long polls and event streams.

Reads a plan from standard input, writes its counts to standard output. A polling dashboard asks again as soon
as it is answered, with the ETag it knows; a streaming one keeps its stream of events.
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

from benchmarks.load.messages import Response, build_request, take_response

_ETAG: Final = re.compile(rb"\r\netag:\s*(\S+)", re.IGNORECASE)
_REVISION: Final = re.compile(rb'"revision":\s*(\d+)')
_EVENT: Final = re.compile(rb"^id: (\d+)-(\d+)$", re.MULTILINE)
_CONNECTING: Final = 50
_CONNECTING_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class ListenersPlan:
    """Dashboards that watch one job for some seconds."""

    port: int
    token: str
    job_id: str
    pollers: int
    streams: int
    seconds: float

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read the plan that `to_json` wrote."""
        return cls(**json.loads(text))

    def to_json(self) -> str:
        """Return the plan as one line of text."""
        return json.dumps(asdict(self))


@dataclass(slots=True)
class ListenersReport:
    """Counts from the moment on at which every dashboard had received the job.

    Attributes:
        polls: Answers to polls, `unchanged` (304) ones among them.
        events: Received on streams.
        backward: Answers and events older than the newest one of the same dashboard.
        silent: Dashboards that received nothing.
        client_cpu: Share of one core that the dashboards used.
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

    def add_error(self, reason: str) -> None:
        """Count an error; the first reason is reported."""
        self.errors += 1
        self.first_error = self.first_error or reason


@dataclass(slots=True)
class _Dashboard(asyncio.Protocol):
    plan: ListenersPlan
    report: ListenersReport
    newest: tuple[int, int] = (0, 0)
    received_count: int = 0
    unread: bytes = b""
    transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.ask()

    def connection_lost(self, error: Exception | None) -> None:
        del error
        self.transport = None

    def ask(self) -> None:
        """Send the next request."""
        raise NotImplementedError

    def send(self, path: str, headers: dict[str, str]) -> None:
        """Send a request with the plan's token."""
        if self.transport is not None:
            credentials = {"Authorization": f"Bearer {self.plan.token}"}
            path = f"/v1/jobs/{self.plan.job_id}{path}"
            self.transport.write(build_request(path, method="GET", headers={**credentials, **headers}))

    def take(self, version: tuple[int, int], *, strictly: bool) -> None:
        """Count a version of the job that was received; `strictly`: it must be newer than the one before."""
        self.report.backward += version <= self.newest if strictly else version < self.newest
        self.newest = version


@dataclass(slots=True)
class _Poller(_Dashboard):
    """A dashboard that polls."""

    headers: dict[str, str] = field(default_factory=dict)

    def ask(self) -> None:
        self.send("?wait=30" if self.newest > (0, 0) else "", self.headers)

    def data_received(self, data: bytes) -> None:
        self.unread += data
        response = take_response(self.unread)
        if response is not None:
            self.unread = b""
            self._count(response)
            self.ask()

    def _count(self, response: Response) -> None:
        if response.status not in {200, 304}:
            self.report.add_error(f"{response.status} {response.body[:200]!r}")
            return
        self.report.polls += 1
        self.received_count += 1
        if found := _ETAG.search(response.head):
            self.headers["If-None-Match"] = found[1].decode()
        if response.status == 304:
            self.report.unchanged += 1
        elif revision := _REVISION.search(response.body):
            self.take((0, int(revision[1])), strictly=False)


@dataclass(slots=True)
class _Stream(_Dashboard):
    """A dashboard that listens to events."""

    def ask(self) -> None:
        self.send("/events", {"Accept": "text/event-stream"})

    def data_received(self, data: bytes) -> None:
        lines, _, self.unread = (self.unread + data).rpartition(b"\n")
        if lines.startswith(b"HTTP/1.1 ") and not lines.startswith(b"HTTP/1.1 200"):
            self.report.add_error(repr(lines[:200]))
        for milliseconds, number in _EVENT.findall(lines):
            self.report.events += 1
            self.received_count += 1
            self.take((int(milliseconds), int(number)), strictly=True)


def _itself(dashboard: _Dashboard) -> _Dashboard:
    return dashboard


async def listen(plan: ListenersPlan) -> ListenersReport:
    """Connect every dashboard, print a line, and count for the plan's seconds."""
    report = ListenersReport()
    dashboards: list[_Dashboard] = [_Poller(plan, report) for _ in range(plan.pollers)]
    dashboards += [_Stream(plan, report) for _ in range(plan.streams)]
    await asyncio.wait_for(_connect(dashboards, plan.port), _CONNECTING_S)
    print("connected", flush=True)
    polls, events = report.polls, report.events
    for dashboard in dashboards:
        dashboard.received_count = 0
    start, cpu_start_s = time.monotonic(), time.process_time()
    await asyncio.sleep(plan.seconds)
    report.seconds = time.monotonic() - start
    report.client_cpu = (time.process_time() - cpu_start_s) / report.seconds
    report.polls, report.events = report.polls - polls, report.events - events
    for dashboard in dashboards:
        report.silent += dashboard.received_count == 0
        if dashboard.transport is None:
            report.add_error("the server closed a connection")
        else:
            dashboard.transport.abort()
    return report


async def _connect(dashboards: Sequence[_Dashboard], port: int) -> None:
    """Connect some dashboards at a time, and return when each has received the job."""
    loop = asyncio.get_running_loop()
    for first in range(0, len(dashboards), _CONNECTING):
        some = dashboards[first : first + _CONNECTING]
        await asyncio.gather(
            *(loop.create_connection(partial(_itself, one), "127.0.0.1", port) for one in some)
        )
    while not all(dashboard.newest > (0, 0) for dashboard in dashboards):
        await asyncio.sleep(0.05)


if __name__ == "__main__":
    print(json.dumps(asdict(asyncio.run(listen(ListenersPlan.from_json(sys.stdin.readline()))))))

"""The clients of a run: one loop over epoll.

Not asyncio: its callbacks cost about as much per request as the socket calls themselves, and the generator
shares the cores with the server it measures.
"""

import select
import time

from benchmarks.load.connection import ClientConnection
from benchmarks.load.messages import Response, renumber
from benchmarks.load.plan import LoadPlan
from benchmarks.load.report import LoadReport
from benchmarks.load.tally import Examiner, Tally

_LOOK_EVERY_S = 0.05


def run_plan(plan: LoadPlan) -> LoadReport:
    """Warms up, counts for the plan's seconds and reports.

    Raises:
        OSError: when no connection to the server can be had.
    """
    with select.epoll() as epoll:
        return _Run(plan, epoll).run()


class _Client:
    """Sends the plan's requests in turn, starting at its own place among them."""

    def __init__(self, plan: LoadPlan, epoll: select.epoll, first: int) -> None:
        self._plan = plan
        self._epoll = epoll
        self._first = first
        self.count = 0
        self.connection = ClientConnection(plan.port, epoll)

    @property
    def place(self) -> int:
        """Which of the plan's requests is on its way."""
        return (self._first + self.count) % len(self._plan.requests)

    def send(self) -> None:
        """Starts the request that is due."""
        request = self._plan.requests[self.place]
        self.connection.send(renumber(request, time.time_ns()) if self._plan.renumbered else request)

    def reconnect(self) -> None:
        """Replaces the connection."""
        self.connection.close()
        self.connection = ClientConnection(self._plan.port, self._epoll)


class _Run:
    def __init__(self, plan: LoadPlan, epoll: select.epoll) -> None:
        self._plan = plan
        self._epoll = epoll
        self._examiner = Examiner(plan)
        self._tally = Tally()
        self._clients: dict[int, _Client] = {}
        self._idle: dict[int, ClientConnection] = {}
        self._counting_from = 0.0

    def run(self) -> LoadReport:
        self._open_connections()
        start, cpu_start_s = time.perf_counter(), time.process_time()
        self._counting_from = start + self._plan.warmup_s
        end = self._counting_from + self._plan.seconds
        for client in self._clients.values():
            client.send()
        while time.perf_counter() < end:
            for descriptor, happened in self._epoll.poll(_LOOK_EVERY_S):
                if descriptor in self._clients:
                    self._attend(descriptor, happened)
                elif descriptor in self._idle:
                    self._tally.add_error("a connection that should stay idle was answered or closed")
                    self._idle.pop(descriptor).close()
        client_cpu = (time.process_time() - cpu_start_s) / (time.perf_counter() - start)
        self._close_connections()
        return self._tally.report(seconds=self._plan.seconds, client_cpu=client_cpu)

    def _open_connections(self) -> None:
        for _ in range(self._plan.idle_clients):
            connection = ClientConnection(self._plan.port, self._epoll)
            connection.send(self._plan.idle_request)
            self._idle[connection.descriptor] = connection
        for first in range(self._plan.clients):
            client = _Client(self._plan, self._epoll, first)
            self._clients[client.connection.descriptor] = client

    def _attend(self, descriptor: int, happened: int) -> None:
        client = self._clients[descriptor]
        usable = True
        try:
            if happened & select.EPOLLOUT:
                client.connection.send_rest()
            if not happened & ~select.EPOLLOUT:
                return
            response = client.connection.receive()
            if response is None:
                return
            usable = not response.closing
            self._count(client, response)
        except (OSError, ValueError) as error:
            self._tally.add_error(f"{type(error).__name__}: {error}")
            usable = False
        client.count += 1
        if not usable:
            del self._clients[descriptor]
            client.reconnect()
            self._clients[client.connection.descriptor] = client
        client.send()

    def _count(self, client: _Client, response: Response) -> None:
        now = time.perf_counter()
        refusal = self._examiner.refuse(response)
        if refusal:
            self._tally.add_error(refusal)
            return
        self._tally.answered += 1
        self._examiner.check(response, place=client.place, count=client.count, tally=self._tally)
        if client.connection.sent_at >= self._counting_from:
            self._tally.latencies_s.append(now - client.connection.sent_at)

    def _close_connections(self) -> None:
        now = time.perf_counter()
        for client in self._clients.values():
            waiting_s = now - client.connection.sent_at
            if waiting_s > self._plan.stalled_after_s:
                self._tally.add_error(f"no answer for {waiting_s:.1f} s")
            client.connection.close()
        for connection in self._idle.values():
            connection.close()

"""The clients of a run: one loop over epoll.

Not asyncio: its callbacks cost about as much per request as the socket calls themselves, and the generator
shares the cores with the server it measures.
"""

import select
import socket
import time
from typing import Final

from benchmarks.load.grpc_messages import GrpcWire
from benchmarks.load.messages import HttpWire, Response, renumber
from benchmarks.load.plan import LoadPlan
from benchmarks.load.report import LoadReport, Tally

_POLL_S: Final = 0.05
_RECEIVE_BYTES: Final = 1 << 18


def run_plan(plan: LoadPlan) -> LoadReport:
    """Warm up, count for the plan's seconds and report.

    Raises:
        OSError: a connection to the server cannot be opened.
    """
    with select.epoll() as epoll:
        return _Run(plan, epoll).run()


class _Client:
    """A keep-alive connection that sends the plan's requests in turn, one at a time, from its own place on."""

    def __init__(self, plan: LoadPlan, epoll: select.epoll, first: int) -> None:
        self._plan = plan
        self._epoll = epoll
        self.place = first % len(plan.requests)
        """Index of the request that is under way."""
        self.sent_at = 0.0
        self._wire: GrpcWire | HttpWire
        self._unsent = b""
        self._socket = self._connect()

    @property
    def descriptor(self) -> int:
        """The file descriptor of the connection."""
        return self._socket.fileno()

    def send(self) -> None:
        """Start the current request; the part that the socket does not take at once is left to `send_rest`."""
        request = self._plan.requests[self.place]
        if self._plan.renumbered:
            request = renumber(request, time.time_ns())
        self.sent_at = time.perf_counter()
        self._write(self._wire.request(request))

    def send_rest(self) -> None:
        """Send more of the request, when the socket can take it."""
        unsent, self._unsent = self._unsent, b""
        self._epoll.modify(self.descriptor, select.EPOLLIN)
        self._write(unsent)

    def _write(self, data: bytes) -> None:
        if self._unsent:
            self._unsent += data
            return
        sent = self._socket.send(data) if data else 0
        if sent < len(data):
            self._unsent = data[sent:]
            self._epoll.modify(self.descriptor, select.EPOLLIN | select.EPOLLOUT)

    def receive(self) -> Response | None:
        """Receive what has arrived; return a response when it is complete.

        Raises:
            OSError: the server has closed the connection.
            ValueError: the bytes are no response.
        """
        data = self._socket.recv(_RECEIVE_BYTES)
        if not data:
            raise ConnectionResetError("the server closed the connection")
        response, reply = self._wire.receive(data)
        if reply:
            self._write(reply)
        return response

    def advance(self) -> None:
        """Go on to the next request."""
        self.place = (self.place + 1) % len(self._plan.requests)

    def reconnect(self) -> None:
        """Replace the connection."""
        self.close()
        self._unsent = b""
        self._socket = self._connect()

    def close(self) -> None:
        """Close the connection."""
        self._epoll.unregister(self.descriptor)
        self._socket.close()

    def _connect(self) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self._plan.port), timeout=10)
        self._wire = GrpcWire() if self._plan.is_grpc else HttpWire()
        connection.sendall(self._wire.opening)
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._epoll.register(connection, select.EPOLLIN)
        return connection


class _Run:
    def __init__(self, plan: LoadPlan, epoll: select.epoll) -> None:
        self._plan = plan
        self._epoll = epoll
        self._tally = Tally(plan)
        self._clients: dict[int, _Client] = {}
        self._counting_from = 0.0

    def run(self) -> LoadReport:
        for first in range(self._plan.clients):
            client = _Client(self._plan, self._epoll, first)
            self._clients[client.descriptor] = client
        start, cpu_start_s = time.perf_counter(), time.process_time()
        self._counting_from = start + self._plan.warmup_s
        end = self._counting_from + self._plan.seconds
        for client in self._clients.values():
            client.send()
        while time.perf_counter() < end:
            for descriptor, events in self._epoll.poll(_POLL_S):
                self._attend(self._clients[descriptor], events)
        client_cpu = (time.process_time() - cpu_start_s) / (time.perf_counter() - start)
        self._close()
        return self._tally.report(client_cpu)

    def _attend(self, client: _Client, events: int) -> None:
        usable = True
        try:
            if events & select.EPOLLOUT:
                client.send_rest()
            if not events & ~select.EPOLLOUT:
                return
            response = client.receive()
            if response is None:
                return
            usable = not response.closing
            self._count(client, response)
        except (OSError, ValueError) as error:
            self._tally.add_error(f"{type(error).__name__}: {error}")
            usable = False
        client.advance()
        if not usable:
            del self._clients[client.descriptor]
            client.reconnect()
            self._clients[client.descriptor] = client
        client.send()

    def _count(self, client: _Client, response: Response) -> None:
        now = time.perf_counter()
        if self._tally.add_response(response, client.place) and client.sent_at >= self._counting_from:
            self._tally.latencies_s.append(now - client.sent_at)

    def _close(self) -> None:
        now = time.perf_counter()
        for client in self._clients.values():
            unanswered_s = now - client.sent_at
            if unanswered_s > self._plan.stalled_after_s:
                self._tally.add_error(f"no answer for {unanswered_s:.1f} s")
            client.close()

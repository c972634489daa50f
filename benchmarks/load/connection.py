"""One client's connection: a non-blocking socket registered with the loop's epoll."""

import select
import socket
import time

from benchmarks.load.messages import Response, take_response

_RECEIVE_BYTES = 1 << 18


class ClientConnection:
    """A keep-alive connection with at most one request on its way."""

    def __init__(self, port: int, epoll: select.epoll) -> None:
        self._epoll = epoll
        self._received = b""
        self._unsent = memoryview(b"")
        self.sent_at = 0.0
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.descriptor = self._socket.fileno()
        epoll.register(self.descriptor, select.EPOLLIN)

    def send(self, request: bytes) -> None:
        """Starts a request; what the socket does not take at once is left to `send_rest`."""
        self.sent_at = time.perf_counter()
        sent = self._socket.send(request)
        if sent < len(request):
            self._unsent = memoryview(request)[sent:]
            self._epoll.modify(self.descriptor, select.EPOLLIN | select.EPOLLOUT)

    def send_rest(self) -> None:
        """Sends more of the request, when the socket can take it."""
        self._unsent = self._unsent[self._socket.send(self._unsent) :]
        if not self._unsent:
            self._epoll.modify(self.descriptor, select.EPOLLIN)

    def receive(self) -> Response | None:
        """Takes what has come; a response when it is whole.

        Raises:
            OSError: when the server has hung up.
            ValueError: when what came is no response.
        """
        data = self._socket.recv(_RECEIVE_BYTES)
        if not data:
            raise ConnectionResetError("the server closed the connection")
        received = self._received + data if self._received else data
        response = take_response(received)
        self._received = b"" if response else received
        return response

    def close(self) -> None:
        """Lets the connection go."""
        self._epoll.unregister(self.descriptor)
        self._socket.close()

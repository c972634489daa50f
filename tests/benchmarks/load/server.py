"""A small HTTP server for the load generator to meet."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count

Answer = tuple[int, bytes]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:
        """Says nothing: clients hang up when their time is over."""


@contextmanager
def serving(
    answer: Callable[[int, bytes], Answer],
    *,
    hangs_up_every: int = 0,
    heard: Callable[[Message], None] = lambda _: None,
) -> Iterator[int]:
    """The port of a server that answers the n-th request (from 0) with a body by `answer`.

    `heard` is called with the headers of each request.
    """
    numbers = count()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            number = next(numbers)
            heard(self.headers)
            status, body = answer(number, self.rfile.read(int(self.headers["Content-Length"])))
            if hangs_up_every and number % hangs_up_every == 0:
                self.close_connection = True
                return
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            del arguments

    with _Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()

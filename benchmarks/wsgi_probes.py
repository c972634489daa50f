"""What each WSGI server does with rude clients and with SIGTERM: `python -m benchmarks.wsgi_probes`."""

import socket
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.environments import peer_python
from benchmarks.load import build_request
from benchmarks.processes import ProcessError, Started, free_port, started
from benchmarks.wsgi_servers import all_servers

_PATIENCE_S = 15.0
_SLOW = build_request("/slow", bytes(1))


def _ask(port: int, *parts: bytes) -> str:
    """The first line of what comes back and after how many seconds."""
    start = time.monotonic()
    with socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE_S) as connection:
        try:
            for part in parts:
                connection.sendall(part)
            received = connection.recv(4096)
        except TimeoutError:
            return f"held longer than {_PATIENCE_S:.0f} s"
        except ConnectionError:
            received = b""
    line = received.partition(b"\r\n")[0].decode(errors="replace") or "closed without a word"
    return f"{line} ({time.monotonic() - start:.1f} s)"


def _huge_header(port: int) -> str:
    return _ask(port, b"POST /plain HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 1_000_000 + b"\r\n\r\n")


def _many_headers(port: int) -> str:
    lines = b"".join(b"X-%d: %s\r\n" % (number, b"x" * 1000) for number in range(10_000))
    return _ask(port, b"POST /plain HTTP/1.1\r\nHost: a\r\n" + lines + b"\r\n")


def _half_head(port: int) -> str:
    return _ask(port, b"POST /plain HTTP/1.1\r\nHo")


def _half_body(port: int) -> str:
    return _ask(port, build_request("/plain", bytes(784))[:-300])


def _length_and_chunks(port: int) -> str:
    head = b"POST /plain HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"
    return _ask(port, head + b"0\r\n\r\n")


def _unknown_encoding(port: int) -> str:
    return _ask(port, b"POST /plain HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n")


_RUDE: dict[str, Callable[[int], str]] = {
    "one header of 1 MB": _huge_header,
    "10,000 headers": _many_headers,
    "half a head, then silence": _half_head,
    "half a body, then silence": _half_body,
    "both length and chunks": _length_and_chunks,
    "unknown transfer encoding": _unknown_encoding,
}


def _end_during_request(process: Started, port: int, polls: int) -> str:
    """Sends SIGTERM while a request of 1 s runs beside long polls."""
    waiting = [socket.create_connection(("127.0.0.1", port)) for _ in range(polls)]
    for connection in waiting:
        connection.sendall(build_request("/poll", bytes(1)))
    with socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE_S) as running:
        running.sendall(_SLOW)
        time.sleep(0.3)
        start = time.monotonic()
        process.terminate()
        try:
            answer = running.recv(4096).partition(b"\r\n")[0].decode() or "closed without a word"
        except OSError as error:
            answer = type(error).__name__
        try:
            process.wait(40.0)
        except ProcessError:
            return f"{answer}; still there after 40 s"
        finally:
            for connection in waiting:
                connection.close()
    return f"{answer}; gone after {time.monotonic() - start:.1f} s"


def main() -> None:
    """Tries every server, or those whose name contains the argument, and prints what it did."""
    python = str(peer_python("wsgi"))
    for server in all_servers(*sys.argv[1:2]):
        with tempfile.TemporaryDirectory() as folder:
            for polls in (0, 20):
                port = free_port()
                with started(
                    server.command_for(python, port), log=Path(folder) / "log", port=port
                ) as process:
                    if not polls:
                        for name, probe in _RUDE.items():
                            print(f"{server.name:22} {name:27} {probe(port)}", flush=True)
                    ending = _end_during_request(process, port, polls)
                    print(f"{server.name:22} {f'SIGTERM, {polls} long polls':27} {ending}", flush=True)


if __name__ == "__main__":
    main()

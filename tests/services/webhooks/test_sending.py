"""One try: its limits, and what is said of receivers that do not do as they should."""

import json
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from standardwebhooks import Webhook

from services.webhooks.record import body_of
from services.webhooks.sending import Sender
from services.webhooks.signing import new_secret, signed_headers
from services.webhooks.targets import Targets, networks_of
from tests.services.webhooks.receiver import open_receiver

HOME = Targets(networks_of("127.0.0.0/8"))


@contextmanager
def _listening(serve: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server of one connection that does as it likes."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            connection, _ = server.accept()
            with connection, suppress(OSError):
                serve(connection)

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/hook"
        thread.join(10)


def test_a_message_comes_whole_and_foreign_libraries_verify_it() -> None:
    secret, body = new_secret(), body_of("job.succeeded", 1.5e9, '{"id":"j","finished_at":1500000000.25}')
    with open_receiver() as receiver:
        answer = Sender(HOME).send(
            receiver.url, signed_headers(secret, "j-hook", int(time.time()), body), body
        )

    [received] = receiver.received
    assert (answer.status, answer.problem) == (200, None)
    assert received.path == "/hook"
    assert Webhook(secret).verify(received.body, dict(received.headers)) == {
        "type": "job.succeeded",
        "timestamp": "2017-07-14T02:40:00.000Z",
        "data": {"id": "j", "finished_at": "2017-07-14T02:40:00.250Z"},
    }
    assert json.loads(received.body)["type"] == "job.succeeded"


def test_an_answer_that_is_no_success_is_told_in_words_and_cut() -> None:
    with open_receiver() as receiver:
        receiver.status, receiver.content = 500, b"out of\r\norder \x00\xff" + 5000 * b"!"
        receiver.headers = {"Retry-After": "77"}

        answer = Sender(HOME).send(receiver.url, {}, b"{}")

    assert (answer.status, answer.asked_s) == (500, 77)
    assert str(answer.problem).startswith("the receiver answered 500 Internal Server Error: out of order ")
    assert len(str(answer.problem)) < 300
    assert str(answer.problem).isprintable()


def test_redirects_are_not_followed() -> None:
    with open_receiver() as receiver, open_receiver() as elsewhere:
        receiver.status, receiver.headers = 307, {"Location": elsewhere.url}

        answer = Sender(HOME).send(receiver.url, {}, b"{}")

        assert answer.status == 307
        assert "redirects are not followed" in str(answer.problem)
        assert elsewhere.received == []


def test_a_receiver_that_keeps_the_connection_open_does_not_hold_a_success_up() -> None:
    stop = threading.Event()

    def serve(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
        stop.wait(20)

    with _listening(serve) as url:
        answer = Sender(HOME, longest_s=60).send(url, {}, b"{}")
        stop.set()

    assert (answer.status, answer.problem) == (204, None)


@pytest.mark.parametrize("drip", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 500 No\r\n\r\n"])
def test_a_receiver_that_drips_is_left_in_the_end(drip: bytes) -> None:
    stop = threading.Event()

    def serve(connection: socket.socket) -> None:
        connection.sendall(drip)
        while not stop.wait(0.02):
            connection.sendall(b"x")

    with _listening(serve) as url:
        answer = Sender(HOME, longest_s=0.3).send(url, {}, b"{}")
        stop.set()

    assert answer.status == (500 if b"500" in drip else None)
    assert answer.problem is not None


@pytest.mark.parametrize("said", [b"", b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 abc\r\n\r\n", 100_000 * b"x"])
def test_what_is_no_answer_is_a_failure_in_words(said: bytes) -> None:
    def serve(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(said)

    with _listening(serve) as url:
        answer = Sender(HOME).send(url, {}, b"{}")

    assert answer.status is None
    assert str(answer.problem).startswith("the receiver cannot be reached (")


def test_nobody_listening_and_a_name_without_an_address_are_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

    assert "cannot be reached" in str(Sender(HOME).send(f"http://127.0.0.1:{port}/", {}, b"").problem)
    assert "has no address" in str(Sender(HOME).send("http://nowhere.invalid/", {}, b"").problem)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes the certificate")
@pytest.mark.parametrize("is_trusted", [True, False])
def test_the_certificate_of_a_receiver_is_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_trusted: bool
) -> None:
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
    ]
    names = ["-addext", "subjectAltName=DNS:localhost", "-out", str(certificate), "-keyout", str(key)]
    subprocess.run([*command, *names], check=True, capture_output=True)
    if is_trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    def serve(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secure:
            secure.recv(65536)
            secure.sendall(b"HTTP/1.1 200 OK\r\n\r\n")

    def home(_host: str, port: int) -> list[tuple[object, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    with _listening(serve) as url:
        sender = Sender(Targets(networks_of("127.0.0.0/8"), home))
        answer = sender.send(url.replace("http://127.0.0.1", "https://localhost"), {}, b"{}")

    assert answer.status == (200 if is_trusted else None)
    assert is_trusted or "certificate of the receiver is not valid" in str(answer.problem)


def test_a_slow_handshake_is_left_in_the_end() -> None:
    stop = threading.Event()

    def serve(connection: socket.socket) -> None:
        connection.sendall(b"\x16\x03\x03\x40\x00")
        while not stop.wait(0.02):
            connection.sendall(b"\x02")

    with _listening(serve) as url:
        answer = Sender(HOME, longest_s=0.3).send(url.replace("http", "https"), {}, b"{}")
        stop.set()

    assert answer.status is None

"""Tokens stay out of the logs, and names stay in their folders."""

import http.client
import json
import socket
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.api.requests import TOKEN
from tests.system.hostile.conftest import HOST, Server

ESCAPES = [
    "..", ".", "../admin-token", "..\\admin-token", "/etc/passwd", "%2e%2e", "..%2f..%2fetc", "a/../../b", "a\0b",
    "digits\n", ".deleted", "~root", "C:", "con/../x", "\uff44igits", "digits/", "a" * 65, "a" * 5000, "",
]  # fmt: skip


def _ask(server: Server, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(HOST, server.port, timeout=30)
    try:
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"} | headers
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def _files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.name != "api.log"}


@pytest.mark.parametrize("name", ESCAPES, ids=lambda name: name[:12])
def test_a_name_never_leads_out_of_its_folder(server: Server, name: str) -> None:
    before, quoted = _files(server.data_dir), quote(name, safe="")
    alias = json.dumps({"version": "1"}).encode()
    training = json.dumps({"kind": "training", "model": name}).encode()

    answers = [
        _ask(server, "GET", f"/v1/models/{quoted}"),
        _ask(server, "GET", f"/v1/models/digits/versions/{quoted}"),
        _ask(server, "GET", f"/v1/models/{quoted}/versions/1/weights"),
        _ask(server, "DELETE", f"/v1/models/{quoted}"),
        _ask(server, "DELETE", f"/v1/models/digits/versions/{quoted}"),
        _ask(server, "PUT", f"/v1/models/digits/aliases/{quoted}", alias),
        _ask(server, "PUT", f"/v1/models/{quoted}/aliases/production", alias),
        _ask(server, "DELETE", f"/v1/models/digits/aliases/{quoted}"),
        _ask(server, "POST", f"/v1/models/{quoted}/classify", bytes(784), **{"Content-Type": "image/png"}),
        _ask(server, "POST", "/v1/jobs", training),
        _ask(server, "GET", f"/v1/jobs/{quoted}"),
        _ask(server, "GET", f"/v1/chip/{quoted}/series/canary"),
        _ask(server, "GET", f"/static/{quoted}"),
        _ask(server, "GET", f"/static/{quoted}/../../admin-token"),
    ]

    for status, body in answers:
        assert status in {200, 308, 404, 405, 414, 422}, body
        assert TOKEN.encode() not in body
        assert b"root:" not in body
    assert _files(server.data_dir) == before
    assert answers[9][0] == 422


def test_tokens_are_in_no_log_however_they_are_sent(server: Server) -> None:
    as_json = json.dumps({"kind": "training", "model": TOKEN, TOKEN: TOKEN}).encode()
    _ask(server, "GET", f"/v1/jobs?token={TOKEN}&user={TOKEN}")
    _ask(server, "GET", f"/?token={TOKEN}")
    _ask(server, "GET", "/v1/jobs", Authorization=f"Basic {TOKEN}")
    _ask(server, "GET", "/v1/jobs", Cookie=f"token={TOKEN}", Referer=f"http://x/?token={TOKEN}")
    _ask(server, "POST", "/v1/jobs", as_json)
    _ask(server, "POST", "/v1/models/digits/classify", TOKEN.encode())
    for head in (f"GET /?token={TOKEN} HTTP/9.9", f"{TOKEN} / HTTP/1.1", f"GET / HTTP/1.1\r\n{TOKEN}"):
        with socket.create_connection((HOST, server.port), timeout=30) as connection:
            connection.sendall(f"{head}\r\n\r\n".encode())
            connection.recv(4096)

    assert server.answers()
    assert TOKEN not in server.log()


def test_a_device_signs_in_by_a_code_that_is_in_no_log(server: Server) -> None:
    _, made = _ask(server, "POST", "/v1/me/sign-in-links")
    code = json.loads(made)["link"].partition("#")[2]
    form = {"Authorization": "", "Content-Type": "application/x-www-form-urlencoded"}

    shown, _ = _ask(server, "GET", "/login/link", b"", **form)
    origin = {"Origin": f"http://{HOST}:{server.port}"}
    signed_in, _ = _ask(server, "POST", "/login/link", f"code={code}".encode(), **form, **origin)

    assert (shown, signed_in) == (200, 303)
    assert code not in server.log()


def test_the_token_is_in_no_list_of_processes(server: Server) -> None:
    command = Path(f"/proc/{server.process.pid}/cmdline")
    if not command.exists():
        pytest.skip("this system has no /proc")

    assert TOKEN.encode() not in command.read_bytes()

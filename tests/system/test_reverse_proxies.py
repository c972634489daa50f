"""The service behind nginx and HAProxy, as an operator puts it there."""

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path
from typing import Final

import pytest

from deploy.ports import free_port
from deploy.supervision import Supervised
from tests.api.requests import CLASSIFY, TOKEN
from tests.needs import needed
from tests.services.samples import scores_of
from tests.system.conftest import wait_until
from tests.system.hostile.conftest import HOST, Server, serving
from tests.system.test_body_forms import (
    CLASSIFY_FORMS,
    CROPS,
    INFER,
    INFER_FORMS,
    PICTURES,
    Form,
    classify_by_command,
    post,
    scores,
)

pytestmark = pytest.mark.long

_HAPROXY: Final = Path(__file__).resolve().parents[2] / "deploy" / "haproxy" / "haproxy.cfg"
_FORMS: Final = [
    pytest.param(path, form, id=f"{path[:3]} {name}")
    for path, forms in ((CLASSIFY, CLASSIFY_FORMS), (INFER, INFER_FORMS))
    for name, form in forms.items()
]


def _nginx(folder: Path, port: int, behind: int) -> list[str]:
    """Configure nginx with nothing but what it needs: HTTP/1.0 to the service, bodies and answers buffered."""
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root;" if os.geteuid() == 0 else ""  # else its workers could not write into the folder
    (folder / "nginx.conf").write_text(
        f"{user} daemon off; pid {folder}/pid; error_log stderr; events {{}} "
        f"http {{ access_log off; client_max_body_size 32m; {temporary} "
        f"server {{ listen {HOST}:{port}; location / {{ proxy_pass http://{HOST}:{behind}; }} }} }}"
    )
    executable = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    return [
        needed(executable, "there is no nginx; `apt-get install nginx-light`"),
        *("-e", "stderr", "-c", str(folder / "nginx.conf")),
    ]


def _haproxy(folder: Path, port: int, behind: int) -> list[str]:
    """Configure HAProxy as docker-compose.yml does, but for the addresses."""
    config = re.sub(r"resolvers engine\n(?: .*\n)+", "", _HAPROXY.read_text())
    config = re.sub(r"bind :8080", f"bind {HOST}:{port}", config)
    config = re.sub(r"server-template .*", f"server api {HOST}:{behind}", config)
    (folder / "haproxy.cfg").write_text(config)
    executable = shutil.which("haproxy", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    return [
        needed(executable, "there is no HAProxy; `apt-get install haproxy`"),
        *("-f", str(folder / "haproxy.cfg")),
    ]


@pytest.fixture(scope="module", params=[_nginx, _haproxy], ids=["nginx", "HAProxy"])
def proxied(
    request: pytest.FixtureRequest, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """An API as it is seen through a proxy."""
    folder, port = tmp_path_factory.mktemp("proxy"), free_port(HOST, 0)
    with serving(redis_url, tmp_path_factory.mktemp("api"), {"HXSERVE_MAX_BODY_BYTES": str(2**23)}) as server:
        command = request.param(folder, port, server.port)
        proxy = Supervised("proxy", command, folder / "proxy.log", environment=os.environ)
        try:
            seen = replace(server, port=port)
            wait_until(seen.answers)
            yield seen
        finally:
            proxy.stop()


@pytest.mark.parametrize("is_chunked", [False, True], ids=["length", "chunked"])
@pytest.mark.parametrize(("path", "form"), _FORMS)
def test_each_form_passes_a_proxy(proxied: Server, path: str, form: Form, is_chunked: bool) -> None:
    status, answer = post(proxied, path, form, is_chunked=is_chunked)

    assert status == 200, answer
    assert scores(answer) == form.scores


def test_the_command_reads_several_pictures_through_a_proxy(proxied: Server, tmp_path: Path) -> None:
    paths = [tmp_path / name for name in PICTURES]
    for path in paths:
        path.write_bytes(PICTURES[path.name])

    assert classify_by_command(proxied, *paths) == scores_of(CROPS.tobytes()).tolist()


def test_a_refusal_keeps_its_reason_through_a_proxy(proxied: Server) -> None:
    status, answer = post(proxied, CLASSIFY, Form(b"short", "application/octet-stream"), is_chunked=False)

    assert status == 422
    assert json.loads(answer)["code"] == "invalid_images"


def test_events_pass_a_proxy_one_by_one(proxied: Server) -> None:
    with closing(HTTPConnection(HOST, proxied.port, timeout=10)) as connection:
        connection.request("GET", "/v1/pulse", headers={"Authorization": f"Bearer {TOKEN}"})
        answer = connection.getresponse()
        events = [answer.readline() for _ in range(8)]

    assert sum(line.startswith(b"event: pulse") for line in events) >= 1

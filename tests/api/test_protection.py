"""Headers that protect whoever looks at an answer with a browser, and what answers do not tell."""

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest
from flask.testing import FlaskClient

from tests.api.requests import CLASSIFY, RAW
from tests.services.chip import Chip
from tests.services.samples import some_crops

PATHS = [
    "/",
    "/docs",
    "/openapi.json",
    "/healthz",
    "/readyz",
    "/v1/jobs",
    "/v1/models",
    "/v1/nothing",
    "/nothing",
]


@pytest.mark.parametrize("path", PATHS)
def test_every_answer_is_protected(client: FlaskClient, path: str) -> None:
    headers = client.get(path).headers

    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] in {"no-referrer", "same-origin"}
    assert headers["X-Frame-Options"] == "DENY"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "script-src 'unsafe-inline'" not in headers["Content-Security-Policy"]
    assert "Server" not in headers


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/models", "/v1/nothing", "/readyz"])
def test_private_answers_are_kept_by_nobody(client: FlaskClient, path: str) -> None:
    assert client.get(path).headers["Cache-Control"] == "no-store"


def test_answers_of_the_short_way_for_crops_are_protected_too(client: FlaskClient, chip: Chip) -> None:
    answer = client.post(CLASSIFY, data=some_crops(1), content_type=RAW)
    refused = client.post(CLASSIFY, data=b"x", content_type=RAW)

    assert (answer.status_code, refused.status_code) == (200, 422)
    for headers in (answer.headers, refused.headers):
        assert headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert headers["Cache-Control"] == "no-store"
    chip.stop()


def test_no_other_origin_may_read_an_answer(client: FlaskClient) -> None:
    headers = {"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "POST"}

    for answer in (client.get("/v1/jobs", headers=headers), client.options("/v1/jobs", headers=headers)):
        assert not [name for name in answer.headers.keys() if name.lower().startswith("access-control-")]  # noqa: SIM118 pairs otherwise


class _Scripts(HTMLParser):
    """What a browser takes for the scripts of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.scripts: list[str] = []
        self._is_script = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._is_script = tag == "script"
        if self._is_script:
            assert attrs == []
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        del tag
        self._is_script = False

    def handle_data(self, data: str) -> None:
        if self._is_script:
            self.scripts[-1] += data


def test_every_script_of_the_documentation_is_allowed_by_its_hash_alone(client: FlaskClient) -> None:
    answer = client.get("/docs")
    page = _Scripts()
    page.feed(answer.get_data(as_text=True))

    [allowed] = re.findall(r"script-src ([^;]*);", answer.headers["Content-Security-Policy"])

    digests = [base64.b64encode(hashlib.sha256(script.encode()).digest()) for script in page.scripts]
    assert allowed.split() == [f"'sha256-{digest.decode()}'" for digest in digests]
    assert len(digests) > 1

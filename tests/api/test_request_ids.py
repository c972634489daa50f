"""Requests have ids: in their answers, and in the lines that are logged about them."""

import json
import logging
import re
from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any

import pytest
from flask.testing import FlaskClient

from api.request_ids import HEADER
from services import logs
from tests.api.requests import CLASSIFY, RAW, TOKEN, Enter
from tests.services.samples import some_crops

OWN = re.compile(r"[0-9a-f]{16}")
GIVEN = "proxy-0123456789"
TRAINING = {"kind": "training", "model": "digits"}


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """The lines that were logged, as programs read them."""
    written, root = StringIO(), logging.getLogger()
    before, root.handlers, level = root.handlers, [], root.level
    monkeypatch.setattr("sys.stderr", written)
    logs.configure_logging("debug", "json", process="api")
    yield lambda: [json.loads(line) for line in written.getvalue().splitlines()]
    logging.captureWarnings(False)
    root.handlers = before
    root.setLevel(level)


def test_an_answer_carries_an_id_of_its_own(client: FlaskClient) -> None:
    first, second = (client.get("/v1/jobs").headers[HEADER] for _ in range(2))

    assert OWN.fullmatch(first)
    assert first != second


def test_a_well_formed_id_of_a_proxy_is_kept(client: FlaskClient) -> None:
    assert client.get("/v1/jobs", headers={HEADER: GIVEN}).headers[HEADER] == GIVEN


@pytest.mark.parametrize(
    "given", ["", "short", "x" * 129, "with space", "a=b;c=d01", "<script>0", "\u00e4" * 10]
)
def test_any_other_id_is_replaced(client: FlaskClient, given: str) -> None:
    answer = client.get("/v1/jobs", headers={HEADER: given.encode().decode("latin-1")})

    assert OWN.fullmatch(answer.headers[HEADER])


@pytest.mark.parametrize("path", ["/v1/jobs/none", "/none", "/v1/jobs?limit=x", "/healthz", "/v2"])
def test_refusals_and_public_answers_carry_one_too(
    client: FlaskClient, stranger: FlaskClient, path: str
) -> None:
    for who in (client, stranger):
        assert OWN.fullmatch(who.get(path).headers[HEADER])


@pytest.mark.usefixtures("chip")
def test_answers_to_crops_carry_the_id_that_a_proxy_gave_and_refusals_always_one(client: FlaskClient) -> None:
    given = client.post(CLASSIFY, data=some_crops(1), content_type=RAW, headers={HEADER: GIVEN})
    refused = client.post(CLASSIFY, data=b"x", content_type=RAW)
    refused_given = client.post(CLASSIFY, data=b"x", content_type=RAW, headers={HEADER: GIVEN})

    assert (given.status_code, given.headers[HEADER]) == (200, GIVEN)
    assert refused.status_code == 422
    assert OWN.fullmatch(refused.headers[HEADER])
    assert refused_given.headers[HEADER] == GIVEN


def test_a_submission_and_its_end_are_logged_once_each_with_request_job_and_user(
    enter: Enter, logged: Callable[[], list[dict[str, Any]]]
) -> None:
    ada = enter("ada")

    submitted = ada.post("/v1/jobs", json=TRAINING)
    job_id = submitted.get_json()["id"]
    cancelled = [ada.post(f"/v1/jobs/{job_id}/cancel") for _ in range(2)]

    lines = [
        line for line in logged() if line["logger"] in {"services.jobs.submission", "jobs", "api.requests"}
    ]
    facts = [(line["logger"], line["user"], line.get("job"), line["request"]) for line in lines]
    assert facts == [
        ("services.jobs.submission", "ada", job_id, submitted.headers[HEADER]),
        ("api.requests", "ada", None, submitted.headers[HEADER]),
        ("jobs", "ada", job_id, cancelled[0].headers[HEADER]),
        ("api.requests", "ada", job_id, cancelled[0].headers[HEADER]),
        ("api.requests", "ada", job_id, cancelled[1].headers[HEADER]),
    ]
    assert lines[2]["message"] == f"job {job_id}: cancelled"


def test_a_request_line_names_the_rule_and_neither_the_address_nor_the_token(
    client: FlaskClient, logged: Callable[[], list[dict[str, Any]]]
) -> None:
    client.get(f"/v1/jobs/{TOKEN}", headers={"Referer": f"http://x/?token={TOKEN}"})
    client.open(f"/{TOKEN}", method=TOKEN)
    client.get("/healthz")

    lines = [line for line in logged() if line["logger"] == "api.requests"]
    assert [(line["level"], re.sub(r" in .*", "", line["message"])) for line in lines] == [
        ("info", "GET /v1/jobs/<job_id>: 404"),
        ("info", "other unmatched: 404"),
        ("debug", "GET /healthz: 200"),
    ]
    assert TOKEN not in json.dumps(logged())


@pytest.mark.usefixtures("chip")
def test_what_a_request_was_about_is_forgotten_with_it(
    client: FlaskClient, logged: Callable[[], list[dict[str, Any]]]
) -> None:
    client.get("/v1/jobs")
    client.post(CLASSIFY, data=b"x", content_type=RAW)

    logging.getLogger("tests").warning("afterwards")

    assert "request" not in logged()[-1]

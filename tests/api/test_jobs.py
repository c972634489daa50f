"""Jobs over HTTP: submitted, listed and cancelled."""

import base64
from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.application import Application
from services.jobs.record import JobState
from services.jobs.request import JobRequest
from services.users.authentication import User
from tests.api.jobs import TRAINING, change_job, submit_training
from tests.api.requests import refused
from tests.services.chip import Chip
from tests.services.samples import some_crops


def test_a_submitted_job_is_accepted_with_its_address(client: FlaskClient) -> None:
    response = client.post("/v1/jobs", json=TRAINING)

    job = response.get_json()
    assert response.status_code == 202
    assert response.headers["Location"] == f"/v1/jobs/{job['id']}"
    assert (job["state"], job["user"], job["queue"]) == ("queued", "admin", {"position": 1, "of": 1})
    assert client.get(response.headers["Location"]).get_json() == job


def test_the_same_submission_with_the_same_key_is_one_job(client: FlaskClient) -> None:
    headers = {"Idempotency-Key": "k"}

    first = client.post("/v1/jobs", json=TRAINING, headers=headers)
    again = client.post("/v1/jobs", json=TRAINING, headers=headers)

    assert again.get_json()["id"] == first.get_json()["id"]
    assert len(client.get("/v1/jobs").get_json()["jobs"]) == 1


def test_another_submission_with_the_same_key_is_a_conflict(client: FlaskClient) -> None:
    headers = {"Idempotency-Key": "k"}
    client.post("/v1/jobs", json=TRAINING, headers=headers)

    response = client.post("/v1/jobs", json=TRAINING | {"model": "other"}, headers=headers)

    assert "use a new key" in refused(response, 409, "idempotency_conflict")


@pytest.mark.parametrize("limits", [{"max_queued_jobs": 1}])
def test_a_job_beyond_the_limit_is_refused_with_a_time_to_come_back(client: FlaskClient) -> None:
    submit_training(client)

    response = client.post("/v1/jobs", json=TRAINING)

    refused(response, 429, "queue_full")
    assert int(response.headers["Retry-After"]) >= 1


_DEEP = "[" * 100_000 + "]" * 100_000
BAD_SUBMISSIONS: dict[str, tuple[dict[str, Any], int, str, str]] = {
    "no body": ({}, 422, "invalid_input", "kind"),
    "empty": ({"json": {}}, 422, "invalid_input", "kind"),
    "not JSON": ({"data": "{", "content_type": "application/json"}, 422, "invalid_input", "not JSON"),
    "deep": ({"data": _DEEP, "content_type": "application/json"}, 422, "invalid_input", "not JSON"),
    "not UTF-8": ({"data": b'"\xff"', "content_type": "application/json"}, 422, "invalid_input", "not JSON"),
    "a list": ({"json": []}, 422, "invalid_input", ""),
    "a form": ({"data": {"kind": "training"}}, 415, "unsupported_media_type", "send application/json"),
    "text": ({"data": "kind", "content_type": "text/plain"}, 415, "unsupported_media_type", "text/plain"),
    "another kind": (
        {"json": TRAINING | {"kind": "dancing"}},
        422,
        "invalid_input",
        "'training'",
    ),
    "a classification": ({"json": TRAINING | {"kind": "classification"}}, 422, "invalid_input", "kind"),
    "an unknown field": ({"json": TRAINING | {"prams": {}}}, 422, "invalid_input", "prams: unknown field"),
    "a bad name": ({"json": TRAINING | {"model": "../x"}}, 422, "invalid_input", "model"),
    "a number": ({"json": TRAINING | {"model": 3}}, 422, "invalid_input", "valid string"),
    "an option misspelt": (
        {"json": TRAINING | {"params": {"epoch": 1}}},
        422,
        "invalid_input",
        "known are batch_size",
    ),
    "an option too small": (
        {"json": TRAINING | {"params": {"epochs": 0}}},
        422,
        "invalid_input",
        "params.epochs",
    ),
    "an unknown model": (
        {"json": {"kind": "evaluation", "model": "x"}},
        404,
        "model_not_found",
        "no model 'x'",
    ),
}


@pytest.mark.parametrize("case", BAD_SUBMISSIONS)
def test_a_wrong_submission_is_refused_with_what_was_wrong(client: FlaskClient, case: str) -> None:
    body, status, code, said = BAD_SUBMISSIONS[case]

    response = client.post("/v1/jobs", **body)

    assert said in refused(response, status, code)
    assert client.get("/v1/jobs").get_json()["jobs"] == []


@pytest.mark.parametrize("job_id", ["nothing", "..", "%00", "a:events", "x" * 300])
@pytest.mark.parametrize(("method", "suffix"), [("GET", ""), ("GET", "/events"), ("POST", "/cancel")])
def test_a_job_that_is_not_there_is_not_found(
    client: FlaskClient, job_id: str, method: str, suffix: str
) -> None:
    response = client.open(f"/v1/jobs/{job_id}{suffix}", method=method)

    assert response.status_code in {404, 308}
    if response.status_code == 404:
        refused(response, 404, response.get_json()["code"])


@pytest.mark.parametrize("suffix", ["events", "results"])
def test_what_belongs_to_a_job_is_no_job(client: FlaskClient, suffix: str) -> None:
    job = submit_training(client)

    refused(client.get(f"/v1/jobs/{job['id']}:{suffix}"), 404, "job_not_found")


def test_jobs_are_listed_newest_first(client: FlaskClient) -> None:
    ids = [submit_training(client)["id"] for _ in range(3)]

    listed = client.get("/v1/jobs").get_json()

    assert [job["id"] for job in listed["jobs"]] == ids[::-1]
    assert listed["next_cursor"] is None


def _pages(client: FlaskClient, query: str, between: Any = lambda: None) -> Iterator[list[dict[str, Any]]]:
    cursor = ""
    while True:
        page = client.get(f"/v1/jobs?{query}{cursor}").get_json()
        yield page["jobs"]
        if page["next_cursor"] is None:
            return
        cursor = f"&cursor={page['next_cursor']}"
        between()


@given(st.integers(0, 9), st.integers(1, 4))
@settings(deadline=None, max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_pages_together_are_all_jobs_once_even_while_new_ones_come(
    client: FlaskClient, application: Application, count: int, limit: int
) -> None:
    application.connection.client.flushall()
    ids = [submit_training(client)["id"] for _ in range(count)]

    pages = list(_pages(client, f"limit={limit}", lambda: submit_training(client)))

    assert [job["id"] for page in pages for job in page] == ids[::-1]
    assert all(len(page) == limit for page in pages[:-1])


@pytest.mark.parametrize("limit", [1, 2, 50])
def test_filters_hold_over_all_pages(client: FlaskClient, limit: int) -> None:
    jobs = [submit_training(client, model=f"m{n}") for n in range(6)]
    for job in jobs[::2]:
        client.post(f"/v1/jobs/{job['id']}/cancel")

    cancelled = [job["id"] for page in _pages(client, f"limit={limit}&state=cancelled") for job in page]

    assert cancelled == [job["id"] for job in jobs[::2]][::-1]
    assert list(_pages(client, "user=nobody")) == [[]]
    assert list(_pages(client, "kind=evaluation")) == [[]]
    assert [len(page) for page in _pages(client, "kind=training&user=admin")] == [6]


def test_records_that_expired_are_not_listed_and_forgotten(
    client: FlaskClient, application: Application
) -> None:
    gone, kept = submit_training(client)["id"], submit_training(client)["id"]
    application.connection.client.delete(f"hx:job:{gone}")

    listed = client.get("/v1/jobs").get_json()["jobs"]

    assert [job["id"] for job in listed] == [kept]
    assert application.connection.client.zcard("hx:jobs") == 1


def _cursor(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "cursor",
    ["x", "%20", "äö", _cursor("1"), _cursor("x y"), _cursor("1 2 3"), _cursor("nan x"), _cursor("inf x")],
)
def test_a_cursor_that_is_none_is_refused(client: FlaskClient, cursor: str) -> None:
    assert "start again" in refused(client.get(f"/v1/jobs?cursor={cursor}"), 422, "invalid_cursor")


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=201", "limit=x", "state=done", "kind=x", "user=A", "sort=up", "wait=1"]
)
def test_a_wrong_query_is_refused_with_its_name(client: FlaskClient, query: str) -> None:
    assert query.split("=", maxsplit=1)[0] in refused(client.get(f"/v1/jobs?{query}"), 422, "invalid_input")


def test_a_queued_job_is_cancelled_at_once_and_cancelling_again_changes_nothing(client: FlaskClient) -> None:
    job = submit_training(client)

    first = client.post(f"/v1/jobs/{job['id']}/cancel").get_json()
    again = client.post(f"/v1/jobs/{job['id']}/cancel").get_json()

    assert first["state"] == "cancelled"
    assert again == first


def test_a_running_job_is_asked_to_stop(
    client: FlaskClient, application: Application, idle_chip: Chip
) -> None:
    job = submit_training(client)
    change_job(application, idle_chip.lease, job["id"], state=JobState.RUNNING)

    cancelled = client.post(f"/v1/jobs/{job['id']}/cancel").get_json()

    assert (cancelled["state"], cancelled["cancel_requested"]) == ("running", True)


def test_a_waiting_classification_is_cancelled_and_its_crops_never_run(
    client: FlaskClient, idle_chip: Chip
) -> None:
    accepted = client.post("/v1/models/digits/classify?wait=0", data=some_crops(2)).get_json()

    client.post(f"/v1/jobs/{accepted['id']}/cancel")

    assert idle_chip.work_once() == 0
    assert client.get(f"/v1/jobs/{accepted['id']}").get_json()["state"] == "cancelled"


def test_the_place_in_the_queue_is_that_in_which_slices_are_given(
    client: FlaskClient, application: Application
) -> None:
    mine = [submit_training(client)["id"] for _ in range(3)]

    theirs = application.submissions.submit(JobRequest.model_validate(TRAINING), User("grace")).id

    places = {i: client.get(f"/v1/jobs/{i}").get_json()["queue"] for i in [*mine, theirs]}

    assert [places[i]["position"] for i in (mine[0], theirs, mine[1], mine[2])] == [1, 2, 3, 4]
    assert {place["of"] for place in places.values()} == {4}

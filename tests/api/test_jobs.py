"""Jobs over HTTP: submitted, listed, watched, listened to, cancelled."""

import base64
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from api.application import Application
from services.chips.store import Lease
from services.jobs.params import JobRequest
from services.jobs.record import JobState
from services.users.authentication import ADMIN, User
from tests.api.requests import refused
from tests.services.chip import Chip
from tests.services.samples import some_crops
from tests.system.conftest import wait_until

TRAINING = {"kind": "training", "model": "digits", "params": {"epochs": 2}}


def _submit(client: FlaskClient, **changes: Any) -> dict[str, Any]:
    response = client.post("/v1/jobs", json=TRAINING | changes)
    assert response.status_code == 202, response.get_data(as_text=True)
    job: dict[str, Any] = response.get_json()
    return job


def _change(application: Application, lease: Lease, job_id: str, **fields: Any) -> None:
    kind = "state" if "state" in fields else "progress"
    application.jobs.change(
        application.jobs.get(job_id),
        lease=lease,
        allowed=(JobState.QUEUED, JobState.RUNNING),
        event={"type": kind, **fields},
        **fields,
    )


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
    _submit(client)

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
    job = _submit(client)

    refused(client.get(f"/v1/jobs/{job['id']}:{suffix}"), 404, "job_not_found")


def test_jobs_are_listed_newest_first(client: FlaskClient) -> None:
    ids = [_submit(client)["id"] for _ in range(3)]

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
    ids = [_submit(client)["id"] for _ in range(count)]

    pages = list(_pages(client, f"limit={limit}", lambda: _submit(client)))

    assert [job["id"] for page in pages for job in page] == ids[::-1]
    assert all(len(page) == limit for page in pages[:-1])


@pytest.mark.parametrize("limit", [1, 2, 50])
def test_filters_hold_over_all_pages(client: FlaskClient, limit: int) -> None:
    jobs = [_submit(client, model=f"m{n}") for n in range(6)]
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
    gone, kept = _submit(client)["id"], _submit(client)["id"]
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


def test_an_unchanged_job_is_not_sent_again(client: FlaskClient) -> None:
    job = _submit(client)
    etag = client.get(f"/v1/jobs/{job['id']}").headers["ETag"]

    response = client.get(f"/v1/jobs/{job['id']}", headers={"If-None-Match": etag})

    assert (response.status_code, response.get_data(), response.headers["ETag"]) == (304, b"", etag)


def test_a_changed_job_has_another_etag(client: FlaskClient) -> None:
    job = _submit(client)
    etag = client.get(f"/v1/jobs/{job['id']}").headers["ETag"]
    client.post(f"/v1/jobs/{job['id']}/cancel")

    response = client.get(f"/v1/jobs/{job['id']}", headers={"If-None-Match": etag})

    assert response.status_code == 200
    assert response.headers["ETag"] != etag


def test_a_job_that_moved_up_in_the_queue_is_sent_again(client: FlaskClient) -> None:
    first, second = _submit(client), _submit(client)
    path = f"/v1/jobs/{second['id']}"
    etag = client.get(path).headers["ETag"]
    client.post(f"/v1/jobs/{first['id']}/cancel")

    moved = client.get(path, headers={"If-None-Match": etag})
    again = client.get(path, headers={"If-None-Match": moved.headers["ETag"]})

    assert (moved.get_json()["queue"], moved.get_json()["revision"]) == ({"position": 1, "of": 1}, 1)
    assert again.status_code == 304


@pytest.mark.timeout(30)
def test_a_long_poll_ends_when_the_job_changes(
    app: Any, client: FlaskClient, application: Application
) -> None:
    job = _submit(client)
    etag = client.get(f"/v1/jobs/{job['id']}").headers["ETag"]
    answers: list[TestResponse] = []

    def poll() -> None:
        headers = {"If-None-Match": etag, "Authorization": client.environ_base["HTTP_AUTHORIZATION"]}
        answers.append(app.test_client().get(f"/v1/jobs/{job['id']}?wait=60", headers=headers))

    poller = threading.Thread(target=poll)
    poller.start()
    wait_until(lambda: application.subscriptions.peek(job["id"]) is not None)
    application.submissions.cancel(job["id"], ADMIN)
    poller.join()

    assert (answers[0].status_code, answers[0].get_json()["state"]) == (200, "cancelled")


def test_a_long_poll_in_which_nothing_happens_says_so(client: FlaskClient) -> None:
    job = _submit(client)
    etag = client.get(f"/v1/jobs/{job['id']}").headers["ETag"]

    response = client.get(f"/v1/jobs/{job['id']}?wait=0.05", headers={"If-None-Match": etag})

    assert response.status_code == 304


@pytest.mark.timeout(30)
def test_a_long_poll_for_what_has_changed_already_ends_at_once(client: FlaskClient) -> None:
    job = _submit(client)
    etag = client.get(f"/v1/jobs/{job['id']}").headers["ETag"]
    client.post(f"/v1/jobs/{job['id']}/cancel")

    response = client.get(f"/v1/jobs/{job['id']}?wait=60", headers={"If-None-Match": etag})

    assert response.get_json()["state"] == "cancelled"


@pytest.mark.timeout(30)
def test_a_long_poll_of_a_finished_job_ends_at_once(client: FlaskClient) -> None:
    job = _submit(client)
    client.post(f"/v1/jobs/{job['id']}/cancel")

    assert client.get(f"/v1/jobs/{job['id']}?wait=60").get_json()["state"] == "cancelled"


@pytest.mark.parametrize("wait", ["-1", "61", "x", "nan"])
def test_a_wait_that_is_none_is_refused(client: FlaskClient, wait: str) -> None:
    job = _submit(client)

    assert "wait" in refused(client.get(f"/v1/jobs/{job['id']}?wait={wait}"), 422, "invalid_input")


def _events(text: str) -> list[dict[str, str]]:
    blocks = [block for block in text.split("\n\n") if block and not block.startswith(":")]
    return [dict(line.split(": ", 1) for line in block.split("\n")) for block in blocks]


def test_the_events_of_a_finished_job_are_all_sent_and_the_stream_ends(client: FlaskClient) -> None:
    job = _submit(client)
    client.post(f"/v1/jobs/{job['id']}/cancel")

    response = client.get(f"/v1/jobs/{job['id']}/events")

    events = _events(response.get_data(as_text=True))
    assert response.content_type == "text/event-stream"
    assert [json.loads(event["data"])["state"] for event in events] == ["queued", "cancelled"]
    assert all(event["event"] == "state" for event in events)


@pytest.mark.timeout(30)
def test_events_are_sent_as_they_come_until_the_job_ends(client: FlaskClient) -> None:
    job = _submit(client)
    stream = client.get(f"/v1/jobs/{job['id']}/events", buffered=False).iter_encoded()

    first = next(stream)
    client.post(f"/v1/jobs/{job['id']}/cancel")
    rest = b"".join(stream)

    assert json.loads(_events(first.decode())[0]["data"])["state"] == "queued"
    assert [json.loads(event["data"])["state"] for event in _events(rest.decode())] == ["cancelled"]


def test_a_stream_goes_on_after_the_event_last_heard(
    client: FlaskClient, application: Application, idle_chip: Chip
) -> None:
    job = _submit(client)
    for number in range(5):
        _change(application, idle_chip.lease, job["id"], progress=number / 10)
    client.post(f"/v1/jobs/{job['id']}/cancel")
    everything = _events(client.get(f"/v1/jobs/{job['id']}/events").get_data(as_text=True))

    for number, event in enumerate(everything):
        headers = {"Last-Event-ID": event["id"]}
        rest = client.get(f"/v1/jobs/{job['id']}/events", headers=headers).get_data(as_text=True)
        assert (_events(rest) if rest else []) == everything[number + 1 :]


def test_a_browser_that_has_all_events_of_a_finished_job_is_told_to_stop(client: FlaskClient) -> None:
    job = _submit(client)
    client.post(f"/v1/jobs/{job['id']}/cancel")
    events = _events(client.get(f"/v1/jobs/{job['id']}/events").get_data(as_text=True))

    again = client.get(f"/v1/jobs/{job['id']}/events", headers={"Last-Event-ID": events[-1]["id"]})

    assert (again.status_code, again.data) == (204, b"")


def test_a_stream_of_very_many_events_is_sent_to_its_end(
    client: FlaskClient, application: Application, idle_chip: Chip
) -> None:
    job = _submit(client)
    for number in range(600):
        _change(application, idle_chip.lease, job["id"], progress=number / 1000)
    client.post(f"/v1/jobs/{job['id']}/cancel")

    events = _events(client.get(f"/v1/jobs/{job['id']}/events").get_data(as_text=True))

    assert json.loads(events[-1]["data"])["state"] == "cancelled"


@pytest.mark.parametrize("last", ["x", "-", "$", "1-2-3", "(5", "9" * 30, "1 2"])
def test_an_event_id_that_is_none_is_refused(client: FlaskClient, last: str) -> None:
    job = _submit(client)

    response = client.get(f"/v1/jobs/{job['id']}/events", headers={"Last-Event-ID": last})

    assert "Last-Event-ID" in refused(response, 422, "invalid_cursor")


def test_a_queued_job_is_cancelled_at_once_and_cancelling_again_changes_nothing(client: FlaskClient) -> None:
    job = _submit(client)

    first = client.post(f"/v1/jobs/{job['id']}/cancel").get_json()
    again = client.post(f"/v1/jobs/{job['id']}/cancel").get_json()

    assert first["state"] == "cancelled"
    assert again == first


def test_a_running_job_is_asked_to_stop(
    client: FlaskClient, application: Application, idle_chip: Chip
) -> None:
    job = _submit(client)
    _change(application, idle_chip.lease, job["id"], state=JobState.RUNNING)

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
    mine = [_submit(client)["id"] for _ in range(3)]

    theirs = application.submissions.submit(JobRequest.model_validate(TRAINING), User("grace")).id

    places = {i: client.get(f"/v1/jobs/{i}").get_json()["queue"] for i in [*mine, theirs]}

    assert [places[i]["position"] for i in (mine[0], theirs, mine[1], mine[2])] == [1, 2, 3, 4]
    assert {place["of"] for place in places.values()} == {4}

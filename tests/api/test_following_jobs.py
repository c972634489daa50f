"""Jobs followed over HTTP: conditional requests, long polls and streams of events."""

import json
import threading
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from api.application import Application
from services.users.authentication import ADMIN
from tests.api.jobs import change_job, submit_training
from tests.api.requests import refused
from tests.services.chip import Chip
from tests.system.conftest import wait_until


def test_an_unchanged_job_is_not_sent_again(client: FlaskClient) -> None:
    job = submit_training(client)
    etag = client.get(f"/v1/jobs/{job['id']}").headers["ETag"]

    response = client.get(f"/v1/jobs/{job['id']}", headers={"If-None-Match": etag})

    assert (response.status_code, response.get_data(), response.headers["ETag"]) == (304, b"", etag)


def test_a_changed_job_has_another_etag(client: FlaskClient) -> None:
    job = submit_training(client)
    etag = client.get(f"/v1/jobs/{job['id']}").headers["ETag"]
    client.post(f"/v1/jobs/{job['id']}/cancel")

    response = client.get(f"/v1/jobs/{job['id']}", headers={"If-None-Match": etag})

    assert response.status_code == 200
    assert response.headers["ETag"] != etag


def test_a_job_that_moved_up_in_the_queue_is_sent_again(client: FlaskClient) -> None:
    first, second = submit_training(client), submit_training(client)
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
    job = submit_training(client)
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
    job = submit_training(client)
    etag = client.get(f"/v1/jobs/{job['id']}").headers["ETag"]

    response = client.get(f"/v1/jobs/{job['id']}?wait=0.05", headers={"If-None-Match": etag})

    assert response.status_code == 304


@pytest.mark.timeout(30)
def test_a_long_poll_for_what_has_changed_already_ends_at_once(client: FlaskClient) -> None:
    job = submit_training(client)
    etag = client.get(f"/v1/jobs/{job['id']}").headers["ETag"]
    client.post(f"/v1/jobs/{job['id']}/cancel")

    response = client.get(f"/v1/jobs/{job['id']}?wait=60", headers={"If-None-Match": etag})

    assert response.get_json()["state"] == "cancelled"


@pytest.mark.timeout(30)
def test_a_long_poll_of_a_finished_job_ends_at_once(client: FlaskClient) -> None:
    job = submit_training(client)
    client.post(f"/v1/jobs/{job['id']}/cancel")

    assert client.get(f"/v1/jobs/{job['id']}?wait=60").get_json()["state"] == "cancelled"


@pytest.mark.parametrize("wait", ["-1", "61", "x", "nan"])
def test_a_wait_that_is_none_is_refused(client: FlaskClient, wait: str) -> None:
    job = submit_training(client)

    assert "wait" in refused(client.get(f"/v1/jobs/{job['id']}?wait={wait}"), 422, "invalid_input")


def _events(text: str) -> list[dict[str, str]]:
    blocks = [block for block in text.split("\n\n") if block and not block.startswith(":")]
    return [dict(line.split(": ", 1) for line in block.split("\n")) for block in blocks]


def test_the_events_of_a_finished_job_are_all_sent_and_the_stream_ends(client: FlaskClient) -> None:
    job = submit_training(client)
    client.post(f"/v1/jobs/{job['id']}/cancel")

    response = client.get(f"/v1/jobs/{job['id']}/events")

    events = _events(response.get_data(as_text=True))
    assert response.content_type == "text/event-stream"
    assert [json.loads(event["data"])["state"] for event in events] == ["queued", "cancelled"]
    assert all(event["event"] == "state" for event in events)


@pytest.mark.timeout(30)
def test_events_are_sent_as_they_come_until_the_job_ends(client: FlaskClient) -> None:
    job = submit_training(client)
    stream = client.get(f"/v1/jobs/{job['id']}/events", buffered=False).iter_encoded()

    first = next(stream)
    client.post(f"/v1/jobs/{job['id']}/cancel")
    rest = b"".join(stream)

    assert json.loads(_events(first.decode())[0]["data"])["state"] == "queued"
    assert [json.loads(event["data"])["state"] for event in _events(rest.decode())] == ["cancelled"]


def test_a_stream_goes_on_after_the_event_last_heard(
    client: FlaskClient, application: Application, idle_chip: Chip
) -> None:
    job = submit_training(client)
    for number in range(5):
        change_job(application, idle_chip.lease, job["id"], progress=number / 10)
    client.post(f"/v1/jobs/{job['id']}/cancel")
    everything = _events(client.get(f"/v1/jobs/{job['id']}/events").get_data(as_text=True))

    for number, event in enumerate(everything):
        headers = {"Last-Event-ID": event["id"]}
        rest = client.get(f"/v1/jobs/{job['id']}/events", headers=headers).get_data(as_text=True)
        assert (_events(rest) if rest else []) == everything[number + 1 :]


def test_a_browser_that_has_all_events_of_a_finished_job_is_told_to_stop(client: FlaskClient) -> None:
    job = submit_training(client)
    client.post(f"/v1/jobs/{job['id']}/cancel")
    events = _events(client.get(f"/v1/jobs/{job['id']}/events").get_data(as_text=True))

    again = client.get(f"/v1/jobs/{job['id']}/events", headers={"Last-Event-ID": events[-1]["id"]})

    assert (again.status_code, again.data) == (204, b"")


def test_a_stream_of_very_many_events_is_sent_to_its_end(
    client: FlaskClient, application: Application, idle_chip: Chip
) -> None:
    job = submit_training(client)
    for number in range(600):
        change_job(application, idle_chip.lease, job["id"], progress=number / 1000)
    client.post(f"/v1/jobs/{job['id']}/cancel")

    events = _events(client.get(f"/v1/jobs/{job['id']}/events").get_data(as_text=True))

    assert json.loads(events[-1]["data"])["state"] == "cancelled"


@pytest.mark.parametrize("last", ["x", "-", "$", "1-2-3", "(5", "9" * 30, "1 2"])
def test_an_event_id_that_is_none_is_refused(client: FlaskClient, last: str) -> None:
    job = submit_training(client)

    response = client.get(f"/v1/jobs/{job['id']}/events", headers={"Last-Event-ID": last})

    assert "Last-Event-ID" in refused(response, 422, "invalid_cursor")

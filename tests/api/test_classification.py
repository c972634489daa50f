"""Crops over HTTP: answered at once, or by a job that has the answer later."""

import threading
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from services.store.connection import Connection
from tests.api.requests import CLASSIFY, RAW, refused
from tests.services.chip import Chip
from tests.services.samples import scores_of, some_crops


def _classify(client: FlaskClient, crops: bytes, query: str = "", **headers: str) -> Any:
    return client.post(CLASSIFY + query, data=crops, content_type=RAW, headers=headers)


def _scores(result: Any) -> list[list[int]]:
    return [prediction["scores"] for prediction in result["predictions"]]


@pytest.mark.parametrize("count", [1, 63, 64, 65, 200])
@pytest.mark.usefixtures("chip")
def test_every_crop_has_its_own_prediction_in_the_order_sent(client: FlaskClient, count: int) -> None:
    crops = some_crops(count)

    response = _classify(client, crops)

    assert response.status_code == 200
    assert _scores(response.get_json()) == scores_of(crops).tolist()


@pytest.mark.usefixtures("chip")
def test_an_answer_says_where_it_came_from(client: FlaskClient) -> None:
    answer = _classify(client, some_crops(2)).get_json()

    assert (answer["model"], answer["version"], answer["chip"], answer["backend"]) == (
        "digits",
        "2",
        "chip-1",
        "mock",
    )
    assert set(answer["timing"]) == {"waiting_ms", "chip_ms", "total_ms"}


@pytest.mark.parametrize(("version", "meant"), [("1", "1"), ("2", "2"), ("latest", "2")])
@pytest.mark.usefixtures("chip")
def test_a_version_or_alias_can_be_asked_for(client: FlaskClient, version: str, meant: str) -> None:
    response = client.post(f"/v1/models/digits/versions/{version}/classify", data=some_crops(1))

    assert response.get_json()["version"] == meant


@pytest.mark.usefixtures("chip")
def test_many_clients_at_once_each_get_their_own_answers(app: Flask, client: FlaskClient) -> None:
    answers: dict[int, Any] = {}
    headers = {"Authorization": client.environ_base["HTTP_AUTHORIZATION"]}

    def ask(number: int) -> None:
        body = some_crops(1 + number % 3, number)
        answers[number] = app.test_client().post(CLASSIFY, data=body, headers=headers).get_json()

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {n: _scores(answer) for n, answer in answers.items()} == {
        n: scores_of(some_crops(1 + n % 3, n)).tolist() for n in range(24)
    }


@pytest.mark.parametrize(("count", "wait"), [(1, "0"), (1, "0.02"), (100, "0"), (100, "0.02")])
def test_what_is_not_done_in_time_is_a_job_that_succeeds_later(
    client: FlaskClient, idle_chip: Chip, count: int, wait: str
) -> None:
    crops = some_crops(count)

    response = _classify(client, crops, f"?wait={wait}")
    while idle_chip.work_once():
        pass

    assert response.status_code == 202
    job = client.get(response.headers["Location"]).get_json()
    assert (job["state"], job["kind"], job["progress"]) == ("succeeded", "classification", 1.0)
    assert _scores(job["result"]) == scores_of(crops).tolist()


def test_a_job_of_crops_shows_how_many_it_has(client: FlaskClient, idle_chip: Chip) -> None:
    del idle_chip

    job = _classify(client, some_crops(3), "?wait=0").get_json()

    assert job["params"] == {"version": "2", "crops": 3, "repeats": 1}
    assert job["state"] == "queued"


def test_the_same_crops_with_the_same_key_run_once_and_have_the_same_answer(
    client: FlaskClient, idle_chip: Chip
) -> None:
    first = _classify(client, some_crops(2), "?wait=0", **{"Idempotency-Key": "k"})
    ran = idle_chip.work_once()

    again = _classify(client, some_crops(2), **{"Idempotency-Key": "k"})

    assert (first.status_code, again.status_code, ran, idle_chip.work_once()) == (202, 200, 1, 0)
    assert _scores(again.get_json()) == scores_of(some_crops(2)).tolist()


def test_the_same_key_while_the_first_request_waits_is_the_same_job(
    client: FlaskClient, idle_chip: Chip
) -> None:
    del idle_chip
    first = _classify(client, some_crops(2), "?wait=0", **{"Idempotency-Key": "k"})

    again = _classify(client, some_crops(2), "?wait=0", **{"Idempotency-Key": "k"})

    assert again.status_code == 202
    assert again.get_json()["id"] == first.get_json()["id"]


@pytest.mark.usefixtures("idle_chip")
def test_other_crops_with_the_same_key_are_a_conflict(client: FlaskClient) -> None:
    _classify(client, some_crops(2), "?wait=0", **{"Idempotency-Key": "k"})

    response = _classify(client, some_crops(1), "?wait=0", **{"Idempotency-Key": "k"})

    refused(response, 409, "idempotency_conflict")


@pytest.mark.usefixtures("idle_chip")
def test_a_key_of_a_training_is_no_key_of_crops(client: FlaskClient) -> None:
    headers = {"Idempotency-Key": "k"}
    client.post("/v1/jobs", json={"kind": "training", "model": "digits"}, headers=headers)

    response = _classify(client, some_crops(1), "?wait=0", **headers)

    refused(response, 409, "idempotency_conflict")


@pytest.mark.parametrize("count", [1, 65])
@pytest.mark.parametrize("limits", [{"max_waiting_crops": 3}])
@pytest.mark.usefixtures("idle_chip")
def test_crops_that_the_queue_has_no_room_for_are_refused(client: FlaskClient, count: int) -> None:
    _classify(client, some_crops(3), "?wait=0")

    response = _classify(client, some_crops(count), "?wait=0.01")

    refused(response, 429, "queue_full")
    assert response.headers["Retry-After"]
    assert client.get("/v1/queue").get_json()["crops"]["waiting"] == 3


@pytest.mark.parametrize("path", ["/v1/models/nothing/classify", "/v1/models/digits/versions/9/classify"])
@pytest.mark.usefixtures("models")
def test_crops_for_what_is_not_there_are_refused_with_what_is(client: FlaskClient, path: str) -> None:
    assert "digits" in refused(client.post(path, data=some_crops(1)), 404, "model_not_found")


@pytest.mark.parametrize("path", ["/v1/models/%2e%2e/classify", "/v1/models/digits/versions/..%2f1/classify"])
@pytest.mark.usefixtures("models")
def test_names_that_try_to_leave_their_folder_are_not_found(client: FlaskClient, path: str) -> None:
    assert client.post(path, data=some_crops(1)).status_code == 404


@pytest.mark.parametrize(
    "query",
    [
        *("wait=-1", "wait=61", "wait=x", "wait=nan"),
        *("deadline=0", "deadline=-1", "deadline=1e9"),
        *("repeats=0", "repeats=65", "repeats=1.5", "repeats=x"),
        *("activations=x", "repeats=2&activations=true", "activations=true&repeats=2"),
        "until=3",
    ],
)
@pytest.mark.usefixtures("models")
def test_a_wrong_query_is_refused_with_its_name(client: FlaskClient, query: str) -> None:
    said = refused(_classify(client, some_crops(1), f"?{query}"), 422, "invalid_input")

    assert query.split("=", maxsplit=1)[0] in said


@pytest.mark.usefixtures("idle_chip")
def test_crops_carry_their_deadline(client: FlaskClient, connection: Connection) -> None:
    _classify(client, some_crops(1), "?wait=0&deadline=3600")

    stored: Any = connection.client.xrange("hx:crops:digits@2:admin")
    seconds, _ = connection.client.time()
    assert int(stored[0][1][b"deadline"]) / 1000 == pytest.approx(seconds + 3600, abs=60)


@pytest.mark.parametrize("query", ["wait=0", "wait=0.01"])
@pytest.mark.parametrize(("asked", "repeats"), [("", 1), ("&repeats=7", 7)])
@pytest.mark.usefixtures("idle_chip")
def test_crops_carry_how_often_they_are_to_be_read(
    client: FlaskClient, connection: Connection, query: str, asked: str, repeats: int
) -> None:
    _classify(client, some_crops(1), f"?{query}{asked}")

    stored: Any = connection.client.xrange("hx:crops:digits@2:admin")
    assert int(stored[0][1][b"repeats"]) == repeats


@pytest.mark.usefixtures("idle_chip")
def test_the_same_crops_read_more_often_with_the_same_key_are_a_conflict(client: FlaskClient) -> None:
    _classify(client, some_crops(2), "?wait=0", **{"Idempotency-Key": "k"})

    response = _classify(client, some_crops(2), "?wait=0&repeats=2", **{"Idempotency-Key": "k"})

    refused(response, 409, "idempotency_conflict")


@pytest.mark.usefixtures("chip")
def test_answered_crops_leave_nothing_in_the_store(client: FlaskClient, connection: Connection) -> None:
    _classify(client, some_crops(2))

    assert connection.client.keys("hx:crops:*") == []
    assert connection.client.keys("hx:job*") == []


@pytest.mark.timeout(30)
@pytest.mark.usefixtures("idle_chip")
def test_who_waits_for_crops_that_are_cancelled_is_told_at_once(app: Flask, client: FlaskClient) -> None:
    answers: list[Any] = []
    headers = {"Authorization": client.environ_base["HTTP_AUTHORIZATION"]}

    def ask() -> None:
        body = some_crops(65)
        answers.append(app.test_client().post(f"{CLASSIFY}?wait=60", data=body, headers=headers))

    waiting = threading.Thread(target=ask)
    waiting.start()
    while not (listed := client.get("/v1/jobs").get_json()["jobs"]):
        pass
    client.post(f"/v1/jobs/{listed[0]['id']}/cancel")
    waiting.join()

    assert "cancelled" in refused(answers[0], 409, "cancelled")


@pytest.mark.usefixtures("idle_chip")
def test_cancelled_crops_sent_again_with_their_key_are_still_cancelled(client: FlaskClient) -> None:
    first = _classify(client, some_crops(2), "?wait=0", **{"Idempotency-Key": "k"})
    client.post(f"{first.headers['Location']}/cancel")

    refused(_classify(client, some_crops(2), **{"Idempotency-Key": "k"}), 409, "cancelled")


@pytest.mark.parametrize(
    ("query", "asked"),
    [
        ("", None),
        ("&activations=false&mock=false", None),
        ("&activations=true", b"1"),
        ("&mock=true", b"2"),
        ("&mock=true&activations=true", b"3"),
    ],
)
@pytest.mark.usefixtures("idle_chip")
def test_extras_are_asked_for_in_the_crops_entry_alone(
    client: FlaskClient, connection: Connection, query: str, asked: bytes | None
) -> None:
    _classify(client, some_crops(2), f"?wait=0{query}")

    stored: Any = connection.client.xrange("hx:crops:digits@2:admin")
    [(_, entry)] = stored
    assert entry.get(b"extras") == asked


@pytest.mark.usefixtures("idle_chip")
def test_activations_of_too_many_crops_are_refused_and_their_readings_are_not(client: FlaskClient) -> None:
    words = refused(_classify(client, some_crops(65), "?activations=true&wait=0"), 413, "too_large")

    assert "64 per request" in words
    assert _classify(client, some_crops(64), "?activations=true&wait=0").status_code == 202
    assert _classify(client, some_crops(65), "?wait=0").status_code == 202


@pytest.mark.usefixtures("chip")
def test_crops_are_sent_back_as_they_were_read(client: FlaskClient) -> None:
    crop = bytearray(28 * 28)
    crop[0:5] = [255] * 5

    plain, centred = (
        _classify(client, bytes(crop), query).get_json()["predictions"][0]["pixels"]
        for query in ("?pixels=true", "?pixels=true&centre=true")
    )

    assert plain == list(crop)
    shown = client.post("/v1/crops?centre=true", data=bytes(crop), content_type=RAW).get_json()["crops"]
    assert centred == shown[0]["pixels"] != plain


@pytest.mark.usefixtures("chip")
def test_only_few_crops_are_sent_back(client: FlaskClient) -> None:
    words = refused(_classify(client, some_crops(65), "?pixels=true"), 413, "too_large")

    assert "send 64 at most" in words

"""Streams and series for pages: the pulse, the use by minute, the fixed pattern, the letter centres."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from api.application import Application
from services.chips.series import SeriesStore
from services.store.connection import Connection
from tests.api.requests import CLASSIFY, refused
from tests.api.test_openapi import LETTERS
from tests.services.chip import Chip
from tests.services.samples import CHIP, some_crops

LETTER = {
    "number": 7,
    "written": "69120",
    "read": "69120",
    "confidence": 0.98,
    "outcome": "routed",
    "reason": None,
    "town": "Heidelberg",
    "envelope": "",
    "crops": [],
}


@pytest.fixture
def ada(app: Flask, application: Application) -> FlaskClient:
    """A client of a user who is no admin."""
    _, issued = application.users.add("ada")
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {issued.secret}"
    return client


def _events(client: FlaskClient, path: str, kind: str) -> Iterator[dict[str, Any]]:
    """The objects of a stream's events of one kind, as they come."""
    with client.get(path, buffered=False) as response:
        assert response.mimetype == "text/event-stream"
        for chunk in response.iter_encoded():
            if chunk.startswith(f"event: {kind}\n".encode()):
                yield json.loads(chunk.partition(b"data: ")[2])


@pytest.mark.usefixtures("chip")
def test_the_pulse_tells_of_chips_and_queue(client: FlaskClient) -> None:
    client.post("/v1/jobs", json={"kind": "training", "model": "digits"})

    state = next(_events(client, "/v1/pulse", "pulse"))

    assert [chip["id"] for chip in state["chips"]] == [CHIP]
    assert state["queue"]["jobs"] == {"running": 0, "queued": 1}
    assert state["queue"]["operations"] == {"sessions": 0, "waiting": 0}
    assert state["changes"]


@pytest.mark.usefixtures("chip")
def test_the_last_minutes_say_who_used_the_chip_for_what(client: FlaskClient, ada: FlaskClient) -> None:
    client.post(CLASSIFY, data=some_crops(1))

    minutes = client.get("/v1/usage/minutes?minutes=3").get_json()["minutes"]
    of_ada = ada.get("/v1/usage/minutes?minutes=3").get_json()["minutes"]

    assert len(minutes) == 3
    assert [part for minute in minutes for part in minute["used"]] == [
        {"chip": CHIP, "user": "admin", "kind": "classification", "seconds": 0.001}
    ]
    assert [part["user"] for minute in of_ada for part in minute["used"]] == [None]


@pytest.mark.usefixtures("models", "idle_chip")
def test_what_waited_is_shown_as_a_series(client: FlaskClient, application: Application) -> None:
    client.post("/v1/jobs", json={"kind": "training", "model": "digits"})
    client.post(f"{CLASSIFY}?wait=0", data=some_crops(3))
    application.queue_metrics.note(every_s=0)

    points = client.get("/v1/queue/depth?minutes=1").get_json()["points"]

    assert {name: points[-1][name] for name in ("crops", "queued", "running")} == {
        "crops": 3,
        "queued": 1,
        "running": 0,
    }


def test_the_fixed_pattern_is_shown_as_the_worker_kept_it(
    client: FlaskClient, idle_chip: Chip, connection: Connection
) -> None:
    before = client.get(f"/v1/chip/{CHIP}/pattern").get_json()
    pattern = {"calibrated_at": 1e9, "before_lsb": [3.5] * 512, "after_lsb": [-0.5] * 512, "was_flat": True}

    SeriesStore(connection).keep_pattern(idle_chip.lease, pattern)
    after = client.get(f"/v1/chip/{CHIP}/pattern").get_json()

    assert before == {"chip": CHIP, **dict.fromkeys(pattern)}
    assert after == {"chip": CHIP, **pattern, "calibrated_at": "2001-09-09T01:46:40.000Z"}
    refused(client.get("/v1/chip/chip-9/pattern"), 404, "not_found")


def test_a_letter_centre_is_seen_by_its_user_and_by_admins(client: FlaskClient, ada: FlaskClient) -> None:
    assert ada.put("/v1/letters", json=LETTERS).status_code == 204
    assert client.put("/v1/letters", json=LETTERS | {"done": 4}).status_code == 204

    of_ada = ada.get("/v1/letters").get_json()["centres"]
    of_all = client.get("/v1/letters").get_json()["centres"]

    assert of_ada == [{"user": "ada", **LETTERS}]
    assert [(centre["user"], centre["done"]) for centre in of_all] == [("ada", 3), ("admin", 4)]


def test_the_stream_of_letters_tells_of_each_letter_once(client: FlaskClient) -> None:
    second = LETTER | {"number": 8}
    client.put("/v1/letters", json=LETTERS | {"recent": [LETTER]})
    events = _events(client, "/v1/letters/events", "letters")

    early = next(events)
    client.put("/v1/letters", json=LETTERS | {"done": 4, "recent": [LETTER, second]})
    late = next(events)

    assert list(early["letters"].values()) == [LETTER]
    assert list(late["letters"].values()) == [second]
    [centre] = late["centres"]
    assert (centre["user"], centre["done"]) == ("admin", 4)
    assert centre["belt"] == [*early["letters"], *late["letters"]]
    assert "recent" not in centre


def test_the_stream_of_letters_tells_nobody_of_others(client: FlaskClient, ada: FlaskClient) -> None:
    client.put("/v1/letters", json=LETTERS | {"recent": [LETTER]})
    ada.put("/v1/letters", json=LETTERS)

    event = next(_events(ada, "/v1/letters/events", "letters"))

    assert [centre["user"] for centre in event["centres"]] == ["ada"]
    assert event["letters"] == {}


def test_a_silent_letter_centre_is_forgotten(client: FlaskClient, connection: Connection) -> None:
    client.put("/v1/letters", json=LETTERS)

    left_s: Any = connection.client.ttl("hx:letters:admin")
    connection.client.delete("hx:letters:admin")  # as if its ten seconds were over

    assert 0 < left_s <= 10
    assert client.get("/v1/letters").get_json() == {"centres": []}


@pytest.mark.parametrize(
    "wrong", [{"done": -1}, {"recent": [{}]}, {"title": "x" * 101}, {"surprise": 1}, {"rejects": {"a": "b"}}]
)
def test_a_status_that_is_none_is_refused(client: FlaskClient, wrong: dict[str, Any]) -> None:
    refused(client.put("/v1/letters", json=LETTERS | wrong), 422, "invalid_input")

"""The letter centre that admins start from the page: who may, and what is refused."""

from typing import Any, Final

import pytest
from flask.testing import FlaskClient

from services.users.accounts import Role
from tests.api.requests import Enter, refused

ORDER: Final = "/v1/letters/order"
BEATS: Final = f"{ORDER}/beats"


def test_an_admins_order_is_handed_to_the_process_that_waits_and_stopped(
    client: FlaskClient, enter: Enter
) -> None:
    root = enter("root", Role.ADMIN)
    assert client.post(BEATS, json={}).get_json() == {"order": None}

    placed = root.post(ORDER, json={"letters": 30, "machines": 3, "rate": 7200})
    taken = client.post(BEATS, json={}).get_json()["order"]
    stopped = root.delete(ORDER)
    left = client.post(BEATS, json={"id": taken["id"]}).get_json()["order"]
    client.post(BEATS, json={"id": taken["id"], "ended": True})

    assert placed.status_code == 202
    assert placed.get_json()["order"]["user"] == "root"
    assert taken["params"] == {
        "model": "digits",
        "version": "latest",
        "letters": 30,
        "machines": 3,
        "rate": 7200,
    }
    assert (stopped.status_code, left) == (204, None)
    assert client.get(ORDER).get_json()["order"]["state"] == "stopped"


@pytest.mark.parametrize(
    ("method", "path"), [("GET", ORDER), ("POST", ORDER), ("DELETE", ORDER), ("POST", BEATS)]
)
def test_everybody_else_is_refused(enter: Enter, method: str, path: str) -> None:
    refused(enter("ada").open(path, method=method, json={} if method == "POST" else None), 403, "forbidden")


def test_only_admins_see_form_and_order(client: FlaskClient, enter: Enter) -> None:
    ada = enter("ada")

    pages = [each.get("/letters").get_data(as_text=True) for each in (client, ada)]

    assert ['id="order"' in page for page in pages] == [True, False]
    for each, expected in ((client, ["centres", "letters", "orders"]), (ada, ["centres", "letters"])):
        with each.get("/v1/letters/events", buffered=False) as events:
            data = next(chunk for chunk in events.iter_encoded() if b"data: " in chunk)
        assert [name for name in ("centres", "letters", "orders") if f'"{name}"'.encode() in data] == expected


def test_an_order_that_nobody_would_carry_out_is_refused_with_the_command_to_start(
    client: FlaskClient,
) -> None:
    said = refused(client.post(ORDER, json={}), 409, "conflict")

    assert "`hxserve letters --on-demand`" in said


@pytest.mark.parametrize(
    "wrong",
    [
        {"letters": 0},
        {"letters": 5001},
        {"letters": "20"},
        {"machines": 11},
        {"rate": 99},
        {"rate": 40_001},
        {"model": "no name"},
        {"version": ""},
        {"surprise": 1},
    ],
)
def test_an_order_beyond_the_bounds_is_refused(client: FlaskClient, wrong: dict[str, Any]) -> None:
    client.post(BEATS, json={})

    refused(client.post(ORDER, json=wrong), 422, "invalid_input")

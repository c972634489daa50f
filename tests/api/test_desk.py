"""The coding desk over HTTP."""

import base64
from typing import Any

import pytest
from flask.testing import FlaskClient

from services.letters import desk as rules
from tests.api.requests import Enter

CROPS = [base64.b64encode(bytes([shade]) * 784).decode() for shade in range(5)]


def a_letter(**changed: Any) -> dict[str, Any]:
    """Return a rejected letter."""
    return {
        "number": 3,
        "envelope": "/9j/",
        "crops": CROPS,
        "read": "69120",
        "reason": "not sure",
    } | changed


@pytest.fixture
def coder(enter: Enter, monkeypatch: pytest.MonkeyPatch) -> FlaskClient:
    """A user on whose desk is one letter."""
    monkeypatch.setattr(rules, "UNDO_S", 0)
    client = enter("ada")
    assert client.put("/v1/desk/letters/run-3", json=a_letter()).status_code == 204
    return client


def test_a_letter_is_claimed_keyed_and_collected(coder: FlaskClient) -> None:
    claimed = coder.post("/v1/desk/claims").get_json()
    keyed = coder.put("/v1/desk/letters/run-3/postcode", json={"postcode": "69120"}).get_json()
    collected = coder.post("/v1/desk/collections", json={}).get_json()

    assert claimed == {"waiting": 1, "keyed": 0, "letter": {"id": "run-3", **a_letter()}, "labelled": 0}
    assert keyed == {"waiting": 0, "keyed": 1, "letter": None, "labelled": 5}
    assert collected == {"letters": [{"id": "run-3", "number": 3, "postcode": "69120"}]}
    assert coder.post("/v1/desk/collections", json={"received": ["run-3"]}).get_json() == {"letters": []}


def test_a_keyed_letter_is_taken_back(coder: FlaskClient) -> None:
    coder.put("/v1/desk/letters/run-3/postcode", json={"postcode": None})

    answer = coder.delete("/v1/desk/letters/run-3/postcode")

    assert answer.get_json() == {
        "waiting": 1,
        "keyed": 0,
        "letter": {"id": "run-3", **a_letter()},
        "labelled": 0,
    }


def _open(client: FlaskClient) -> list[int]:
    """Return the labels of the open corrections of the desk."""
    corrections = client.get("/v1/corrections").get_json()["corrections"]
    return sorted(correction["digit"] for correction in corrections if correction["source"] == "desk")


def test_digits_whose_cut_and_key_agree_become_corrections(coder: FlaskClient) -> None:
    path = "/v1/desk/letters/run-3/postcode"

    assert coder.put(path, json={"postcode": "69128"}).get_json()["labelled"] == 5
    assert _open(coder) == [1, 2, 6, 8, 9]
    coder.put(path, json={"postcode": "69127"})
    assert _open(coder) == [1, 2, 6, 7, 9], "keyed again, the last postcode counts"
    coder.delete(path)
    assert _open(coder) == []
    assert coder.put(path, json={"postcode": "11111"}).get_json()["labelled"] == 0
    assert _open(coder) == []


def test_a_letter_is_keyed_also_where_no_more_corrections_may_be_open(enter: Enter) -> None:
    client = enter("bob", open_corrections=4)
    client.put("/v1/desk/letters/run-3", json=a_letter())

    keyed = client.put("/v1/desk/letters/run-3/postcode", json={"postcode": "69120"})

    assert keyed.get_json() == {"waiting": 0, "keyed": 1, "letter": None, "labelled": 0}
    assert _open(client) == []


def test_an_empty_desk_says_so(coder: FlaskClient, enter: Enter) -> None:
    bob = enter("bob")

    assert bob.get("/v1/desk").get_json() == {"waiting": 0, "keyed": 0, "letter": None, "labelled": 0}
    assert bob.post("/v1/desk/claims").get_json()["letter"] is None
    answer = bob.put("/v1/desk/letters/run-3/postcode", json={"postcode": "69120"})
    assert (answer.status_code, answer.get_json()["code"]) == (404, "not_found")
    assert coder.get("/v1/desk").get_json()["waiting"] == 1


@pytest.mark.parametrize("postcode", ["6912", "691200", "6912o", 69120, ""])
def test_what_is_no_postcode_is_refused(coder: FlaskClient, postcode: object) -> None:
    answer = coder.put("/v1/desk/letters/run-3/postcode", json={"postcode": postcode})

    assert answer.status_code == 422
    assert "postcode: Input should be" in answer.get_json()["detail"]
    assert coder.get("/v1/desk").get_json()["waiting"] == 1


@pytest.mark.parametrize(
    "changed",
    [
        *({"crops": ["AAAA"]}, {"crops": CROPS * 4}, {"envelope": "<svg>"}, {"number": "3"}, {"read": "six"}),
        {"crops": [*CROPS[:4], "=" * 1048]},
        {"crops": [*CROPS[:4], CROPS[4][:1000] + "A=" * 24]},
        {"crops": [*CROPS[:4], base64.b64encode(bytes(783)).decode()]},
        {"crops": CROPS[:4]},
        {"read": "6912"},
    ],
)
def test_what_is_no_letter_is_refused(coder: FlaskClient, changed: dict[str, Any]) -> None:
    answer = coder.put("/v1/desk/letters/other", json=a_letter(**changed))

    assert answer.status_code == 422
    assert next(iter(changed)) in answer.get_json()["detail"]


def test_an_id_is_a_name(coder: FlaskClient) -> None:
    answer = coder.put("/v1/desk/letters/Run 3", json=a_letter())

    assert (answer.status_code, answer.get_json()["code"]) == (422, "invalid_input")

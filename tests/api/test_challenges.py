"""Challenges over HTTP: what counts is what the service reads, and who is on a board asked for it."""

import base64
import time
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from api.application import Application
from services.challenges.challenges import SIXTY_S
from services.models.files import ModelStore
from tests.api.requests import CLASSIFY, RAW, Enter, bright_on_dark, refused
from tests.api.test_classes import _join, _start
from tests.services.samples import an_origin

pytestmark = pytest.mark.usefixtures("chip")

AGAINST = {"model": "digits"}
MISTAKES = [{"png": "cGljdHVyZQ==", "digit": digit, "answer": 9 - digit, "margin": 3.0} for digit in range(4)]


@pytest.fixture
def teacher(enter: Enter) -> FlaskClient:
    return enter("marie")


@pytest.fixture
def code(teacher: FlaskClient) -> str:
    started: str = _start(teacher)["code"]
    return started


@pytest.fixture
def pupils(app: Flask, code: str) -> list[FlaskClient]:
    return [_join(app, code, nickname) for nickname in ("Lena", "Max", "Mina")]


@pytest.fixture
def drawings(client: FlaskClient) -> dict[int, str]:
    """A drawing of each digit that the chip may read, in base64."""
    found: dict[int, str] = {}
    for seed in range(100):
        crop = bright_on_dark(seed).tobytes()
        answer = client.post(f"{CLASSIFY}?wait=10&centre=true", data=crop, content_type=RAW).get_json()
        found.setdefault(answer["predictions"][0]["digit"], base64.b64encode(crop).decode())
        if len(found) == 10:
            break
    return found


def _answer(client: FlaskClient, prompt: dict[str, Any], crop: str | None) -> dict[str, Any]:
    body = {"place": prompt["place"], "crop": crop}
    response = client.post(f"/v1/challenges/sixty/{prompt['game']}/answers", json=body)
    assert response.status_code == 200, response.get_data(as_text=True)
    answered: dict[str, Any] = response.get_json()
    return answered


def _begin(client: FlaskClient) -> dict[str, Any]:
    begun: dict[str, Any] = client.post("/v1/challenges/sixty", json=AGAINST).get_json()
    return begun


def _fool(client: FlaskClient, digit: int, crop: str) -> dict[str, Any]:
    body = {**AGAINST, "digit": digit, "crop": crop}
    answer: dict[str, Any] = client.post("/v1/challenges/fools", json=body).get_json()
    return answer


def _vote(client: FlaskClient, fool: str, digit: int) -> Any:
    return client.post(f"/v1/challenges/fools/{fool}/votes", json={"digit": digit})


def _on_board(client: FlaskClient, nickname: str | None = "-") -> dict[str, Any]:
    response = client.put("/v1/challenges/board", json={"nickname": nickname})
    assert response.status_code == 200, response.get_data(as_text=True)
    board: dict[str, Any] = response.get_json()
    return board


def test_in_sixty_seconds_a_drawing_counts_when_it_is_read_as_prompted(
    pupils: list[FlaskClient], drawings: dict[int, str]
) -> None:
    lena = pupils[0]
    prompt = _begin(lena)
    assert (prompt["place"], prompt["right"], prompt["left_s"]) == (0, 0, SIXTY_S)

    tried = 0
    while prompt["right"] < 2:
        wanted = prompt["digit"]
        wrong = next(digit for digit in drawings if digit != wanted)
        stays = _answer(lena, prompt, drawings[wrong])
        assert (stays["place"], stays["read"], stays["digit"]) == (prompt["place"], wrong, wanted)
        after = _answer(lena, prompt, drawings.get(wanted))
        assert after["right"] == prompt["right"] + (wanted in drawings)
        assert after["place"] == prompt["place"] + 1
        assert after["digit"] != wanted
        prompt, tried = after, tried + 1
        assert tried < 60

    assert lena.get("/v1/challenges/board").get_json()["yours"]["sixty"] == 2


def test_an_answer_to_an_earlier_prompt_changes_nothing(
    pupils: list[FlaskClient], drawings: dict[int, str]
) -> None:
    lena = pupils[0]
    first = _begin(lena)
    second = _answer(lena, first, None)

    late = _answer(lena, first, next(iter(drawings.values())))

    assert (late["place"], late["right"]) == (second["place"], 0)


def test_after_sixty_seconds_nothing_counts(
    application: Application, pupils: list[FlaskClient], drawings: dict[int, str], code: str
) -> None:
    lena = pupils[0]
    prompt = _begin(lena)
    key = f"hx:game:class-{code}.lena:{prompt['game']}"
    application.connection.client.hset(key, "ends", time.time() - 1)

    over = _answer(lena, prompt, drawings.get(prompt["digit"], next(iter(drawings.values()))))

    assert (over["digit"], over["right"], over["left_s"]) == (None, 0, 0)


def test_a_game_of_another_is_none(pupils: list[FlaskClient]) -> None:
    prompt = _begin(pupils[0])

    response = pupils[1].post(
        f"/v1/challenges/sixty/{prompt['game']}/answers", json={"place": 0, "crop": None}
    )

    refused(response, 404, "game_not_found")


def test_a_drawing_counts_once_two_others_read_it_as_it_was_meant(
    pupils: list[FlaskClient], drawings: dict[int, str]
) -> None:
    lena, max_, mina = pupils
    read, crop = next(iter(drawings.items()))
    meant = (read + 1) % 10
    for pupil in pupils:
        _on_board(pupil)

    assert not _fool(lena, read, crop)["fooled"]
    fooled = _fool(lena, meant, crop)
    assert (fooled["fooled"], fooled["read"]) == (True, read)
    assert [each["id"] for each in max_.get("/v1/challenges/fools").get_json()["judge"]] == [fooled["id"]]
    refused(_vote(lena, fooled["id"], meant), 404, "game_not_found")

    first = _vote(max_, fooled["id"], meant).get_json()
    refused(_vote(max_, fooled["id"], meant), 404, "game_not_found")
    second = _vote(mina, fooled["id"], meant).get_json()

    assert (first["votes"], first["counts"]) == (1, False)
    assert (second["votes"], second["agreed"], second["counts"]) == (2, 2, True)
    assert max_.get("/v1/challenges/fools").get_json()["judge"] == []
    board = mina.get("/v1/challenges/board").get_json()
    assert board["fool"] == [{"nickname": "Lena", "score": 1, "you": False}]


def test_a_drawing_that_the_others_do_not_read_as_it_was_meant_does_not_count(
    pupils: list[FlaskClient], drawings: dict[int, str]
) -> None:
    lena, max_, mina = pupils
    read, crop = next(iter(drawings.items()))
    fooled = _fool(lena, (read + 1) % 10, crop)

    _vote(max_, fooled["id"], (read + 1) % 10)
    judged = _vote(mina, fooled["id"], read).get_json()

    assert (judged["votes"], judged["agreed"], judged["counts"]) == (2, 1, False)


def test_an_empty_drawing_fools_nobody(pupils: list[FlaskClient]) -> None:
    empty = base64.b64encode(bytes(784)).decode()

    response = pupils[0].post("/v1/challenges/fools", json={**AGAINST, "digit": 3, "crop": empty})

    refused(response, 422, "invalid_input")


def test_a_person_is_asked_what_the_network_misread(
    application: Application, models: ModelStore, pupils: list[FlaskClient]
) -> None:
    del models
    application.models.publish(
        an_origin(name="quizzed", metrics={"accuracy": 0.9, "mistakes": MISTAKES}), b"q"
    )
    quiz = pupils[0].post("/v1/challenges/mistakes", json={"model": "quizzed"}).get_json()
    assert (quiz["model"], len(quiz["pictures"])) == ("quizzed@1", 4)
    path = f"/v1/challenges/mistakes/{quiz['game']}/answers"

    refused(pupils[0].post(path, json={"digits": [1]}), 422, "invalid_input")
    result = pupils[0].post(path, json={"digits": [0, 0, None, 0]}).get_json()

    assert sorted(guess["digit"] for guess in result["guesses"]) == [0, 1, 2, 3]
    assert all(guess["read"] == 9 - guess["digit"] for guess in result["guesses"])
    assert result["right"] == sum(guess["digit"] == guess["yours"] for guess in result["guesses"])
    refused(pupils[0].post(path, json={"digits": [0] * 4}), 404, "game_not_found")
    refused(pupils[0].post("/v1/challenges/mistakes", json=AGAINST), 409, "conflict")


def test_nobody_is_on_a_board_without_asking_for_it_and_a_class_has_its_own(
    application: Application, teacher: FlaskClient, code: str, pupils: list[FlaskClient]
) -> None:
    boards = application.boards
    for user in (f"class-{code}.lena", f"class-{code}.max", "marie"):
        board = f"class-{code}" if "." in user else "service"
        application.connection.client.zadd(f"hx:board:{board}:sixty:scores", {user: 7})
    assert boards.best(f"class-{code}")["sixty"] == []

    _on_board(pupils[0])
    mine = _on_board(teacher, "Frau Curie")

    assert [line["nickname"] for line in mine["sixty"]] == ["Frau Curie"]
    (line,) = pupils[1].get("/v1/challenges/board").get_json()["sixty"]
    assert line == {"nickname": "Lena", "score": 7, "you": False}
    assert teacher.get(f"/v1/classes/{code}").get_json()["board"]["sixty"] == [line]
    teacher.patch(f"/v1/classes/{code}/seats/lena", json={"nickname": "Lea"})
    assert pupils[1].get("/v1/challenges/board").get_json()["sixty"][0]["nickname"] == "Lea"
    assert _on_board(pupils[0], None)["sixty"] == []


def test_no_two_on_a_board_have_the_same_nickname(enter: Enter) -> None:
    ada, eve = enter("ada"), enter("eve")
    _on_board(ada, "Zoë")

    refused(eve.put("/v1/challenges/board", json={"nickname": "zoe!"}), 409, "conflict")

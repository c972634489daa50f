"""Classes over HTTP: a teacher starts one, pupils join by its link, and at the end nothing of them is left."""

import base64
import io
import json
import re
import time
import zipfile
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from api.application import Application
from services.classes.record import MOST_CLASSES
from services.store.connection import Connection
from services.users.accounts import Role
from services.users.authentication import LONGEST_MEMORY_S
from tests.api.requests import CLASSIFY, RAW, Clock, Enter, refused
from tests.services.contents import everything_in
from tests.services.samples import an_origin, some_crops

OURS = {"Sec-Fetch-Site": "same-origin"}
TRAINING = {"kind": "training", "model": "digits"}


def _in(hours: float) -> str:
    return (datetime.now(UTC) + timedelta(hours=hours)).isoformat()


def _start(teacher: FlaskClient, title: str = "Girls' Day", **more: Any) -> dict[str, Any]:
    response = teacher.post("/v1/classes", json={"title": title, "until": _in(2), **more})
    assert response.status_code == 201, response.get_data(as_text=True)
    started: dict[str, Any] = response.get_json()
    return started


def _try_to_join(app: Flask, code: str, nickname: str) -> tuple[FlaskClient, TestResponse]:
    browser = app.test_client()
    browser.environ_base["HTTP_SEC_FETCH_SITE"] = "same-origin"
    return browser, browser.post(f"/c/{code.upper()}", data={"nickname": nickname})


def _join(app: Flask, code: str, nickname: str) -> FlaskClient:
    browser, response = _try_to_join(app, code, nickname)
    assert response.status_code == 303, response.get_data(as_text=True)
    return browser


def _pupils(teacher: FlaskClient, code: str) -> list[dict[str, Any]]:
    pupils: list[dict[str, Any]] = teacher.get(f"/v1/classes/{code}").get_json()["pupils"]
    return pupils


@pytest.fixture
def teacher(enter: Enter) -> FlaskClient:
    return enter("marie")


@pytest.fixture
def code(teacher: FlaskClient) -> str:
    started: str = _start(teacher)["code"]
    return started


def test_whoever_opens_the_link_and_picks_a_nickname_has_an_account_of_their_own(
    app: Flask, teacher: FlaskClient
) -> None:
    started = _start(teacher, seats=3)
    code = started["code"]

    lena = _join(app, code, "Lena")

    me = lena.get("/v1/me").get_json()
    assert (me["name"], me["role"]) == (f"class-{code}.lena", "user")
    assert me["quotas"]["max_queued_jobs"]["limit"] == 2
    assert started["link"] == f"http://localhost/c/{code.upper()}"
    (pupil,) = _pupils(teacher, code)
    assert (pupil["seat"], pupil["nickname"], pupil["user"]) == ("lena", "Lena", me["name"])


@pytest.mark.usefixtures("chip")
def test_the_teacher_sees_jobs_chip_time_and_models_of_pupils(
    app: Flask, application: Application, teacher: FlaskClient, code: str, clock: Clock
) -> None:
    lena = _join(app, code, "Lena")
    job = lena.post("/v1/jobs", json=TRAINING).get_json()
    read = lena.post(f"{CLASSIFY}?wait=10", data=some_crops(3), content_type=RAW)
    application.models.publish(an_origin(name=f"class-{code}.lena~sevens"), b"weights")
    clock.now += LONGEST_MEMORY_S

    (pupil,) = _pupils(teacher, code)

    assert read.status_code == 200
    assert pupil["unfinished"] == 1
    assert [(each["id"], each["state"]) for each in pupil["jobs"]] == [(job["id"], "queued")]
    assert pupil["chip_s"] > 0
    assert pupil["models"] == [{"name": f"class-{code}.lena~sevens", "versions": ["1"]}]
    assert teacher.get(f"/v1/jobs/{job['id']}").status_code == 200
    model = f"/v1/models/class-{code}.lena~sevens"
    with teacher.get(f"{model}/versions/1/weights") as downloaded:
        assert downloaded.data == b"weights"
    refused(teacher.delete(model), 403, "forbidden")


def test_a_class_is_its_teachers_and_the_admins_alone(
    app: Flask, client: FlaskClient, enter: Enter, code: str
) -> None:
    other, lena = enter("other"), _join(app, code, "Lena")

    for stranger in (other, lena):
        assert stranger.get("/v1/classes").get_json() == {"classes": []}
        for method, path in (
            ("GET", ""),
            ("PATCH", ""),
            ("DELETE", ""),
            ("POST", "/end"),
            ("GET", "/export"),
            ("PATCH", "/seats/lena"),
            ("DELETE", "/seats/lena"),
            ("POST", "/seats/lena/return"),
        ):
            body = {"nickname": "x"} if method == "PATCH" and path else {}
            response = stranger.open(f"/v1/classes/{code}{path}", method=method, json=body)
            refused(response, 404, "class_not_found")
        assert stranger.get(f"/classes/{code}").status_code == 404
    assert client.get(f"/v1/classes/{code}").get_json()["teacher"] == "marie"


@pytest.mark.usefixtures("models")
def test_pupils_see_nothing_of_each_other(app: Flask, application: Application, code: str) -> None:
    lena, max_ = _join(app, code, "Lena"), _join(app, code, "Max")
    job = lena.post("/v1/jobs", json=TRAINING).get_json()
    application.models.publish(an_origin(name=f"class-{code}.lena~sevens"), b"weights")

    refused(max_.get(f"/v1/jobs/{job['id']}"), 404, "job_not_found")
    assert [model["name"] for model in max_.get("/v1/models").get_json()["models"]] == ["digits"]


def test_a_pupil_cannot_start_a_class(app: Flask, code: str) -> None:
    lena = _join(app, code, "Lena")

    response = lena.post("/v1/classes", json={"title": "mine", "until": _in(1)})

    assert "pupil" in refused(response, 403, "forbidden")


def test_a_teacher_has_two_classes_at_a_time_and_an_admin_any_number(
    client: FlaskClient, teacher: FlaskClient
) -> None:
    codes = [_start(teacher)["code"] for _ in range(MOST_CLASSES)]

    response = teacher.post("/v1/classes", json={"title": "third", "until": _in(1)})
    refused(response, 429, "quota_exceeded")
    teacher.post(f"/v1/classes/{codes[0]}/end")

    _start(teacher, "third")
    assert [_start(client)["state"] for _ in range(MOST_CLASSES + 1)] == ["open"] * 3


@pytest.mark.parametrize(
    "wrong",
    [
        {"seats": 0},
        {"seats": 101},
        {"until": _in(-1)},
        {"until": _in(25)},
        {"until": "2026-11-27T16:00:00"},
        {"title": ""},
        {"title": "x" * 61},
        {"title": "a\u202eb"},
    ],
)
def test_a_class_has_a_title_seats_and_an_end_within_a_day(
    teacher: FlaskClient, wrong: dict[str, Any]
) -> None:
    response = teacher.post("/v1/classes", json={"title": "x", "until": _in(1)} | wrong)

    refused(response, 422, "invalid_input")


@pytest.mark.parametrize(
    ("nickname", "seat"),
    [
        ("Lena", "lena"),
        ("  Anna  Maria ", "anna-maria"),
        ("Zoë", "zoe"),
        ("Jürgen ß", "jurgen-ss"),
        ("R2-D2", "r2-d2"),
    ],
)
def test_a_seat_is_named_after_the_nickname(
    app: Flask, teacher: FlaskClient, code: str, nickname: str, seat: str
) -> None:
    _join(app, code, nickname)

    (pupil,) = _pupils(teacher, code)
    assert (pupil["seat"], pupil["nickname"]) == (seat, " ".join(nickname.split()))


@pytest.mark.parametrize("nickname", ["Юля", "美咲", "🦊", "🦊🐻"])
def test_a_nickname_of_any_script_has_a_seat_of_its_own(
    app: Flask, teacher: FlaskClient, code: str, nickname: str
) -> None:
    _join(app, code, nickname)
    _join(app, code, "Ира")

    assert [pupil["nickname"] for pupil in _pupils(teacher, code)] == [nickname, "Ира"]
    assert all(re.fullmatch("p-[0-9a-f]{8}", pupil["seat"]) for pupil in _pupils(teacher, code))


@pytest.mark.parametrize(
    ("nickname", "status"),
    [
        ("", 422),
        ("   ", 422),
        ("x" * 25, 422),
        ("a\u202eb", 422),
        ("a\x00b", 422),
        ("...", 422),
        ("Lеna", 422),  # noqa: RUF001 with a Cyrillic letter
        ("Admin", 422),
        ("Lehrerin", 422),
        ("marie", 422),
        ("LÉNA", 409),
        ("lena!", 409),
    ],
)
def test_no_nickname_is_taken_for_another(app: Flask, code: str, nickname: str, status: int) -> None:
    _join(app, code, "Lena")

    _, response = _try_to_join(app, code, nickname)

    assert response.status_code == status
    assert 'class="problem"' in response.get_data(as_text=True)


@pytest.mark.parametrize(
    ("path", "nickname", "words"),
    [
        ("{code}", "LENA", "Diesen Spitznamen hat in der Klasse schon jemand"),
        ("{code}", "...", "Das geht nicht als Spitzname"),
        ("zzzzzz", "Lena", "Eine Klasse mit diesem Code gibt es nicht"),
    ],
)
def test_a_pupil_reads_no_english_in_a_german_refusal(
    app: Flask, code: str, path: str, nickname: str, words: str
) -> None:
    _join(app, code, "Lena")
    data = {"nickname": nickname}

    page = app.test_client().post(
        f"/c/{path.format(code=code)}",
        data=data,
        headers={"Accept-Language": "de", "Sec-Fetch-Site": "same-origin"},
    )

    [problem] = re.findall('class="problem" role="alert">([^<]*)<', page.get_data(as_text=True))
    assert problem.startswith(words)
    assert problem.endswith(".")
    assert ":" not in problem


def test_there_are_no_more_pupils_than_seats(app: Flask, teacher: FlaskClient) -> None:
    code = _start(teacher, seats=2)["code"]
    for nickname in ("Lena", "Max"):
        _join(app, code, nickname)

    browser, response = _try_to_join(app, code, "Third")

    assert response.status_code == 409
    assert browser.get("/v1/me").status_code == 401


def test_a_page_of_another_site_cannot_join_for_a_browser(
    app: Flask, teacher: FlaskClient, code: str
) -> None:
    response = app.test_client().post(
        f"/c/{code}", data={"nickname": "Lena"}, headers={"Sec-Fetch-Site": "cross-site"}
    )

    assert response.status_code == 403
    assert not _pupils(teacher, code)


def test_a_wrong_code_leads_to_the_form_for_the_code(app: Flask) -> None:
    browser = app.test_client()

    response = browser.get("/c/ABCDEF")

    assert response.status_code == 404
    assert 'name="code"' in response.get_data(as_text=True)
    assert browser.get("/c?code=abcdef").headers["Location"] == "/c/ABCDEF"


def test_wrong_codes_are_refused_after_many_within_a_minute(app: Flask) -> None:
    browser = app.test_client()

    statuses = [browser.get("/c/ABCDEF").status_code for _ in range(121)]

    assert (statuses[0], statuses[-1]) == (404, 429)


@pytest.mark.usefixtures("chip")
def test_while_the_class_is_paused_what_pupils_submit_is_refused(
    app: Flask, teacher: FlaskClient, code: str, clock: Clock
) -> None:
    lena = _join(app, code, "Lena")
    before = lena.post("/v1/jobs", json=TRAINING).get_json()

    teacher.patch(f"/v1/classes/{code}", json={"paused": True})
    clock.now += LONGEST_MEMORY_S

    crops = {"data": some_crops(1), "content_type": RAW}
    assert "paused" in refused(lena.post("/v1/jobs", json=TRAINING), 409, "class_paused")
    refused(lena.post(f"{CLASSIFY}?wait=10", **crops), 409, "class_paused")
    refused(lena.post("/v1/chip/sessions", json={}), 409, "class_paused")
    assert lena.get(f"/v1/jobs/{before['id']}").get_json()["state"] == "queued"
    assert teacher.post(f"{CLASSIFY}?wait=10", **crops).status_code == 200

    teacher.patch(f"/v1/classes/{code}", json={"paused": False})
    clock.now += LONGEST_MEMORY_S
    assert lena.post(f"{CLASSIFY}?wait=10", **crops).status_code == 200


def test_a_pupil_who_lost_the_session_comes_back_by_a_code_once(
    app: Flask, teacher: FlaskClient, code: str, clock: Clock
) -> None:
    lost = _join(app, code, "Lena")
    job = lost.post("/v1/jobs", json=TRAINING).get_json()
    entry = teacher.post(f"/v1/classes/{code}/seats/lena/return").get_json()["code"]

    again = app.test_client()
    spoken = {"entry": f"{entry[:3]} {entry[3:]}"}
    response = again.post(f"/c/{code}", data=spoken, headers=OURS)
    clock.now += LONGEST_MEMORY_S

    assert response.status_code == 303
    assert again.get(f"/v1/jobs/{job['id']}").status_code == 200
    assert lost.get("/v1/me").status_code == 401
    assert app.test_client().post(f"/c/{code}", data=spoken, headers=OURS).status_code == 404


def test_codes_of_pupils_cannot_be_guessed(app: Flask, teacher: FlaskClient, code: str) -> None:
    _join(app, code, "Lena")
    teacher.post(f"/v1/classes/{code}/seats/lena/return")
    browser = app.test_client()

    statuses = [
        browser.post(f"/c/{code}", data={"entry": entry}, headers=OURS).status_code
        for entry in ("*", "", "١٢٣٤٥٦", *["wrong"] * 18)
    ]

    assert set(statuses[:-1]) == {404}
    assert statuses[-1] == 429


def test_a_pupil_is_renamed_and_keeps_the_account(app: Flask, teacher: FlaskClient, code: str) -> None:
    _join(app, code, "Rüpel")
    _join(app, code, "Lena")

    renamed = teacher.patch(f"/v1/classes/{code}/seats/rupel", json={"nickname": "Max"}).get_json()

    assert (renamed["nickname"], renamed["seat"]) == ("Max", "rupel")
    path = f"/v1/classes/{code}/seats/rupel"
    refused(teacher.patch(path, json={"nickname": "LENA"}), 409, "conflict")
    refused(teacher.patch(f"{path}x", json={"nickname": "Y"}), 404, "seat_not_found")
    assert _try_to_join(app, code, "max")[1].status_code == 409


def test_after_the_end_nobody_is_in_and_nobody_joins(
    app: Flask, teacher: FlaskClient, code: str, clock: Clock
) -> None:
    lena = _join(app, code, "Lena")
    assert lena.get("/v1/me").status_code == 200

    ended = teacher.post(f"/v1/classes/{code}/end").get_json()
    clock.now += LONGEST_MEMORY_S

    assert ended["state"] == "ended"
    refused(lena.get("/v1/me"), 401, "not_authenticated")
    assert _try_to_join(app, code, "Max")[1].status_code == 409
    refused(teacher.post(f"/v1/classes/{code}/seats/lena/return"), 409, "class_ended")
    refused(teacher.patch(f"/v1/classes/{code}", json={"until": _in(1)}), 409, "class_ended")
    assert teacher.post(f"/v1/classes/{code}/end").get_json()["until"] == ended["until"]


def test_a_class_ends_by_itself_at_its_time(
    app: Flask, application: Application, teacher: FlaskClient, code: str, clock: Clock
) -> None:
    lena = _join(app, code, "Lena")

    application.class_store.change(code, until=time.time())
    clock.now += LONGEST_MEMORY_S

    refused(lena.get("/v1/me"), 401, "not_authenticated")
    assert teacher.get(f"/v1/classes/{code}").get_json()["state"] == "ended"


def test_the_export_has_the_jobs_and_models_of_each_pupil(
    app: Flask, application: Application, teacher: FlaskClient, code: str
) -> None:
    lena = _join(app, code, "Lena")
    job = lena.post("/v1/jobs", json=TRAINING).get_json()
    application.models.publish(an_origin(name=f"class-{code}.lena~sevens"), b"weights")
    teacher.post(f"/v1/classes/{code}/end")

    with teacher.get(f"/v1/classes/{code}/export") as response:
        archive = zipfile.ZipFile(io.BytesIO(response.data))

    about = json.loads(archive.read("class.json"))
    assert (about["title"], about["pupils"][0]["nickname"]) == ("Girls' Day", "Lena")
    assert [each["id"] for each in json.loads(archive.read("lena/jobs.json"))] == [job["id"]]
    assert archive.read("lena/models/sevens/1/weights.safetensors") == b"weights"
    assert json.loads(archive.read("lena/models/sevens/1/manifest.json"))["version"] == "1"


def _everything(application: Application, connection: Connection) -> str:
    return everything_in(connection, application.settings.data_dir)


def _make_much(browser: FlaskClient, application: Application, user: str) -> None:
    """Leave one of everything that a pupil can leave."""
    kept = browser.post(f"{CLASSIFY}?wait=10&keep=true", data=some_crops(2), content_type=RAW).get_json()
    correction = {"answer": kept["id"], "index": 0, "digit": 7}
    assert browser.post("/v1/corrections", json=correction).status_code == 201
    assert browser.post("/v1/jobs", json=TRAINING, headers={"Idempotency-Key": "mine"}).status_code == 202
    upload = {"files": [{"name": "x.npz", "bytes": 1000}]}
    assert browser.post("/v1/datasets/own/uploads", json=upload).status_code == 201
    application.models.publish(an_origin(name=f"{user}~sevens", user=user), b"weights")
    application.letters.keep(user, {"name": "centre"})
    assert browser.put("/v1/challenges/board", json={"nickname": "-"}).status_code == 200
    assert browser.post("/v1/challenges/sixty", json={"model": "digits"}).status_code == 201
    crop = base64.b64encode(b"\xff" + some_crops(1)[1:]).decode()
    for digit in (3, 4):  # one of them at least fools the chip
        fool = {"model": "digits", "digit": digit, "crop": crop}
        assert browser.post("/v1/challenges/fools", json=fool).status_code == 201
    for each in browser.get("/v1/challenges/fools").get_json()["judge"]:
        browser.post(f"/v1/challenges/fools/{each['id']}/votes", json={"digit": 3})


@pytest.mark.usefixtures("chip")
@pytest.mark.parametrize("how", ["removed", "deleted", "expired"])
def test_nothing_of_a_pupil_is_left(
    app: Flask,
    application: Application,
    connection: Connection,
    teacher: FlaskClient,
    code: str,
    how: str,
) -> None:
    lena, lenard = _join(app, code, "Lena"), _join(app, code, "Lena-B")
    user = f"class-{code}.lena"
    for browser, name in ((lena, user), (lenard, f"{user}-b")):
        _make_much(browser, application, name)
    teacher.post(f"/v1/classes/{code}/seats/lena/return")
    charged_s = sum(sum(of.values()) for of in application.usage.by_user(["classification"]).values())
    mentions = re.compile(rf"{re.escape(user)}(?!-b)|Lena(?!-B)" if how == "removed" else f"{code}|Lena")
    assert mentions.search(_everything(application, connection))

    match how:
        case "removed":
            assert teacher.delete(f"/v1/classes/{code}/seats/lena").status_code == 204
        case "deleted":
            assert teacher.delete(f"/v1/classes/{code}").get_json()["state"] == "deleting"
        case "expired":
            application.class_store.change(code, until=time.time() - application.class_deletion.keep_s)
    until = time.monotonic() + 30
    while found := mentions.search(_everything(application, connection)):
        assert time.monotonic() < until, found.string[found.start() - 400 : found.end() + 200]
        application.class_deletion.tend()
        time.sleep(0.2)

    used = application.usage.by_user(["classification"])
    assert sum(sum(of.values()) for of in used.values()) == pytest.approx(charged_s)
    assert used["marie"]["classification"] > 0
    if how == "removed":
        assert [pupil["seat"] for pupil in _pupils(teacher, code)] == ["lena-b"]
        assert _pupils(teacher, code)[0]["models"]
    else:
        refused(teacher.get(f"/v1/classes/{code}"), 404, "class_not_found")


def test_a_deletion_that_was_interrupted_goes_on(
    app: Flask, application: Application, connection: Connection, code: str
) -> None:
    _join(app, code, "Lena")
    application.models.publish(an_origin(name=f"class-{code}.lena~sevens"), b"weights")
    store, class_ = application.class_store, application.class_store.get(code)
    account = f"class-{code}.lena"

    store.change(code, deleting=True)
    store.leave(code, [account])
    application.models.forget_owner(account)
    store.forget_account(class_, account)  # and here its process dies
    until = time.monotonic() + 30
    while (found := _everything(application, connection)).count(code):
        assert time.monotonic() < until, found
        application.class_deletion.tend()
        time.sleep(0.2)


def test_names_of_pupils_are_kept_for_them(client: FlaskClient) -> None:
    response = client.post("/v1/users", json={"name": "class-k7m2pq.lena", "role": Role.USER})

    refused(response, 409, "conflict")


def test_a_pupils_model_is_named_after_the_nickname_unless_named_otherwise(
    app: Flask, teacher: FlaskClient, code: str
) -> None:
    lena = _join(app, code, "Lena")

    for browser, name in ((lena, "lena"), (teacher, "digits")):
        page = browser.get("/train").get_data(as_text=True)
        assert f'value="{name}" required' in page


def test_the_screen_has_the_link_as_a_picture_and_as_text(teacher: FlaskClient, code: str) -> None:
    page = teacher.get(f"/classes/{code}/screen").get_data(as_text=True)

    assert "<svg" in page
    assert code.upper() in page
    assert "localhost/c" in page

"""Answers that are kept, their corrections, and the data sets that these are closed into."""

import base64
import io
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from PIL import Image

from api.application import Application
from services.crops.answers import CROP_BYTES
from services.datasets.files import DatasetStore
from services.users.authentication import User
from tests.api.requests import CLASSIFY, NPY, RAW, Clock, Enter, npy, png, refused
from tests.services.chip import Chip
from tests.services.samples import some_crops

pytestmark = pytest.mark.usefixtures("chip")
KEPT = f"{CLASSIFY}?keep=true"
INFER = "/v2/models/digits/infer"


def _read(client: FlaskClient, count: int = 1, seed: int = 0, url: str = KEPT) -> dict[str, Any]:
    response = client.post(url, data=some_crops(count, seed), content_type=RAW)
    assert response.status_code == 200, response.get_data(as_text=True)
    answer: dict[str, Any] = response.get_json()
    return answer


def _correct(client: FlaskClient, answer: str, index: int, digit: int | None) -> dict[str, Any]:
    response = client.post("/v1/corrections", json={"answer": answer, "index": index, "digit": digit})
    assert response.status_code == 201, response.get_data(as_text=True)
    correction: dict[str, Any] = response.get_json()
    return correction


def _open(client: FlaskClient) -> list[dict[str, Any]]:
    corrections: list[dict[str, Any]] = client.get("/v1/corrections").get_json()["corrections"]
    return corrections


def _accuracy(client: FlaskClient) -> list[tuple[int, int, int]]:
    versions = client.get("/v1/accuracy").get_json()["versions"]
    return [(of["right"], of["wrong"], of["not_a_digit"]) for of in versions]


def _crop_of(correction: dict[str, Any]) -> bytes:
    image = Image.open(io.BytesIO(base64.b64decode(correction["png"])))
    return np.asarray(image).tobytes()


def test_every_answer_has_an_id_of_its_own(client: FlaskClient) -> None:
    plain = [_read(client, url=CLASSIFY)["id"] for _ in range(3)]
    late = client.post(f"{CLASSIFY}?wait=0", data=some_crops(1), content_type=RAW).get_json()["id"]
    result = client.get(f"/v1/jobs/{late}?wait=5", headers={"If-None-Match": '"other"'}).get_json()["result"]

    assert len({*plain, late}) == 4
    assert result is None or result["id"] == late


def test_an_answer_that_nobody_keeps_leaves_nothing_behind(
    client: FlaskClient, application: Application
) -> None:
    answer = _read(client, url=CLASSIFY)

    response = client.post("/v1/corrections", json={"answer": answer["id"], "index": 0, "digit": 3})

    refused(response, 404, "answer_not_kept")
    assert client.get("/v1/jobs").get_json()["jobs"] == []
    assert not application.connection.client.keys("hx:kept:*")


def test_a_correction_has_crop_answer_and_digit(client: FlaskClient) -> None:
    crops = some_crops(70)
    answer = _read(client, 70)

    correction = _correct(client, answer["id"], 66, 3)

    read = answer["predictions"][66]
    assert _crop_of(correction) == crops[66 * CROP_BYTES : 67 * CROP_BYTES]
    assert correction["answer"] == answer["id"]
    assert (correction["index"], correction["digit"]) == (66, 3)
    assert (correction["read"], correction["confidence"]) == (read["digit"], read["confidence"])
    assert (correction["model"], correction["version"]) == (answer["model"], answer["version"])
    assert correction["outcome"] == ("right" if read["digit"] == 3 else "wrong")
    assert _open(client) == [correction]


@pytest.mark.parametrize("form", ["raw", "npy", "png", "multipart", "json", "infer", "late", "keyed"])
def test_answers_to_all_forms_of_requests_can_be_corrected(client: FlaskClient, form: str) -> None:
    pixels = np.zeros((28, 28), np.uint8)
    pixels[4:24, 12:16] = 255
    headers = {"Idempotency-Key": "k"} if form == "keyed" else {}
    match form:
        case "npy":
            response = client.post(KEPT, data=npy(pixels[None]), content_type=NPY)
        case "png":
            response = client.post(KEPT, data=png(pixels), content_type="image/png")
        case "multipart":
            response = client.post(KEPT, data={"a": (io.BytesIO(png(pixels)), "a.png")})
        case "json":
            response = client.post(KEPT, json={"images": [(pixels / 255).tolist()]})
        case "infer":
            tensor = {
                "name": "crops",
                "datatype": "UINT8",
                "shape": [1, 784],
                "data": pixels.ravel().tolist(),
            }
            response = client.post(INFER, json={"inputs": [tensor], "parameters": {"keep": True}})
        case _:
            wait = "&wait=0" if form == "late" else ""
            response = client.post(f"{KEPT}{wait}", data=pixels.tobytes(), content_type=RAW, headers=headers)
    body = response.get_json()
    answer = body["parameters"]["answer"] if form == "infer" else body["id"]
    if form == "late":
        etag = response.headers["ETag"]
        while client.get(f"/v1/jobs/{answer}").get_json()["state"] != "succeeded":
            etag = client.get(f"/v1/jobs/{answer}?wait=1", headers={"If-None-Match": etag}).headers["ETag"]
    if form == "keyed":
        again = client.post(KEPT, data=pixels.tobytes(), content_type=RAW, headers=headers)
        assert again.get_json()["id"] == answer

    correction = _correct(client, answer, 0, 5)

    if form not in {"png", "multipart"}:  # pictures are centred
        assert _crop_of(correction) == pixels.tobytes()


def test_the_last_word_counts(client: FlaskClient) -> None:
    answer = _read(client)
    digit = answer["predictions"][0]["digit"]

    outcomes = []
    for said in (digit, digit, (digit + 1) % 10, None, digit):
        _correct(client, answer["id"], 0, said)
        outcomes.append(_accuracy(client))

    assert outcomes == [[(1, 0, 0)], [(1, 0, 0)], [(0, 1, 0)], [(0, 0, 1)], [(1, 0, 0)]]
    assert [correction["digit"] for correction in _open(client)] == [digit]


def test_a_deleted_correction_counts_no_more_and_can_be_given_again(client: FlaskClient) -> None:
    answer = _read(client)
    correction = _correct(client, answer["id"], 0, None)

    assert client.delete(f"/v1/corrections/{correction['id']}").status_code == 204

    assert _open(client) == []
    assert _accuracy(client) == [(0, 0, 0)]
    refused(client.delete(f"/v1/corrections/{correction['id']}"), 404, "correction_not_found")
    assert _correct(client, answer["id"], 0, None)["id"] == correction["id"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"index": 1, "digit": 3}, 422, "invalid_input"),
        ({"index": -1, "digit": 3}, 422, "invalid_input"),
        ({"index": 0, "digit": 10}, 422, "invalid_input"),
        ({"index": 0, "digit": True}, 422, "invalid_input"),
        ({"index": 0}, 422, "invalid_input"),
        ({"answer": "nothing", "digit": 3}, 404, "answer_not_kept"),
        ({"answer": "a:events", "digit": 3}, 404, "answer_not_kept"),
    ],
)
def test_what_names_no_crop_or_digit_is_refused(
    client: FlaskClient, body: dict[str, Any], status: int, code: str
) -> None:
    answer = _read(client)

    refused(client.post("/v1/corrections", json={"answer": answer["id"]} | body), status, code)


def test_crops_that_are_not_read_yet_cannot_be_corrected(client: FlaskClient, chip: Chip) -> None:
    with chip.held():
        job = client.post(f"{KEPT}&wait=0", data=some_crops(1), content_type=RAW).get_json()["id"]

        refused(client.post("/v1/corrections", json={"answer": job, "digit": 3}), 409, "conflict")

        client.post(f"/v1/jobs/{job}/cancel")
    refused(client.post("/v1/corrections", json={"answer": job, "digit": 3}), 404, "answer_not_kept")


def test_crops_of_others_are_nobodys_business_not_even_an_admins(client: FlaskClient, enter: Enter) -> None:
    ada, grace = enter("ada"), enter("grace")
    answer = _read(ada)
    correction = _correct(ada, answer["id"], 0, 3)

    for other in (grace, client):
        refused(
            other.post("/v1/corrections", json={"answer": answer["id"], "digit": 3}), 404, "answer_not_kept"
        )
        refused(other.delete(f"/v1/corrections/{correction['id']}"), 404, "correction_not_found")
        assert _open(other) == []
    assert _open(ada) == [correction]


def test_corrections_are_listed_in_pages(client: FlaskClient) -> None:
    answer = _read(client, 7)
    for index in range(7):
        _correct(client, answer["id"], index, index)

    pages: list[list[int]] = []
    cursor: str | None = ""
    while cursor is not None:
        page = client.get(f"/v1/corrections?limit=3{cursor and '&cursor=' + cursor}").get_json()
        pages.append([correction["index"] for correction in page["corrections"]])
        cursor = page["next_cursor"]

    assert pages == [[6, 5, 4], [3, 2, 1], [0]]
    refused(client.get("/v1/corrections?cursor=x"), 422, "invalid_cursor")


def test_closing_makes_a_version_with_all_that_was_corrected(
    client: FlaskClient, application: Application
) -> None:
    answer = _read(client, 3)
    for index, digit in enumerate((4, 9, None)):
        _correct(client, answer["id"], index, digit)

    first = client.post("/v1/corrections/close", json={"dataset": "mine"}).get_json()
    again = client.post("/v1/corrections/close", json={"dataset": "mine"}).get_json()

    datasets = DatasetStore(application.settings.datasets_dir)
    train, test = datasets.crops("mine", "1")
    crops = np.frombuffer(some_crops(3), np.uint8).reshape(3, 28, 28)
    assert (first["dataset"], first["version"], first["closed"]) == ("mine", "1", 3)
    assert first["remarks"] == ["1 crop shows no digit and was left out."]
    assert sorted(zip(train.labels, map(bytes, train.images), strict=True)) == [
        (4, bytes(crops[0])),
        (9, bytes(crops[1])),
    ]
    assert len(test) == 0
    assert (again["version"], again["closed"]) == ("1", 0)
    assert _open(client) == []
    assert len(_accuracy(client)) == 1


def test_a_correction_after_closing_changes_the_next_version(
    client: FlaskClient, application: Application
) -> None:
    answer = _read(client, 2)
    _correct(client, answer["id"], 0, 4)
    closed = _correct(client, answer["id"], 1, 5)
    client.post("/v1/corrections/close", json={"dataset": "mine"})
    assert _correct(client, answer["id"], 1, 5) == closed | {"closed": "mine@1", "png": None}
    assert _open(client) == []
    refused(client.delete(f"/v1/corrections/{closed['id']}"), 409, "conflict")

    _correct(client, answer["id"], 1, 6)
    second = client.post("/v1/corrections/close", json={"dataset": "mine"}).get_json()

    train, _ = DatasetStore(application.settings.datasets_dir).crops("mine", "2")
    assert (second["version"], second["closed"]) == ("2", 1)
    assert sorted(train.labels) == [4, 6]
    assert sum(map(sum, _accuracy(client))) == 2


def test_a_closing_that_was_killed_before_its_corrections_were_marked_is_completed(
    client: FlaskClient, application: Application
) -> None:
    answer = _read(client, 6)
    for index in range(6):
        _correct(client, answer["id"], index, 8)
    store = application.correction_store
    corrections = store.open(User("admin"), 10)
    application.corrections._publication.publish(User("admin"), "mine", corrections[::-1])

    closed = client.post("/v1/corrections/close", json={"dataset": "mine"}).get_json()

    assert (closed["version"], closed["closed"]) == ("1", 6)
    assert sum(closed["counts"]["train"]) + sum(closed["counts"]["test"]) == 6


def test_there_must_be_a_digit_to_close_and_a_name_of_ones_own(enter: Enter) -> None:
    ada = enter("ada")
    _correct(ada, _read(ada)["id"], 0, None)

    for name, status, code in (
        ("mine", 409, "conflict"),
        ("mnist", 422, "invalid_input"),
        ("bob~x", 403, "forbidden"),
        ("../mine", 422, "invalid_input"),
        ("ada~.x", 422, "invalid_input"),
    ):
        refused(ada.post("/v1/corrections/close", json={"dataset": name}), status, code)

    assert len(_open(ada)) == 1


def test_a_version_must_fit_into_the_quota_of_data_sets(enter: Enter) -> None:
    ada = enter("ada", dataset_bytes=3 * CROP_BYTES)
    answer = _read(ada, 4)["id"]
    for index in range(3):
        _correct(ada, answer, index, 1)
    assert ada.post("/v1/corrections/close", json={"dataset": "mine"}).get_json()["closed"] == 3
    _correct(ada, answer, 3, 1)

    refused(ada.post("/v1/corrections/close", json={"dataset": "mine"}), 429, "quota_exceeded")

    assert ada.post("/v1/corrections/close", json={"dataset": "mine"}).status_code == 429
    assert len(_open(ada)) == 1


def test_a_user_may_have_everything_kept_and_end_it(
    application: Application, clock: Clock, enter: Enter
) -> None:
    ada = enter("ada")
    assert ada.get("/v1/me").get_json()["keep"] is False
    assert ada.put("/v1/me/keep", json={"keep": True}).get_json() == {"keep": True}
    clock.now += 2
    answer = _read(ada, url=CLASSIFY)
    assert ada.get("/v1/me").get_json()["keep"] is True
    correction = _correct(ada, answer["id"], 0, 1)
    not_kept = _read(ada, url=f"{CLASSIFY}?keep=false")["id"]
    refused(ada.post("/v1/corrections", json={"answer": not_kept, "digit": 3}), 404, "answer_not_kept")
    assert ada.get("/v1/me").get_json()["quotas"]["kept_crops"]["used"] == 1

    ada.put("/v1/me/keep", json={"keep": False})

    assert not application.connection.client.keys("hx:kept:*")
    assert ada.get("/v1/me").get_json()["quotas"]["kept_crops"]["used"] == 0
    assert _open(ada) == [correction]


def test_the_admin_of_the_token_file_asks_with_each_request(client: FlaskClient) -> None:
    answer = _read(client)

    refused(client.put("/v1/me/keep", json={"keep": True}), 409, "conflict")
    assert client.put("/v1/me/keep", json={"keep": False}).status_code == 200

    refused(client.post("/v1/corrections", json={"answer": answer["id"], "digit": 3}), 404, "answer_not_kept")


def test_the_crops_of_a_disabled_user_are_deleted(
    client: FlaskClient, application: Application, enter: Enter
) -> None:
    _read(enter("ada"), 3)
    assert application.connection.client.keys("hx:kept:*")

    client.patch("/v1/users/ada", json={"disabled": True})

    assert not application.connection.client.keys("hx:kept:*")


def test_the_oldest_kept_crops_make_room(enter: Enter) -> None:
    ada = enter("ada", kept_crops=5)
    answers = [_read(ada, 2, seed)["id"] for seed in range(3)]

    refused(ada.post("/v1/corrections", json={"answer": answers[0], "digit": 3}), 404, "answer_not_kept")
    assert _correct(ada, answers[1], 0, 1)
    assert _correct(ada, answers[2], 0, 1)
    assert ada.get("/v1/me").get_json()["quotas"]["kept_crops"] == {"limit": 5, "used": 4, "remaining": 1}
    refused(ada.post(KEPT, data=some_crops(6), content_type=RAW), 429, "quota_exceeded")
    assert _read(ada, 6, url=CLASSIFY)


def test_open_corrections_are_limited_and_replacing_one_is_not(enter: Enter) -> None:
    ada = enter("ada", open_corrections=2)
    answer = _read(ada, 3)["id"]
    for index in range(2):
        _correct(ada, answer, index, 1)

    refused(
        ada.post("/v1/corrections", json={"answer": answer, "index": 2, "digit": 1}), 429, "quota_exceeded"
    )

    assert _correct(ada, answer, 0, 2)["digit"] == 2


def test_crops_with_labels_are_collected_without_an_answer(
    application: Application, client: FlaskClient
) -> None:
    crops = np.frombuffer(some_crops(600), np.uint8).reshape(600, 28, 28)
    admin = User("admin", is_admin=True)

    ids = application.corrections.add_labelled(admin, crops, [3] * 600, "desk")
    again = application.corrections.add_labelled(admin, crops[:1], [4], "desk")
    closed = client.post("/v1/corrections/close", json={"dataset": "desk"}).get_json()

    assert again == ids[:1]
    assert closed["closed"] == len(set(ids)) == 600
    assert (closed["counts"]["train"][4] + closed["counts"]["test"][4], sum(closed["counts"]["test"])) == (
        1,
        120,
    )
    assert _accuracy(client) == []


def test_the_metrics_count_what_was_given_and_never_fall(client: FlaskClient) -> None:
    answer = _read(client)
    digit = answer["predictions"][0]["digit"]
    for said in (digit, None):
        _correct(client, answer["id"], 0, said)

    metrics = client.get("/metrics").get_data(as_text=True)

    for outcome in ("right", "not_a_digit"):
        assert f'hxserve_corrections_total{{model="digits",outcome="{outcome}",version="2"}} 1.0' in metrics


def test_the_accuracy_has_an_interval_and_says_that_it_is_biased(client: FlaskClient) -> None:
    answer = _read(client, 20)
    for index, prediction in enumerate(answer["predictions"]):
        wrong = index < 2
        _correct(client, answer["id"], index, (prediction["digit"] + wrong) % 10)

    body = client.get("/v1/accuracy").get_json()

    [version] = body["versions"]
    assert version["accuracy"] == 0.9
    assert version["interval"] == [0.699, 0.9721]
    assert "no random sample" in body["note"]

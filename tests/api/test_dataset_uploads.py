"""Uploads of data sets over HTTP: parts that resume, forms, quotas, and what is refused with which words."""

import io
import os
import time
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from api.application import Application
from services.datasets.uploads import FOLDER, KEEP_S
from services.jobs.record import JobKind
from tests.api.requests import Enter

UPLOADS = "/v1/datasets/mine/uploads"
FILES = [{"name": "a.npz", "bytes": 10}, {"name": "train/7/b.png", "bytes": 3}]


def _begin(client: FlaskClient, **body: Any) -> str:
    answer = client.post(UPLOADS, json={"files": FILES} | body)
    assert answer.status_code == 201, answer.get_json()
    upload: str = answer.get_json()["upload"]
    assert answer.headers["Location"] == f"{UPLOADS}/{upload}"
    return upload


def _send(client: FlaskClient, upload: str, index: int, data: bytes, first: int, size: int) -> TestResponse:
    headers = {"Content-Range": f"bytes {first}-{first + len(data) - 1}/{size}"}
    return client.put(f"{UPLOADS}/{upload}/files/{index}", data=data, headers=headers)


def _received(answer: TestResponse) -> list[int]:
    return [file["received"] for file in answer.get_json()["files"]]


def test_files_arrive_in_parts_and_become_a_job(enter: Enter, application: Application) -> None:
    ada = enter("ada")
    upload = _begin(ada, test_fraction=0.5, centre=True)

    assert _received(_send(ada, upload, 0, b"0123456", 0, 10)) == [7, 0]
    assert _received(_send(ada, upload, 0, b"789", 7, 10)) == [10, 0]
    assert _received(ada.put(f"{UPLOADS}/{upload}/files/1", data=b"abc")) == [10, 3]
    answer = ada.post(f"{UPLOADS}/{upload}/complete")

    job = answer.get_json()
    assert (answer.status_code, job["kind"], job["user"], job["state"]) == (202, "import", "ada", "queued")
    assert job["params"] == {
        "upload": upload,
        "dataset": "ada~mine",
        "bytes": 13,
        "test_fraction": 0.5,
        "centre": True,
        "most_bytes": 2**30,
    }
    assert [job.kind for job in application.jobs.unfinished()] == [JobKind.IMPORT]
    assert application.dataset_uploads.path(upload, 0).read_bytes() == b"0123456789"
    assert ada.get(f"{UPLOADS}/{upload}").get_json()["job"] == job["id"]


def test_completing_again_gives_the_same_job(enter: Enter, application: Application) -> None:
    ada = enter("ada")
    upload = _begin(ada, files=[FILES[1]])
    ada.put(f"{UPLOADS}/{upload}/files/0", data=b"abc")
    first = ada.post(f"{UPLOADS}/{upload}/complete").get_json()["id"]
    record = application.dataset_uploads.path(upload, 0).with_name("upload.json")
    record.write_text(
        record.read_text().replace(first, "")
    )  # as if the process had died before it was written

    assert [ada.post(f"{UPLOADS}/{upload}/complete").get_json()["id"] for _ in range(2)] == [first, first]
    assert len(application.jobs.unfinished()) == 1


def test_a_part_goes_where_the_last_one_ended(enter: Enter) -> None:
    ada = enter("ada")
    upload = _begin(ada)
    _send(ada, upload, 0, b"0123", 0, 10)

    for first in (0, 3, 5):
        refusal = _send(ada, upload, 0, b"45", first, 10)
        assert (refusal.status_code, refusal.get_json()["code"]) == (409, "conflict")
        assert "go on from byte 4" in refusal.get_json()["detail"]

    assert _received(_send(ada, upload, 0, b"45", 4, 10)) == [6, 0]


def test_one_part_of_a_file_is_written_at_a_time(enter: Enter, application: Application) -> None:
    ada = enter("ada")
    upload = _begin(ada)
    announced = application.dataset_uploads.of_job(upload)

    with application.dataset_uploads.receiving(announced, 0, 0):
        refusal = _send(ada, upload, 0, b"01", 0, 10)

    assert (refusal.status_code, "being written" in refusal.get_json()["detail"]) == (409, True)
    assert _send(ada, upload, 0, b"01", 0, 10).status_code == 200


@pytest.mark.parametrize(
    ("headers", "data", "said"),
    [
        ({"Content-Range": "bytes 0-3/11"}, b"0123", "has 10 bytes"),
        ({"Content-Range": "bytes 0-10/10"}, b"0123", "has 10 bytes"),
        ({"Content-Range": "bytes 3-1/10"}, b"0123", "has 10 bytes"),
        ({"Content-Range": "items 0-3/10"}, b"0123", "expected bytes first-last/size"),
        ({"Content-Range": "bytes 0-4/10"}, b"0123", "the body has 4 bytes; the part has 5"),
        ({}, b"0123", "the body has 4 bytes; the part has 10"),
    ],
)
def test_a_part_that_does_not_fit_is_refused(
    enter: Enter, headers: dict[str, str], data: bytes, said: str
) -> None:
    ada = enter("ada")
    upload = _begin(ada)

    refusal = ada.put(f"{UPLOADS}/{upload}/files/0", data=data, headers=headers)

    assert (refusal.status_code, said in refusal.get_json()["detail"]) == (422, True), refusal.get_json()
    assert _received(ada.get(f"{UPLOADS}/{upload}")) == [0, 0]


def test_an_upload_is_complete_only_when_all_has_arrived(enter: Enter) -> None:
    ada = enter("ada")
    upload = _begin(ada)
    _send(ada, upload, 0, b"0123", 0, 10)

    refusal = ada.post(f"{UPLOADS}/{upload}/complete")

    assert refusal.status_code == 409
    assert "4 of 10 bytes of 'a.npz' were received" in refusal.get_json()["detail"]


def test_uploads_are_private(enter: Enter, client: FlaskClient) -> None:
    ada, grace = enter("ada"), enter("grace")
    upload = _begin(ada)

    for answer in (
        grace.get(f"{UPLOADS}/{upload}"),
        grace.get(f"/v1/datasets/ada~mine/uploads/{upload}"),
        ada.get(f"/v1/datasets/other/uploads/{upload}"),
        ada.get(f"{UPLOADS}/..%2F{upload}"),
        ada.get(f"{UPLOADS}/{'0' * 32}"),
    ):
        assert answer.status_code == 404
    assert client.get(f"/v1/datasets/ada~mine/uploads/{upload}").status_code == 200


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ([], "1 to 1000 files"),
        ([{"name": "../a.npz", "bytes": 1}], "leaves its folder"),
        ([{"name": "/etc/passwd", "bytes": 1}], "leaves its folder"),
        ([{"name": "a//b", "bytes": 1}], "leaves its folder"),
        ([{"name": "a\\b.png", "bytes": 1}], "cannot be the name of a file"),
        ([{"name": "c:/b.png", "bytes": 1}], "cannot be the name of a file"),
        ([{"name": "a\x00", "bytes": 1}], "cannot be the name of a file"),
        ([{"name": "a", "bytes": 1}, {"name": "a", "bytes": 2}], "several files of the name 'a'"),
        ([{"name": "a", "bytes": 0}], "greater than or equal to 1"),
        ([{"name": "", "bytes": 1}], "at least 1 character"),
        ([{"name": "a", "bytes": 1, "path": "b"}], "unknown field"),
    ],
)
def test_files_that_cannot_be_are_refused(enter: Enter, files: list[dict[str, Any]], said: str) -> None:
    refusal = enter("ada").post(UPLOADS, json={"files": files})

    assert (refusal.status_code, said in refusal.get_json()["detail"]) == (422, True), refusal.get_json()


@pytest.mark.parametrize("name", ["mnist", "ada~digits", "Über"])
def test_names_that_cannot_be_given_are_refused(enter: Enter, name: str) -> None:
    refusal = enter("ada").post(f"/v1/datasets/{name}/uploads", json={"files": FILES})

    assert refusal.status_code == 422


def test_what_is_announced_counts_against_the_quota(enter: Enter) -> None:
    ada = enter("ada", dataset_bytes=20)
    upload = _begin(ada)

    refusal = ada.post(UPLOADS, json={"files": FILES})

    body = refusal.get_json()
    assert (refusal.status_code, body["quota"], body["limit"], body["used"]) == (429, "dataset_bytes", 20, 13)
    assert ada.get("/v1/me").get_json()["quotas"]["dataset_bytes"]["used"] == 13
    assert ada.delete(f"{UPLOADS}/{upload}").status_code == 204
    _begin(ada)


def test_an_upload_beyond_quota_and_disk_is_refused_by_the_quota(enter: Enter) -> None:
    files = [{"name": f"{number}.npz", "bytes": 2**32} for number in range(1000)]

    refusal = enter("ada", dataset_bytes=20).post(UPLOADS, json={"files": files})

    assert (refusal.status_code, refusal.get_json()["used"]) == (429, 0)


def test_the_number_of_open_uploads_is_bounded(enter: Enter) -> None:
    ada = enter("ada")
    for _ in range(20):
        _begin(ada)

    refusal = ada.post(UPLOADS, json={"files": FILES})

    assert (refusal.status_code, refusal.get_json()["code"]) == (429, "queue_full")


@pytest.mark.parametrize("limits", [{"min_free_disk_bytes": 2**62}])
def test_a_full_disk_takes_no_upload(client: FlaskClient) -> None:
    refusal = client.post(UPLOADS, json={"files": FILES})

    assert (refusal.status_code, refusal.get_json()["code"]) == (507, "disk_low")


def _form(client: FlaskClient, path: str = "/v1/datasets/mine/versions", **headers: str) -> TestResponse:
    files = {"a": (io.BytesIO(b"0123456789"), "a.npz"), "b": (io.BytesIO(b"abc"), "train/7/b.png")}
    return client.post(path, data=files, headers=headers)


def test_a_form_is_an_upload_that_is_complete(enter: Enter, application: Application) -> None:
    answer = _form(enter("ada"), "/v1/datasets/mine/versions?test_fraction=0.3&centre=true")

    params = answer.get_json()["params"]
    assert (answer.status_code, params["test_fraction"], params["centre"]) == (202, 0.3, True)
    upload = application.dataset_uploads.of_job(params["upload"])
    assert [(file.name, file.bytes) for file in upload.files] == [("a.npz", 10), ("train/7/b.png", 3)]
    assert application.dataset_uploads.path(upload.id, 1).read_bytes() == b"abc"


def test_the_same_form_under_the_same_key_is_one_job(enter: Enter, tmp_path: Path) -> None:
    ada, key = enter("ada"), {"Idempotency-Key": "monday"}
    first, again = (_form(ada, **key).get_json()["id"] for _ in range(2))

    other = _form(ada, "/v1/datasets/other/versions", **key)

    assert first == again
    assert (other.status_code, other.get_json()["code"]) == (409, "idempotency_conflict")
    assert len(list((tmp_path / "datasets" / FOLDER).iterdir())) == 1


def test_a_form_without_files_is_refused(enter: Enter) -> None:
    ada = enter("ada")

    answers = [
        ada.post("/v1/datasets/mine/versions", data={"x": "y"}, content_type="multipart/form-data"),
        ada.post("/v1/datasets/mine/versions", data={"x": (io.BytesIO(b""), "a.npz")}),
        ada.post("/v1/datasets/mine/versions", data=b"x", content_type="text/plain"),
    ]

    assert [answer.status_code for answer in answers] == [422, 422, 415]


def test_files_are_kept_until_their_job_has_ended(enter: Enter, application: Application) -> None:
    uploads, ada = application.dataset_uploads, enter("ada")
    job = _form(ada).get_json()
    upload = job["params"]["upload"]
    folder = uploads.path(upload, 0).parent
    _let_pass(folder, 200)

    uploads.discard_ended(lambda: [job["id"]])
    assert uploads.path(upload, 0).exists()
    uploads.discard_ended(list)

    assert [path.name for path in folder.iterdir()] == ["upload.json"]
    assert ada.post(f"{UPLOADS}/{upload}/complete").get_json()["id"] == job["id"]
    assert ada.get("/v1/me").get_json()["quotas"]["dataset_bytes"]["used"] == 0


def test_an_upload_that_was_left_alone_for_a_day_is_deleted(enter: Enter, application: Application) -> None:
    uploads, ada = application.dataset_uploads, enter("ada")
    old, young = _begin(ada), _begin(ada)
    _let_pass(uploads.path(old, 0).parent, KEEP_S + 10)
    _let_pass(uploads.path(young, 0).parent, KEEP_S - 100)

    uploads.discard_ended(list)

    assert ada.get(f"{UPLOADS}/{old}").status_code == 404
    assert ada.get(f"{UPLOADS}/{young}").status_code == 200


def _let_pass(folder: Path, seconds: float) -> None:
    then = time.time() - seconds
    for path in folder.iterdir():
        os.utime(path, (then, then))


def test_an_upload_that_is_begun_again_under_its_key_goes_on(enter: Enter) -> None:
    ada, grace = enter("ada"), enter("grace")
    body: dict[str, Any] = {"json": {"files": FILES}, "headers": {"Idempotency-Key": "these files"}}
    upload = ada.post(UPLOADS, **body).get_json()["upload"]
    _send(ada, upload, 0, b"0123456", 0, 10)

    again = ada.post(UPLOADS, **body)

    assert (again.status_code, again.get_json()["upload"], _received(again)) == (201, upload, [7, 0])
    assert grace.post(UPLOADS, **body).get_json()["upload"] != upload
    assert ada.post(UPLOADS.replace("mine", "other"), **body).get_json()["upload"] != upload
    other = ada.post(UPLOADS, **body | {"json": {"files": FILES, "test_fraction": 0.5}})
    assert (other.status_code, other.get_json()["code"]) == (409, "idempotency_conflict")
    long = ada.post(UPLOADS, **body | {"headers": {"Idempotency-Key": "k" * 1000}})
    assert long.status_code == 422
    assert ada.delete(f"{UPLOADS}/{upload}").status_code == 204
    assert _received(ada.post(UPLOADS, **body)) == [0, 0]

"""From images of any kind to predictions."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hxserve import Client, InvalidImagesError, JobFailedError, StillRunningError
from hxserve.errors import AnswerNotUnderstoodError
from hxserve.images import CROPS_PER_REQUEST, FILE_BYTES_PER_REQUEST, pack_images
from tests.client.records import JOB_ID, job_record, predictions_document
from tests.client.service import DROPPED, Reply, Service, job_reply

PNG = b"\x89PNG\r\n\x1a\n and so on"
JPEG = b"\xff\xd8\xff and so on"
CLASSIFY = "/v1/models/digits/classify"


def npy(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def test_an_array_of_bytes_goes_as_it_is(service: Service, client: Client) -> None:
    crops = np.arange(3 * 784, dtype=np.uint16).reshape(3, 28, 28).astype(np.uint8)

    predictions = client.classify(crops)

    request = service.requests[0]
    assert request.body == crops.tobytes()
    assert request.headers["Content-Type"] == "application/octet-stream"
    assert predictions.digits == [0, 1, 2]
    assert predictions[1].runner_up == 9


@pytest.mark.parametrize("shape", [(28, 28), (2, 28, 28), (5, 1, 28, 28), (784,), (3, 784)])
def test_crops_may_have_any_of_these_shapes(shape: tuple[int, ...]) -> None:
    (parcel,) = pack_images(np.zeros(shape, np.uint8))

    assert len(parcel.body) == np.prod(shape)


def test_floats_from_0_to_1_become_bytes() -> None:
    image = np.zeros((28, 28))
    image[0, :3] = [1.0, 0.5, 0.001]

    (parcel,) = pack_images(image)

    assert list(parcel.body[:4]) == [255, 128, 0, 0]


def test_nested_lists_are_arrays() -> None:
    (parcel,) = pack_images([[[1.0] * 28] * 28] * 2)

    assert parcel.body == b"\xff" * 1568


@pytest.mark.parametrize(
    ("images", "said"),
    [
        (np.zeros((3, 27, 28), np.uint8), r"shape \(3, 27, 28\)"),
        (np.zeros((2, 3, 28, 28), np.uint8), "shape"),
        (np.full((28, 28), 255.0), "to 255"),
        (np.full((28, 28), -1), "from -1"),
        (np.full((28, 28), np.nan), "nan"),
        (np.full((28, 28), 1.0000001, np.float32), "to 1.0000001"),
        (np.eye(28, dtype=np.uint8), "multiply by 255"),
        (np.full((28, 28), "7"), "holds <U1"),
        ([[[1] * 28] * 28, [[1] * 3]], "common shape"),
        (np.zeros((0, 28, 28), np.uint8), "no images"),
        ([], "no images"),
        (b"", "784 bytes per crop"),
        (b"\0" * 783, "783 bytes"),
        (b"\x93NUMPY\x01", "not a readable .npy"),
        (npy(np.array([{}], dtype=object)), "allow_pickle"),
        (npy(np.zeros((4, 64, 64), np.uint8)), "shape"),
        ("missing.png", "missing.png: No such file"),
        (["."], "Is a directory"),
    ],
)
def test_images_that_cannot_be_sent_are_refused_with_the_reason(images: Any, said: str) -> None:
    with pytest.raises(InvalidImagesError, match=said):
        pack_images(images)


def test_a_file_that_is_no_image_is_named(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(b"x" * 784)

    with pytest.raises(InvalidImagesError, match=r"notes\.txt: not a PNG"):
        pack_images(path)


def test_one_picture_goes_under_its_own_type(service: Service, client: Client) -> None:
    client.classify(JPEG)

    assert service.requests[0].headers["Content-Type"] == "image/jpeg"
    assert service.requests[0].body == JPEG


def test_several_pictures_go_as_one_form(service: Service, client: Client, tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a.png", "b.jpg", "c.png")]
    for path, content in zip(paths, (PNG, JPEG, PNG), strict=True):
        path.write_bytes(content)

    predictions = client.classify(paths)

    assert [p.source for p in predictions] == [str(path) for path in paths]
    assert len(service.requests) == 1
    assert service.requests[0].headers["Content-Type"].startswith("multipart/form-data; boundary=")


def test_files_of_all_kinds_keep_their_order(service: Service, client: Client, tmp_path: Path) -> None:
    names = {"a.png": PNG, "many.npy": npy(np.zeros((4, 784), np.uint8)), "b.jpg": JPEG}
    for name, content in names.items():
        (tmp_path / name).write_bytes(content)

    predictions = client.classify(list(names))

    assert [p.source for p in predictions] == ["a.png", *["many.npy"] * 4, "b.jpg"]
    assert len(service.requests) == 3


def test_more_crops_than_a_request_carries_take_several_of_one_version(
    service: Service, client: Client
) -> None:
    images = np.zeros((CROPS_PER_REQUEST + 5, 784), np.uint8)

    predictions = client.classify(images)

    assert len(predictions) == CROPS_PER_REQUEST + 5
    assert [r.path for r in service.requests] == [CLASSIFY, "/v1/models/digits/versions/1/classify"]
    assert predictions.timing["chip_ms"] == 4.0


def test_a_request_does_not_grow_beyond_what_a_service_takes() -> None:
    picture = PNG + b"\0" * (FILE_BYTES_PER_REQUEST // 2)

    parcels = pack_images([picture] * 3)

    assert [len(parcel.sources) for parcel in parcels] == [1, 1, 1]


def test_version_wait_and_deadline_are_asked_for(service: Service, client: Client) -> None:
    client.classify(b"\0" * 784, version="production", wait_s=2, deadline_s=0.5)

    (request,) = service.requests
    assert request.path == "/v1/models/digits/versions/production/classify"
    assert request.query == {"wait": "2", "deadline": "0.5"}


def test_progress_is_told_in_crops_after_each_request(client: Client) -> None:
    told: list[tuple[int, int]] = []

    client.classify(
        np.zeros((CROPS_PER_REQUEST + 7, 784), np.uint8),
        on_progress=lambda done, crops: told.append((done, crops)),
    )

    total = CROPS_PER_REQUEST + 7
    assert told == [(0, total), (CROPS_PER_REQUEST, total), (total, total)]


def test_every_request_says_how_often_crops_are_read(service: Service, client: Client) -> None:
    client.classify(np.zeros((CROPS_PER_REQUEST + 1, 784), np.uint8), repeats=4)

    assert [request.query["repeats"] for request in service.requests] == ["4", "4"]


def test_a_classification_that_waits_has_no_key_and_is_repeated_all_the_same(
    service: Service, client: Client
) -> None:
    service.faults.append(DROPPED)

    client.classify(b"\0" * 784)

    assert len(service.requests) == 2
    assert all("Idempotency-Key" not in request.headers for request in service.requests)


@pytest.mark.parametrize("manner", [{"idempotent": True}, {"wait_s": 0}])
def test_a_durable_classification_has_a_key(service: Service, client: Client, manner: dict[str, Any]) -> None:
    client.classify(b"\0" * 784, **manner)

    assert service.requests[0].headers["Idempotency-Key"]


def test_an_answer_that_takes_longer_is_fetched_from_its_job(service: Service, client: Client) -> None:
    service.answers["POST", CLASSIFY] = job_reply(job_record("queued", 1, kind="classification"), 202)
    done = job_record("succeeded", 3, kind="classification", result=predictions_document(2))
    service.jobs = type(service.jobs)([job_record("queued", 2), done])

    predictions = client.classify(b"\0" * 1568, wait_s=0)

    assert predictions.digits == [0, 1]


def test_a_classification_that_expired_is_an_error(service: Service, client: Client) -> None:
    late = job_record("expired", 2, error={"code": "expired", "message": "the deadline passed"})
    service.answers["POST", CLASSIFY] = job_reply(late, 202)
    service.jobs[0] = late

    with pytest.raises(JobFailedError, match="the deadline passed"):
        client.classify(b"\0" * 784, deadline_s=0.1)


def test_a_classification_is_not_waited_for_longer_than_asked(service: Service, client: Client) -> None:
    service.answers["POST", CLASSIFY] = job_reply(job_record("queued"), 202)
    service.jobs[0] = job_record("queued")

    with pytest.raises(StillRunningError, match=JOB_ID):
        client.classify(b"\0" * 784, wait_s=0, timeout_s=0)


def test_an_answer_for_another_number_of_crops_is_recognised(service: Service, client: Client) -> None:
    service.answers["POST", CLASSIFY] = Reply(document=predictions_document(3))

    with pytest.raises(AnswerNotUnderstoodError):
        client.classify(b"\0" * 784)


def test_predictions_in_a_notebook_are_few_and_escaped(client: Client, tmp_path: Path) -> None:
    name = "<b>many.npy"
    (tmp_path / name).write_bytes(npy(np.zeros((30, 784), np.uint8)))

    predictions = client.classify(name)

    page = predictions._repr_html_()
    assert "<b>many" not in page
    assert "and 20 more" in page
    assert "30 by digits version 1 on chip-1 (mock)" in repr(predictions)

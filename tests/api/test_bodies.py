"""Crops in every form a client may send them, and every body that is not one."""

import io
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from numpy.typing import NDArray
from PIL import Image
from werkzeug.datastructures import FileStorage
from werkzeug.test import encode_multipart

from hxserve_pictures.crops import centred
from services.store.connection import Connection
from tests.api.requests import CLASSIFY, NPY, RAW, bright_on_dark, npy, npy_header, picture, png, refused
from tests.services.chip import Chip
from tests.services.samples import scores_of

CROPS: NDArray[np.uint8] = np.stack([bright_on_dark(n) for n in range(3)])
UNIT: NDArray[np.float64] = CROPS / 255
ONES: NDArray[np.float64] = np.ones((1, 784))


def _multipart(*files: tuple[str, bytes]) -> dict[str, Any]:
    fields = {"images": [FileStorage(io.BytesIO(content), name) for name, content in files]}
    boundary, body = encode_multipart(fields)
    return {"data": body, "content_type": f"multipart/form-data; boundary={boundary}"}


SAME_CROPS: dict[str, dict[str, Any]] = {
    "raw bytes": {"data": CROPS.tobytes(), "content_type": RAW},
    "raw bytes without a type": {"data": CROPS.tobytes()},
    "npy uint8 pictures": {"data": npy(CROPS), "content_type": NPY},
    "npy uint8 rows": {"data": npy(CROPS.reshape(3, 784)), "content_type": NPY},
    "npy float64": {"data": npy(UNIT), "content_type": NPY},
    "npy float32": {"data": npy(UNIT.astype(np.float32)), "content_type": NPY},
    "npy big endian": {"data": npy(UNIT.astype(">f8")), "content_type": NPY},
    "npy in Fortran's order": {"data": npy(np.asfortranarray(CROPS)), "content_type": NPY},
    "JSON": {"json": {"images": UNIT.tolist()}},
    "multipart PNG": _multipart(*((f"{n}.png", png(crop)) for n, crop in enumerate(CROPS))),
}


@pytest.mark.usefixtures("chip")
def test_raw_crops_are_read_as_they_are_unless_they_are_to_be_centred(client: FlaskClient) -> None:
    in_corner = np.zeros((28, 28), np.uint8)
    in_corner[1:13, 2:8] = 200

    as_it_is = client.post(CLASSIFY, data=in_corner.tobytes(), content_type=RAW).get_json()
    centred_ = client.post(f"{CLASSIFY}?centre=true", data=in_corner.tobytes(), content_type=RAW).get_json()

    assert as_it_is["predictions"][0]["scores"] == scores_of(in_corner.tobytes()).tolist()[0]
    assert centred_["predictions"][0]["scores"] == scores_of(centred(in_corner).tobytes()).tolist()[0]


@pytest.mark.parametrize("crop", [bright_on_dark(), np.zeros((28, 28), np.uint8)])
def test_a_centred_crop_and_an_empty_one_stay_as_they_are(crop: NDArray[np.uint8]) -> None:
    assert (centred(crop) == crop).all()


def test_a_crop_is_centred_wherever_the_digit_is_and_however_large() -> None:
    ink = np.zeros((28, 28), np.uint8)
    ink[1:13, 2:8] = 200

    crop = centred(ink)

    assert (np.argwhere(crop > 127).max(0) - np.argwhere(crop > 127).min(0) + 1).tolist() == [20, 10]
    assert (centred(np.roll(ink, (10, 15), (0, 1))) == crop).all()


@pytest.mark.parametrize("form", SAME_CROPS)
@pytest.mark.usefixtures("chip")
def test_every_form_of_a_body_means_the_same_crops(client: FlaskClient, form: str) -> None:
    answer = client.post(CLASSIFY, **SAME_CROPS[form])

    assert answer.status_code == 200, answer.get_data(as_text=True)
    scores = [prediction["scores"] for prediction in answer.get_json()["predictions"]]
    assert scores == scores_of(CROPS.tobytes()).tolist()


@pytest.mark.parametrize(
    "body",
    [
        {"data": png(CROPS[0]), "content_type": "image/png"},
        {"data": npy(CROPS[0]), "content_type": NPY},
        {"data": CROPS[0].tobytes(), "content_type": f"{RAW}; charset=binary"},
    ],
)
@pytest.mark.usefixtures("chip")
def test_one_crop_alone_has_one_prediction(client: FlaskClient, body: dict[str, Any]) -> None:
    answer = client.post(CLASSIFY, **body)

    [prediction] = answer.get_json()["predictions"]
    assert prediction["scores"] == scores_of(CROPS[0].tobytes())[0].tolist()


@pytest.mark.usefixtures("chip")
def test_a_jpeg_is_read(client: FlaskClient) -> None:
    body = picture(Image.fromarray(CROPS[0]), "JPEG", quality=100, subsampling=0)

    answer = client.post(CLASSIFY, data=body, content_type="image/jpeg")

    [prediction] = answer.get_json()["predictions"]
    assert np.abs(np.array(prediction["scores"]) - scores_of(CROPS[0].tobytes())[0]).max() <= 3


def test_one_half_is_dark_as_it_is_when_the_network_rounds(
    client: FlaskClient, idle_chip: Chip, connection: Connection
) -> None:
    del idle_chip
    image = np.full((28, 28), 0.5)
    image[0, 0] = np.nextafter(0.5, 1)

    client.post(f"{CLASSIFY}?wait=0", json={"images": [image.tolist()]})

    stored: Any = connection.client.xrange("hx:crops:digits@2:admin")
    crop = np.frombuffer(stored[0][1][b"crops"], np.uint8)
    assert (crop[0], set(crop[1:])) == (128, {127})


def _shaped(*shape: int, dtype: Any = np.uint8) -> bytes:
    return npy(np.zeros(shape, dtype))


_NESTED = '{"images": ' + "[" * 100_000 + "]" * 100_000 + "}"
_image = UNIT[0].tolist()
BAD_BODIES: dict[str, tuple[dict[str, Any], int, str, str]] = {
    "empty": ({"data": b"", "content_type": RAW}, 422, "invalid_images", "0 bytes; send 784"),
    "no body at all": ({}, 415, "unsupported_media_type", "application/octet-stream"),
    "783 bytes": ({"data": bytes(783), "content_type": RAW}, 422, "invalid_images", "783 bytes; send 784"),
    "785 bytes": ({"data": bytes(785), "content_type": RAW}, 422, "invalid_images", "785 bytes; send 784"),
    "a PDF": ({"data": b"%PDF", "content_type": "application/pdf"}, 415, "unsupported_media_type", "application/pdf"),
    "an SVG": ({"data": b"<svg/>", "content_type": "image/svg+xml"}, 415, "unsupported_media_type", "image/png"),
    "npy: not one": ({"data": b"nothing", "content_type": NPY}, 422, "invalid_images", "not a .npy array"),
    "npy: empty": ({"data": b"", "content_type": NPY}, 422, "invalid_images", "not a .npy array"),
    "npy: no crops": ({"data": _shaped(0, 784), "content_type": NPY}, 422, "invalid_images", "n at least 1"),
    "npy: other shape": ({"data": _shaped(2, 27, 29), "content_type": NPY}, 422, "invalid_images", "(2, 27, 29)"),
    "npy: a scalar": ({"data": npy(np.array(3)), "content_type": NPY}, 422, "invalid_images", "shape ()"),
    "npy: integers": ({"data": _shaped(1, 784, dtype=np.int64), "content_type": NPY}, 422, "invalid_images", "int64"),
    "npy: truth values": ({"data": _shaped(1, 784, dtype=bool), "content_type": NPY}, 422, "invalid_images", "bool"),
    "npy: too bright": ({"data": npy(2.0 * ONES), "content_type": NPY}, 422, "invalid_images", "holds 2.0; exp"),
    "npy: 0 and 1": (
        {"data": npy(ONES.astype(np.uint8)), "content_type": NPY}, 422, "invalid_images", "multiply by 255",
    ),
    "npy: negative": ({"data": npy(-UNIT), "content_type": NPY}, 422, "invalid_images", "numbers from 0 to 1"),
    "npy: not a number": ({"data": npy(UNIT * np.nan), "content_type": NPY}, 422, "invalid_images", "holds nan"),
    "npy: cut": ({"data": npy(CROPS)[:-1], "content_type": NPY}, 422, "invalid_images", "not a .npy array"),
    "npy: too long": ({"data": npy(CROPS) + b"x", "content_type": NPY}, 422, "invalid_images", "not a .npy array"),
    "npy: objects": (
        {"data": npy(np.array([{}], dtype=object)), "content_type": NPY}, 422, "invalid_images", "not a .npy array",
    ),
    "npy: a huge shape": (
        {
            "data": npy_header("{'descr': '|u1', 'fortran_order': False, 'shape': (999999999999, 784), }\n"),
            "content_type": NPY,
        },
        422,
        "invalid_images",
        "not a .npy array",
    ),
    "npy: an open bracket": (
        {"data": npy_header("{'descr': '|u1', (\n"), "content_type": NPY}, 422, "invalid_images", "not a .npy array",
    ),
    "npy: deep": (
        {"data": npy_header("-" * 9000 + "1\n"), "content_type": NPY}, 422, "invalid_images", "not a .npy array",
    ),
    "JSON: not JSON": (
        {"data": b"{", "content_type": "application/json"}, 422, "invalid_images", 'send {"images": [...]}',
    ),
    "JSON: a list": ({"json": [_image]}, 422, "invalid_images", 'send {"images": [...]}'),
    "JSON: null": ({"data": b"null", "content_type": "application/json"}, 422, "invalid_images", "send"),
    "JSON: unknown field": ({"json": {"images": [_image], "x": 1}}, 422, "invalid_images", 'send {"images": [...]}'),
    "JSON: no images": ({"json": {"images": []}}, 422, "invalid_images", "at least one"),
    "JSON: 27 rows": ({"json": {"images": [_image, _image[:27]]}}, 422, "invalid_images", "image 1 holds 756 values"),
    "JSON: ragged": ({"json": {"images": [[*_image[:27], [0.0]]]}}, 422, "invalid_images", "image 0 holds"),
    "JSON: text": ({"json": {"images": ["digit"]}}, 422, "invalid_images", "image 0 holds something else"),
    "JSON: text inside": ({"json": {"images": [[["0"] * 28] * 28]}}, 422, "invalid_images", "28 rows of 28"),
    "JSON: truth values": ({"json": {"images": [[[True] * 28] * 28]}}, 422, "invalid_images", "28 rows of 28"),
    "JSON: null inside": ({"json": {"images": [[[None] * 28] * 28]}}, 422, "invalid_images", "28 rows of 28"),
    "JSON: an object": ({"json": {"images": [{}]}}, 422, "invalid_images", "28 rows of 28"),
    "JSON: bytes instead of 0 to 1": ({"json": {"images": [[[9] * 28] * 28]}}, 422, "invalid_images", "holds 9.0;"),
    "JSON: NaN": ({"json": {"images": [[[float("nan")] * 28] * 28]}}, 422, "invalid_images", "image 0 holds nan"),
    "JSON: huge numbers": ({"json": {"images": [[[10**400] * 28] * 28]}}, 422, "invalid_images", "28 rows of 28"),
    "JSON: deep": ({"data": _NESTED, "content_type": "application/json"}, 422, "invalid_images", "send"),
    "PNG: not one": ({"data": b"x", "content_type": "image/png"}, 422, "invalid_images", "not a picture of a known"),
    "PNG: empty": ({"data": b"", "content_type": "image/png"}, 422, "invalid_images", "not a picture of a known"),
    "PNG: really HEIC": (
        {"data": b"\0\0\0\x18ftypheic" + bytes(99), "content_type": "image/png"},
        422, "invalid_images", "is HEIC, which is not read; send PNG, JPEG",
    ),
    "PNG: really PDF": (
        {"data": b"%PDF-1.7", "content_type": "image/png"}, 422, "invalid_images", "is PDF, which is not read",
    ),
    "npy: just too bright": (
        {"data": npy((1.0000001 * ONES).astype(np.float32)), "content_type": NPY},
        422, "invalid_images", "holds 1.0000001; expected",
    ),
    "multipart: no files": (
        {"data": {"a": "b"}, "content_type": "multipart/form-data"}, 422, "invalid_images", "no files",
    ),
    "multipart: one is no picture": (
        _multipart(("a.png", png(CROPS[0])), ("b.png", b"x")), 422, "invalid_images", "image 1 (b.png) is not",
    ),
    "multipart: a part without a name": (
        {"data": b"--b\r\nContent-Type: image/png\r\n\r\nx\r\n--b--",
         "content_type": "multipart/form-data; boundary=b"},
        422, "invalid_images", "Missing Content-Disposition",
    ),
    "multipart: cut": (
        {"data": b"--b\r\nContent-Disposition: form-data; name=a; filename=b\r\n\r\nx",
         "content_type": "multipart/form-data; boundary=b"},
        422, "invalid_images", "not multipart/form-data",
    ),
    "multipart: no boundary": (
        {"data": b"x", "content_type": "multipart/form-data"}, 422, "invalid_images", "no boundary",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_BODIES)
@pytest.mark.usefixtures("models")
def test_a_body_that_holds_no_crops_is_refused_with_what_was_expected(client: FlaskClient, case: str) -> None:
    body, status, code, said = BAD_BODIES[case]

    answer = client.post(CLASSIFY, **body)

    assert said in refused(answer, status, code)


@pytest.mark.parametrize("case", ["raw bytes", "npy uint8 rows", "JSON", "multipart PNG"])
@pytest.mark.parametrize("limits", [{"max_crops_per_request": 2}])
@pytest.mark.usefixtures("models")
def test_more_crops_than_one_request_may_have_are_refused(client: FlaskClient, case: str) -> None:
    answer = client.post(CLASSIFY, **SAME_CROPS[case])

    assert "at most 2" in refused(answer, 413, "too_large")


@pytest.mark.usefixtures("models")
def test_a_body_over_the_limit_is_refused_with_the_limit(client: FlaskClient) -> None:
    answer = client.post(CLASSIFY, data=bytes(2**20 + 1), content_type=RAW)

    assert "1048576 bytes" in refused(answer, 413, "too_large")


@pytest.mark.usefixtures("models")
def test_the_pictures_of_a_form_share_one_limit_of_pixels(client: FlaskClient) -> None:
    page = Image.new("1", (4000, 4000), 1)
    page.paste(0, (1000, 1000, 1500, 3000))
    pages = [(f"{number}.png", picture(page)) for number in range(5)]

    answer = client.post(CLASSIFY, **_multipart(*pages))

    assert "with image 4 (4.png) the request has 80000000 pixels" in refused(answer, 413, "too_large")

"""Pictures of several digits, and what answers say of pictures and crops, through a socket."""

import base64
import io
import json
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from typing import Any, Final

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from urllib3.filepost import encode_multipart_formdata

from hxserve import Client
from tests.api.requests import CLASSIFY, NPY, RAW, TOKEN, bright_on_dark, npy, picture, png
from tests.services.samples import scores_of
from tests.system.hostile.conftest import HOST, Server, serving

JSON_LENGTH: Final = "Inference-Header-Content-Length"


def _sevens(count: int) -> Image.Image:
    image = Image.new("L", (160 * count + 80, 220), 255)
    pen = ImageDraw.Draw(image)
    for place in range(count):
        left = 60 + 160 * place
        pen.line([(left, 50), (left + 80, 50), (left + 30, 170)], fill=10, width=14, joint="curve")
    return image


@pytest.fixture(scope="module")
def server(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An API whose chip gives each crop scores that are known."""
    with serving(redis_url, tmp_path_factory.mktemp("api"), {}) as server:
        yield server


def _call(
    server: Server, method: str, path: str, body: bytes = b"", kind: str = "", **headers: str
) -> tuple[int, Any]:
    """The status of a call, and its JSON."""
    headers = {"Authorization": f"Bearer {TOKEN}", **headers} | ({"Content-Type": kind} if kind else {})
    with closing(HTTPConnection(HOST, server.port, timeout=30)) as connection:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, json.load(answer)


def test_digits_are_read_from_left_to_right_with_their_boxes(server: Server) -> None:
    body = picture(_sevens(3))

    _, shown = _call(server, "POST", "/v1/crops?segment=true", body, "image/png")
    status, answer = _call(server, "POST", f"{CLASSIFY}?segment=true", body, "image/png")

    assert status == 200, answer
    crops = np.array([crop["pixels"] for crop in shown["crops"]], np.uint8)
    assert [p["scores"] for p in answer["predictions"]] == scores_of(crops.tobytes()).tolist()
    boxes = [p["box"] for p in answer["predictions"]]
    assert boxes == [crop["box"] for crop in shown["crops"]]
    wanted = [[53 + 160 * place, 43, 147 + 160 * place, 177] for place in range(3)]
    assert np.abs(np.subtract(boxes, wanted)).max() <= 20, boxes
    assert [p["picture"] for p in answer["predictions"]] == [0, 0, 0]


def test_boxes_are_those_of_the_upright_picture_however_large_it_is(server: Server) -> None:
    large = _sevens(2).resize((3200, 1760))
    exif = Image.Exif()
    exif[0x0112] = 6
    body = picture(large.transpose(Image.Transpose.ROTATE_90), "JPEG", exif=exif)

    _, answer = _call(server, "POST", f"{CLASSIFY}?segment=true", body, "image/jpeg")

    boxes = [p["box"] for p in answer["predictions"]]
    assert np.abs(np.subtract(boxes, np.multiply([[53, 43, 147, 177], [213, 43, 307, 177]], 8))).max() <= 160


def test_each_picture_of_a_form_is_read(server: Server) -> None:
    fields = [("images", (f"{count}.png", picture(_sevens(count)))) for count in (2, 1, 3)]
    body, kind = encode_multipart_formdata(fields)

    _, answer = _call(server, "POST", f"{CLASSIFY}?segment=true", body, kind)

    assert [p["picture"] for p in answer["predictions"]] == [0, 0, 1, 2, 2, 2]


def test_a_job_keeps_the_boxes(server: Server) -> None:
    body = picture(_sevens(2))

    status, job = _call(server, "POST", f"{CLASSIFY}?segment=true&wait=0", body, "image/png")
    while job["state"] != "succeeded":
        _, job = _call(server, "GET", f"/v1/jobs/{job['id']}")

    assert status == 202
    _, answer = _call(server, "POST", f"{CLASSIFY}?segment=true", body, "image/png")
    boxes = [p["box"] for p in answer["predictions"]]
    assert [p["box"] for p in job["result"]["predictions"]] == boxes
    assert job["result"]["warnings"] == []


def test_the_client_names_the_file_and_the_box_of_each_digit(server: Server, tmp_path: Any) -> None:
    for count in (2, 1):
        (tmp_path / f"{count}.png").write_bytes(picture(_sevens(count)))

    with Client(server.url, TOKEN) as client:
        found = client.classify([tmp_path / "2.png", tmp_path / "1.png"], segment=True)

    assert [p.source for p in found] == [str(tmp_path / f"{name}.png") for name in (2, 2, 1)]
    assert all(p.box is not None for p in found)


def test_the_refusal_of_several_digits_names_the_flag(server: Server) -> None:
    status, problem = _call(server, "POST", CLASSIFY, picture(_sevens(3)), "image/png")

    assert status == 422
    assert "shows 3 digits; send one picture of each, or ask for segment=true" in problem["detail"]


@pytest.mark.parametrize(("kind", "body"), [(RAW, bytes(784)), (NPY, npy(np.zeros((2, 28, 28), np.uint8)))])
def test_crops_are_not_segmented(server: Server, kind: str, body: bytes) -> None:
    status, problem = _call(server, "POST", f"{CLASSIFY}?segment=true", body, kind)

    assert (status, problem["code"]) == (422, "invalid_images")
    assert "hold one digit each" in problem["detail"]


def test_the_steps_from_a_picture_to_its_crop_are_shown(server: Server) -> None:
    body = picture(_sevens(1).resize((960, 880)))

    _, plain = _call(server, "POST", "/v1/crops", body, "image/png")
    status, shown = _call(server, "POST", "/v1/crops?steps=true", body, "image/png")

    assert status == 200, shown
    [crop] = shown["crops"]
    assert crop["pixels"] == plain["crops"][0]["pixels"]
    steps = crop["steps"]
    assert steps["ink"] == "dark"
    assert np.abs(np.subtract(steps["box"], [212, 172, 588, 708])).max() <= 30
    assert steps["region"][0] <= steps["box"][0] < steps["box"][2] <= steps["region"][2]
    assert 0 < steps["threshold"] < steps["full"] <= 255
    ink, mask = (
        np.asarray(Image.open(io.BytesIO(base64.b64decode(steps[name])))) for name in ("ink_png", "mask_png")
    )
    assert ink.shape == mask.shape
    assert ink[mask > 0].mean() > 5 * ink[mask == 0].mean()


def test_a_picture_that_is_a_crop_has_no_steps(server: Server) -> None:
    _, shown = _call(server, "POST", "/v1/crops?steps=true", png(bright_on_dark()), "image/png")

    assert shown["crops"][0]["steps"] is None


CROP: Final[NDArray[np.uint8]] = bright_on_dark()
SHIFTED: Final[NDArray[np.uint8]] = np.roll(CROP, 5, axis=1)


@pytest.mark.parametrize(
    ("kind", "body", "query", "said"),
    [
        (RAW, CROP.tobytes(), "", []),
        (RAW, bytes(784), "", []),
        (RAW, SHIFTED.tobytes(), "", []),
        (RAW, (255 - CROP).tobytes(), "", ["crop 0 looks inverted"]),
        (RAW, np.stack([CROP, 255 - CROP, 255 - CROP]).tobytes(), "", ["crops 1, 2 look inverted"]),
        (RAW, (CROP > 127).astype(np.uint8).tobytes(), "", ["the values are 0 and 1 alone"]),
        (NPY, npy(np.stack([255 - CROP] * 8)), "", ["crops 0, 1, 2, 3, 4 and 3 more look inverted"]),
        (NPY, npy(np.stack([CROP, SHIFTED])), "", ["crop 1 looks off the middle"]),
        (NPY, npy(np.stack([CROP, SHIFTED])), "centre=true", []),
        ("application/json", json.dumps({"images": [(1 - CROP / 255).tolist()]}).encode(), "", ["inverted"]),
    ],
)
def test_crops_that_look_wrong_are_warned_of(
    server: Server, kind: str, body: bytes, query: str, said: list[str]
) -> None:
    status, answer = _call(server, "POST", f"{CLASSIFY}?{query}", body, kind)

    assert status == 200, answer
    assert len(answer["warnings"]) == len(said), answer["warnings"]
    assert all(part in warning for part, warning in zip(said, answer["warnings"], strict=True))


def test_the_inference_protocol_warns_too(server: Server) -> None:
    inverted = 255 - CROP
    tensor = {"name": "crops", "datatype": "UINT8", "shape": [1, 784]}
    head = json.dumps({"inputs": [tensor | {"parameters": {"binary_data_size": 784}}]}).encode()
    path = "/v2/models/digits/infer"

    _, of_json = _call(
        server, "POST", path, json.dumps({"inputs": [tensor | {"data": inverted.ravel().tolist()}]}).encode()
    )
    _, of_bytes = _call(server, "POST", path, head + inverted.tobytes(), **{JSON_LENGTH: str(len(head))})
    _, of_good = _call(server, "POST", path, head + CROP.tobytes(), **{JSON_LENGTH: str(len(head))})

    assert "crop 0 looks inverted" in of_json["parameters"]["warnings"]
    assert "crop 0 looks inverted" in of_bytes["parameters"]["warnings"]
    assert "warnings" not in of_good["parameters"]


def test_a_dark_page_is_no_reason_to_warn(server: Server) -> None:
    tones = cv2.resize(255 - CROP, (280, 280))

    _, answer = _call(server, "POST", CLASSIFY, png(tones), "image/png")

    assert answer["warnings"] == []


def test_no_reading_of_what_is_no_digit_is_sure(server: Server) -> None:
    cross = np.full((280, 280), 250, np.uint8)
    cv2.line(cross, (60, 60), (220, 220), 10, 12)
    cv2.line(cross, (60, 220), (220, 60), 10, 12)
    cv2.line(cross, (30, 140), (250, 140), 10, 12)
    body = png(cross)

    _, answer = _call(server, "POST", CLASSIFY, body, "image/png")
    _, job = _call(server, "POST", f"{CLASSIFY}?wait=0", body, "image/png")
    while job["state"] != "succeeded":
        _, job = _call(server, "GET", f"/v1/jobs/{job['id']}")

    assert answer["predictions"][0]["confidence"] <= 0.5
    assert job["result"]["predictions"][0]["confidence"] == answer["predictions"][0]["confidence"]

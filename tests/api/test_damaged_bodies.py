"""Bodies that nobody means: random headers, JSON and damaged pictures get a clear answer."""

import json
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from werkzeug.test import TestResponse

from tests.api.requests import CLASSIFY, NPY, bright_on_dark, npy_header, picture, png, refused

_fuzz = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
_CROP: NDArray[np.uint8] = bright_on_dark(0)


def _is_a_clear_answer(answer: TestResponse) -> None:
    if answer.status_code != 202:
        assert answer.status_code in {413, 415, 422}, answer.get_data(as_text=True)
        refused(answer, answer.status_code, answer.get_json()["code"])


@given(st.text(max_size=200), st.binary(max_size=20))
@_fuzz
@pytest.mark.usefixtures("models")
def test_no_npy_header_upsets_the_service(client: FlaskClient, header: str, data: bytes) -> None:
    content = header.encode("latin-1", "ignore").decode("latin-1")

    answer = client.post(f"{CLASSIFY}?wait=0", data=npy_header(content) + data, content_type=NPY)

    _is_a_clear_answer(answer)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
@_fuzz
@pytest.mark.usefixtures("models")
def test_no_json_upsets_the_service(client: FlaskClient, images: Any) -> None:
    body = json.dumps({"images": images})

    answer = client.post(f"{CLASSIFY}?wait=0", data=body, content_type="application/json")

    _is_a_clear_answer(answer)


_PICTURES = [
    png(_CROP),
    picture(Image.fromarray(_CROP), "JPEG"),
    picture(Image.fromarray(_CROP).convert("P"), transparency=0),
    picture(Image.fromarray(_CROP), "JPEG", exif=Image.Exif().tobytes() + b"\x00" * 8),
]


@given(
    st.sampled_from(_PICTURES),
    st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=6),
    st.none() | st.integers(0, 2000),
)
@_fuzz
@pytest.mark.usefixtures("models")
def test_no_damage_to_a_picture_upsets_the_service(
    client: FlaskClient, content: bytes, changes: list[tuple[int, int]], cut: int | None
) -> None:
    damaged = bytearray(content)
    for place, value in changes:
        damaged[place % len(damaged)] = value

    answer = client.post(f"{CLASSIFY}?wait=0", data=bytes(damaged[:cut]), content_type="image/png")

    _is_a_clear_answer(answer)

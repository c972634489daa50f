import json
import re

import pytest

from benchmarks.formats import BASE64_JSON, RAW, V2_BINARY, Format
from benchmarks.load.messages import UNNUMBERED, build_request, renumber


def test_a_binary_tensor_follows_its_json() -> None:
    crops = bytes([1]) * 784 + bytes([2]) * 784

    body, headers = V2_BINARY.encode(crops)

    length = int(headers["Inference-Header-Content-Length"])
    tensor = json.loads(body[:length])["inputs"][0]
    assert body[length:] == crops
    assert (tensor["shape"], tensor["parameters"]["binary_data_size"]) == ([2, 784], 1568)


@pytest.mark.parametrize(
    ("form", "body"),
    [
        (RAW, b'{"predictions":[{"digit": 9},{"digit":0}]}'),
        (BASE64_JSON, b'{"predictions":[{"digit": 9},{"digit": 0}]}'),
        (V2_BINARY, b'{"shape":[2]}' + bytes([9, *bytes(7), *bytes(8)])),
    ],
)
def test_the_digits_of_an_answer_are_found_in_order(form: Format, body: bytes) -> None:
    found = re.findall(form.answer_pattern.encode(), body)

    assert found == [form.encode_digit(digit).encode() for digit in (9, 0)]


def test_a_renumbered_request_differs_in_its_head_alone() -> None:
    request = build_request("/", bytes(784), headers=UNNUMBERED)

    renumbered = renumber(request, 7)

    assert len(renumbered) == len(request)
    assert b"X-Request-Number: 00000000000000000007\r\n" in renumbered
    assert renumbered.endswith(bytes(784))

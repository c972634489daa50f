"""Request and response formats of the services under load."""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

CROP_BYTES: Final = 784


@dataclass(frozen=True, slots=True)
class Format:
    """The encoding of crops in a request, and of digits in its response.

    Attributes:
        encode: Crops (784 bytes each) to the body and its headers.
        answer_pattern: Regular expression whose group finds each digit in the response's body, in order.
        encode_digit: A digit as that group finds it.
        is_grpc: The body is the message of a call.
    """

    encode: Callable[[bytes], tuple[bytes, Mapping[str, str]]]
    answer_pattern: str = r'"digit":\s*(\d)'
    encode_digit: Callable[[int], str] = str
    is_grpc: bool = False


def _encode_raw(crops: bytes) -> tuple[bytes, Mapping[str, str]]:
    return crops, {"Content-Type": "application/octet-stream"}


def _encode_base64(crops: bytes) -> tuple[bytes, Mapping[str, str]]:
    body = json.dumps({"crops": base64.b64encode(crops).decode()}).encode()
    return body, {"Content-Type": "application/json"}


def _encode_v2_binary(crops: bytes) -> tuple[bytes, Mapping[str, str]]:
    tensor = {
        "name": "crops",
        "datatype": "UINT8",
        "shape": [len(crops) // CROP_BYTES, CROP_BYTES],
        "parameters": {"binary_data_size": len(crops)},
    }
    outputs = [{"name": "digits", "parameters": {"binary_data": True}}]
    head = json.dumps({"inputs": [tensor], "outputs": outputs}, separators=(",", ":")).encode()
    headers = {
        "Content-Type": "application/octet-stream",
        "Inference-Header-Content-Length": str(len(head)),
    }
    return head + crops, headers


def _encode_v2_grpc(crops: bytes) -> tuple[bytes, Mapping[str, str]]:
    from api.grpc.messages import ModelInferRequest  # noqa: PLC0415  # an extra that only its measurements need

    request = ModelInferRequest(model_name="digits")
    request.inputs.add(name="crops", datatype="UINT8", shape=[len(crops) // CROP_BYTES, CROP_BYTES])
    request.outputs.add(name="digits")
    request.raw_input_contents.append(crops)
    return request.SerializeToString(), {}


RAW: Final = Format(_encode_raw)
BASE64_JSON: Final = Format(_encode_base64)
V2_BINARY: Final = Format(_encode_v2_binary, answer_pattern=r"([\x00-\x09])\x00{7}", encode_digit=chr)
"""The Open Inference Protocol with binary tensors: digits come as little-endian INT64.

Source: https://github.com/triton-inference-server/server, extension_binary_data.md.
"""
V2_GRPC: Final = Format(
    _encode_v2_grpc,
    answer_pattern=r"([\x00-\x09])\x00{7}(?=(?:[\x00-\x09]\x00{7})*\Z)",
    encode_digit=chr,
    is_grpc=True,
)
"""The same over gRPC: the digits are the end of the message."""

"""Uploaded versions on the wire: safetensors with the weights as tensors and the network in the metadata."""

import json
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from safetensors import SafetensorError, deserialize

from services.errors import InvalidInputError, TooLargeError
from services.models.description import Description, read_description
from services.networks.network import MOST_WEIGHTS

_MOST_HEADER_BYTES: Final = 2**18
_MOST_BYTES: Final = 4 * MOST_WEIGHTS + 2**20


def read_upload(body: bytes) -> Description:
    """Return the description in an uploaded file whose weights fit it.

    Raises:
        InvalidInputError: it is no such file, or its weights do not fit its network.
        TooLargeError: it is larger than the largest network.
    """
    if len(body) > _MOST_BYTES:
        raise TooLargeError(f"the file has {len(body)} bytes; a version has at most {_MOST_BYTES}")
    header_bytes = int.from_bytes(body[:8], "little")
    if header_bytes > min(_MOST_HEADER_BYTES, len(body)):
        raise InvalidInputError(
            f"the body is not safetensors, or its header is larger than {_MOST_HEADER_BYTES} bytes; send a file that "
            "`publish`, `save_version` or `hxserve models download` wrote"
        )
    try:
        tensors = dict(deserialize(body))  # type: ignore[no-untyped-call] # untyped in safetensors
    except SafetensorError as error:
        raise InvalidInputError(f"the body is not safetensors ({error})") from None
    description = read_description(json.loads(body[8 : 8 + header_bytes]).get("__metadata__", {}))
    _check_weights(tensors, description)
    return description


def _check_weights(tensors: Mapping[str, Mapping[str, Any]], description: Description) -> None:
    """Check names, types, shapes and numbers of the tensors.

    Raises:
        InvalidInputError: they are not the network's parameters.
    """
    expected = description.network.parameter_shapes
    if tensors.keys() != expected.keys():
        raise InvalidInputError(
            f"the tensors are named {', '.join(sorted(tensors)) or 'none'}; "
            f"expected {', '.join(sorted(expected))}, as the network has"
        )
    for name, shape in expected.items():
        tensor = tensors[name]
        if tensor["dtype"] != "F32" or tuple(tensor["shape"]) != shape:
            raise InvalidInputError(
                f"`{name}` is {tensor['dtype']} of shape {tuple(tensor['shape'])}; expected F32 of shape {shape}"
            )
        if not np.isfinite(np.frombuffer(tensor["data"], np.float32)).all():
            raise InvalidInputError(f"`{name}` holds numbers that are not finite; train the network again")

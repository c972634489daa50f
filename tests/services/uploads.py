"""Files of versions for uploads, right and wrong."""

import json
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from services.models.description import METADATA_KEY, Check

SMALL: Final[dict[str, Any]] = {"hidden": [8], "shift": 1, "num_sends": [1, 2]}
CONVOLUTION: Final[list[dict[str, Any]]] = [
    {"type": "conv2d", "out_channels": 2, "kernel_size": 4, "stride": 4, "num_sends": 1},
    {"type": "converting_relu", "shift": 1},
    {"type": "flatten"},
    {"type": "linear", "out_features": 10, "num_sends": 1, "bias": False},
]
UNSEEN: Final = Check.of(bytes(2 * 784), [[0] * 10] * 2)
"""Dark crops, which any network without bias scores with 0."""


def dark_weights(hidden: int = 8) -> dict[str, NDArray[np.float32]]:
    """Weights of the small network, without bias."""
    random = np.random.default_rng(7)
    return {
        "linear1.weight": random.uniform(-70, 70, (hidden, 784)).astype(np.float32),
        "linear1.bias": np.zeros(hidden, np.float32),
        "linear2.weight": random.uniform(-70, 70, (10, hidden)).astype(np.float32),
        "linear2.bias": np.zeros(10, np.float32),
    }


def a_version_file(weights: Mapping[str, NDArray[Any]] | None = None, **changes: Any) -> bytes:
    """A file of a version; `changes` are made to its description."""
    description = {
        "format": 1,
        "network": SMALL,
        "gain": 0.002,
        "noise_std": 2.0,
        "check": UNSEEN.model_dump(),
    } | changes
    tensors = dark_weights() if weights is None else dict(weights)
    return save(tensors, {METADATA_KEY: json.dumps(description)})

"""From a trained module to a version that the service serves."""

import base64
import json
import os
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from safetensors.torch import save

from hxserve.arrays import crop_bytes
from hxserve.client import Client
from hxserve.jobs import Job
from hxserve.programs.networks import express

CHECK_CROPS: Final = 16
_METADATA_KEY: Final = "hxserve"


def publish(
    model: torch.nn.Module,
    name: str,
    *,
    crops: ArrayLike | None = None,
    client: Client | None = None,
    wait: bool = True,
) -> Job:
    """Publish a trained module as the next version of a model of yours.

    Spec and weights are sent, never code. The module is run on a few crops in the mock without noise, and the service
    publishes the version if it finds the same scores. The gain in force should be the one that the module learnt with.

    Args:
        model: layers of `hxtorch.perceptron.nn` and `torch.nn.Flatten`, in the order of the forward pass; it takes
            (batch, 784), (batch, 1, 28, 28) or (batch, 28, 28) and gives ten scores or their argmax.
        name: of the model in the service.
        crops: those of the check, arrays as `Client.classify` takes them; 16 are used. Random ones when left out.
        client: connection to the service; that of `hxserve` when left out.
        wait: return only when it is published; `job.version` is then its number.

    Raises:
        NotExpressibleError: the module computes something else than such layers one after the other.
        ServiceError: the service refused the network.
        JobFailedError: waited for, it was not published.
    """
    content = _pack(model, crops)
    return (client or Client()).upload(content, name, wait=wait)


def save_version(
    model: torch.nn.Module, path: str | os.PathLike[str], *, crops: ArrayLike | None = None
) -> Path:
    """Write a trained module to a safetensors file, which `hxserve models upload` takes; return its path.

    Arguments and errors are those of `publish`.
    """
    target = Path(path)
    target.write_bytes(_pack(model, crops))
    return target


def _pack(model: torch.nn.Module, crops: ArrayLike | None) -> bytes:
    """Return a module as the bytes of a safetensors file with a description of its network."""
    checked = _random_crops() if crops is None else np.frombuffer(crop_bytes(crops, "crops"), np.uint8)
    checked = checked.reshape(-1, 784)[:CHECK_CROPS]
    expressed = express(model, torch.from_numpy(checked.copy()))
    description = {
        "format": 1,
        "network": expressed.network,
        "gain": expressed.gain,
        "noise_std": expressed.noise_std,
        "check": {
            "crops": base64.b64encode(checked.tobytes()).decode(),
            "scores": expressed.scores.tolist(),
        },
    }
    packed: bytes = save(expressed.weights, {_METADATA_KEY: json.dumps(description, sort_keys=True)})
    return packed


def _random_crops() -> NDArray[np.uint8]:
    """Return crops `(16, 784)` with from 5 to 35 % of the pixels in their middle bright, about as in digits."""
    random = np.random.default_rng(0)
    crops = np.zeros((CHECK_CROPS, 28, 28), np.uint8)
    share = np.linspace(0.05, 0.35, CHECK_CROPS)[:, None, None]
    crops[:, 4:24, 4:24] = 255 * (random.random((CHECK_CROPS, 20, 20)) < share)
    return crops.reshape(-1, 784)

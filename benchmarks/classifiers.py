"""The network of a checkpoint as every alternative runs it: hxserve's own classifier in mock arithmetic."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file

from hxtorch_emulator import perceptron
from services.networks.network import Network
from worker.learning.inference import Classifier


def load_classifier(version: Path) -> Callable[[bytes], list[int]]:
    """Return a function that reads crops (784 bytes each) by the weights in a folder, in one thread of torch."""
    torch.set_num_threads(1)
    manifest: dict[str, Any] = json.loads((version / "manifest.json").read_text())
    spec = Network.model_validate(manifest["network"])
    module: Any = perceptron
    classifier = Classifier(spec, load_file(version / "weights.safetensors"), module, mock=True)

    def read(crops: bytes) -> list[int]:
        images = np.frombuffer(crops, dtype=np.uint8).reshape(-1, 784)
        digits: list[int] = classifier.scores(images).argmax(axis=1).tolist()
        return digits

    for _ in range(10):  # warm up
        read(bytes(784))
    return read

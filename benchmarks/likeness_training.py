"""`python -m benchmarks.likeness_training --mnist DIR`: train the network of `hxserve_pictures.likeness`, in minutes.

It learns from MNIST's training digits, scikit-learn's and OpenCV's, and from what `benchmarks/not_digits.py` draws. The
fonts, scribbles and clothes of `benchmarks/unlike.py`, by which it is measured, are not among them.
"""

import argparse
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from benchmarks.context import say
from benchmarks.not_digits import Crop, Random, crop_of, draw, glyph, warped
from hxserve_pictures.likeness import features
from worker.learning.datasets import load_dataset

FILE: Final = Path(__file__).parent.parent / "pictures" / "hxserve_pictures" / "likeness.npz"
_CROPS: Final = 60_000
"""Of digits, and of what is none."""
_HIDDEN: Final = 64
_EPOCHS: Final = 6
_BATCH: Final = 512


def _digit(mnist: Crop, small: Crop, random: Random) -> Crop:
    """Draw one crop of a digit, as it comes out of pictures: thinner, thicker, slanted, stretched."""
    while True:
        kind = random.random()
        if kind < 0.06:
            crop = crop_of(glyph(str(random.integers(10)), random))
        else:
            source = small if kind < 0.14 else mnist
            image = source[random.integers(len(source))]
            crop = image if random.random() < 0.3 else crop_of(_varied(image, random))
        if crop is not None:
            return crop


def _varied(image: Crop, random: Random) -> Crop:
    large = cv2.resize(image, (84, 84), interpolation=cv2.INTER_CUBIC)
    width = int(random.integers(-2, 4))
    if width > 0:
        large = cv2.dilate(large, np.ones((2 * width, 2 * width), np.uint8))
    elif width < 0:
        large = cv2.erode(large, np.ones((1 - width, 1 - width), np.uint8))
    return warped(np.pad(large, 10), random, 0.5) if random.random() < 0.6 else large


def _train(seen: NDArray[np.float32], is_digit: NDArray[np.float32]) -> nn.Sequential:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    inputs, wanted = torch.from_numpy(seen), torch.from_numpy(is_digit)
    network = nn.Sequential(nn.Linear(inputs.shape[1], _HIDDEN), nn.ReLU(), nn.Linear(_HIDDEN, 1))
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=0.01)
    steps = _EPOCHS * (len(inputs) // _BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 8e-3, total_steps=steps + 1)
    for epoch in range(_EPOCHS):
        total = 0.0
        for batch in torch.randperm(len(inputs))[: steps // _EPOCHS * _BATCH].view(-1, _BATCH):
            output = network(inputs[batch]).squeeze(1)
            loss = nn.functional.binary_cross_entropy_with_logits(output, wanted[batch])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call] # torch leaves it untyped
            optimizer.step()
            schedule.step()
            total += loss.item()
        say(f"epoch {epoch + 1}: loss {total * _EPOCHS / steps:.4f}")
    return network


def main() -> None:
    """Draw, train and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mnist", type=Path, required=True, help="folder that holds MNIST")
    options = parser.parse_args()
    mnist, small = load_dataset("mnist", options.mnist), load_dataset("digits")
    digits, labels = mnist.train_images.numpy(), mnist.train_labels.numpy()
    random = np.random.default_rng(0)
    say(f"drawing {2 * _CROPS:,} crops")
    crops = [_digit(digits, small.train_images.numpy(), random) for _ in range(_CROPS)]
    crops += [draw(digits, labels, random) for _ in range(_CROPS)]
    network = _train(
        np.stack([features(crop) for crop in crops]), np.repeat(np.array([1, 0], np.float32), _CROPS)
    )
    first, _, last = (module.state_dict() for module in network)
    np.savez_compressed(
        FILE,
        weights=first["weight"].T.numpy().astype(np.float16),
        bias=first["bias"].numpy().astype(np.float16),
        last=last["weight"][0].numpy().astype(np.float16),
        shift=last["bias"].item(),
    )
    say(f"wrote {FILE}, {FILE.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()

"""Group `pictures`: the share of pictures that are read correctly, by kind, through the Python client."""

from collections.abc import Mapping
from statistics import fmean
from typing import Final

import numpy as np

from benchmarks.context import Context, say
from benchmarks.picture_kinds import KINDS, draw_pictures
from benchmarks.results import Ratio, Target
from benchmarks.service import running_service
from hxserve.client import Client
from hxserve.errors import InvalidImagesError
from worker.learning.datasets import load_dataset

TARGETS: Final[Mapping[str, Target]] = {
    "pictures.worst_kind_accuracy": Target(0.9, "higher"),
    "pictures.mean_accuracy": Target(0.96, "higher"),
}

_MODEL: Final = "digits"
_COUNT: Final = 50


def measure(context: Context) -> dict[str, Ratio]:
    """Measure the accuracy of the worst kind and the mean over the kinds, each with the same test digits."""
    dataset = load_dataset("mnist", context.mnist) if context.mnist else load_dataset("digits")
    digits, labels = dataset.test_images.numpy(), dataset.test_labels.numpy()
    with context.folder() as folder, running_service(folder / "data", context.mnist) as service:
        say(f"training a model on {context.dataset}")
        service.await_end(service.train(_MODEL, recipe="strong", dataset=context.dataset))
        with Client(service.url, service.token) as client:
            accuracies = {}
            for kind, facts in KINDS.items():
                contents, wanted = draw_pictures(kind, digits, labels, _COUNT)
                read = [_digit_in(client, content) for content in contents]
                right = int((np.asarray(read) == wanted).sum())
                say(f"{kind:34} {right:3} of {_COUNT}, wanted {facts.wanted}, refused {read.count(-1)}")
                accuracies[kind] = right / _COUNT
    worst = min(accuracies, key=lambda kind: accuracies[kind])
    return {
        "pictures.worst_kind_accuracy": Ratio(accuracies[worst], {"kind": worst, "dataset": context.dataset}),
        "pictures.mean_accuracy": Ratio(fmean(accuracies.values()), accuracies),
    }


def _digit_in(client: Client, content: bytes) -> int:
    """Return the digit read in a picture; -1 if it is refused."""
    try:
        return client.classify(content, model=_MODEL)[0].digit
    except InvalidImagesError:
        return -1

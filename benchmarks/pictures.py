"""Group `pictures`: how well pictures are read, by kind, and how sure the service is of what is no digit."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Final

from benchmarks.context import Context, say
from benchmarks.picture_kinds import KINDS, draw_pictures
from benchmarks.results import Ratio, Target
from benchmarks.service import running_service
from benchmarks.unlike import UNLIKE
from hxserve.client import Client
from hxserve.errors import ServiceError
from hxserve.predictions import Prediction
from worker.learning.datasets import load_dataset

TARGETS: Final[Mapping[str, Target]] = {
    "pictures.worst_kind_accuracy": Target(0.9, "higher"),
    "pictures.mean_accuracy": Target(0.96, "higher"),
    "pictures.unlike_confident": Target(0.05, "lower"),
}

_MODEL: Final = "digits"
_COUNT: Final = 50
_SURE: Final = 0.9


def measure(context: Context) -> dict[str, Ratio]:
    """Measure the accuracy of the worst kind and the mean, and how many unreadable pictures are read surely."""
    dataset = load_dataset("mnist", context.mnist) if context.mnist else load_dataset("digits")
    digits, labels = dataset.test_images.numpy(), dataset.test_labels.numpy()
    accuracies, sure_of, wrong = {}, {}, []
    right: list[Prediction | None] = []
    with context.folder() as folder, running_service(folder / "data", context.mnist) as service:
        say(f"training a model on {context.dataset}")
        service.await_end(service.train(_MODEL, recipe="strong", dataset=context.dataset))
        with Client(service.url, service.token) as client:
            for kind, facts in KINDS.items():
                contents, wanted = draw_pictures(kind, digits, labels, _COUNT)
                read = [_read(client, content) for content in contents]
                is_right = [
                    one is not None and one.digit == digit for one, digit in zip(read, wanted, strict=True)
                ]
                right += [one for one, is_so in zip(read, is_right, strict=True) if is_so]
                wrong += [one for one, is_so in zip(read, is_right, strict=True) if not is_so]
                accuracies[kind] = sum(is_right) / _COUNT
                say(
                    f"{kind:34} {sum(is_right):3} of {_COUNT}, wanted {facts.wanted}, refused {read.count(None)}"
                )
            for kind, draw in UNLIKE.items():
                unreadable = [_read(client, content) for content in draw()]
                say(f"{kind:34} {_sure(unreadable):3} of {len(unreadable)} read surely")
                sure_of[kind] = _sure(unreadable) / len(unreadable) if unreadable else 0.0
                wrong += unreadable
    worst = min(accuracies, key=lambda kind: accuracies[kind])
    return {
        "pictures.worst_kind_accuracy": Ratio(accuracies[worst], {"kind": worst, "dataset": context.dataset}),
        "pictures.mean_accuracy": Ratio(fmean(accuracies.values()), accuracies),
        "pictures.unlike_confident": Ratio(
            _sure(wrong) / max(1, len(wrong)),
            {**sure_of, "pictures": len(wrong), "right ones": _sure(right) / max(1, len(right))},
        ),
    }


def _read(client: Client, content: bytes) -> Prediction | None:
    """Return the reading of a picture; None if it is refused."""
    try:
        return client.classify(content, model=_MODEL)[0]
    except ServiceError as error:
        if error.code != "invalid_images":
            raise
        return None


def _sure(readings: Sequence[Prediction | None]) -> int:
    return sum(reading is not None and reading.confidence > _SURE for reading in readings)

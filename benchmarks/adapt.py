"""Group `adapt`: what five examples of each digit of a new hand gain there, and cost on MNIST."""

import time
from collections.abc import Mapping
from statistics import fmean
from typing import Any, Final

from benchmarks.context import Context, say
from benchmarks.hands import HANDS, Written, write
from benchmarks.results import Ratio, Target
from benchmarks.service import Service, running_service
from services.datasets.files import DatasetStore, LabelledCrops
from services.datasets.manifest import DatasetOrigin
from worker.learning.datasets import load_dataset

TARGETS: Final[Mapping[str, Target]] = {
    "adapt.mock.hand_accuracy": Target(0.95, "higher"),
    "adapt.mock.mnist_loss": Target(0.003, "lower"),
    "adapt.mock.job_s": Target(30.0, "lower"),
    "adapt.chip.hand_accuracy": Target(0.95, "higher"),
    "adapt.chip.mnist_loss": Target(0.003, "lower"),
    "adapt.chip.job_s": Target(30.0, "lower"),
}

_PARENT: Final = "digits"


def measure(context: Context) -> dict[str, Ratio]:
    """Adapt a version of `strong` to each hand, in the mock and in the loop of the virtual chip."""
    return {
        f"adapt.{place}.{name}": ratio
        for place, chip in (("mock", "mock"), ("chip", "emulator"))
        for name, ratio in _measure_on(context, chip).items()
    }


def _measure_on(context: Context, chip: str) -> dict[str, Ratio]:
    dataset = load_dataset("mnist", context.mnist) if context.mnist else load_dataset("digits")
    digits, labels = dataset.test_images.numpy(), dataset.test_labels.numpy()
    others = 40 if context.mnist else 10
    found: dict[str, dict[str, float]] = {}
    with context.folder() as folder, running_service(folder / "data", context.mnist, chip=chip) as service:
        say(f"{chip}: training a model on {context.dataset}")
        service.await_end(service.train(_PARENT, recipe="strong", dataset=context.dataset))
        store = DatasetStore(folder / "data" / "datasets")
        for name, hand in HANDS.items():
            own = _publish(store, name.replace(" ", "-"), write(hand, digits, labels, others=others))
            found[name] = _adapt(service, context.dataset, own)
            say(f"{chip}: {name:9} " + " ".join(f"{key} {value:.4f}" for key, value in found[name].items()))
    losses = {name: one["mnist_before"] - one["mnist_after"] for name, one in found.items()}
    before = fmean(one["before"] for one in found.values())
    return {
        "hand_accuracy": Ratio(
            fmean(one["after"] for one in found.values()),
            {"before": before, **{name: one["after"] for name, one in found.items()}},
        ),
        "mnist_loss": Ratio(max(losses.values()), {"dataset": context.dataset, **losses}),
        "job_s": Ratio(
            max(one["job_s"] for one in found.values()), {name: one["job_s"] for name, one in found.items()}
        ),
    }


def _publish(store: DatasetStore, name: str, written: Written) -> str:
    """Publish a hand's crops as a data set of the service; return its name."""
    origin = DatasetOrigin(name=name, user="admin", source="upload")
    store.publish(
        origin,
        LabelledCrops(written.train_images, written.train_labels),
        LabelledCrops(written.test_images, written.test_labels),
    )
    return name


def _adapt(service: Service, first: str, own: str) -> dict[str, float]:
    """Adapt the model's version 1 to a hand; return accuracies, and the time of the job in seconds."""
    both = {first: 1, own: 1}
    before = _evaluate(service, _PARENT, both)
    start = time.perf_counter()
    job = service.train(own, recipe="adapt", start_from=f"{_PARENT}@1", dataset=own)
    service.await_end(job)
    seconds = time.perf_counter() - start
    after = _evaluate(service, own, both)
    full = f"{own}@1"
    return {
        "before": before[full],
        "after": after[full],
        "mnist_before": before[first],
        "mnist_after": after[first],
        "job_s": seconds,
    }


def _evaluate(service: Service, model: str, dataset: Mapping[str, float]) -> dict[str, Any]:
    job = service.await_end(service.submit("evaluation", model, {"dataset": dict(dataset), "repeats": 4}))
    accuracies: dict[str, Any] = job["result"]["accuracies"]
    return accuracies

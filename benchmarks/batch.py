"""Group `batch`: a batch job beside the bare network, which reads the same crops in batches of 256 in one process."""

import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.classifiers import load_classifier
from benchmarks.context import Context, MeasurementError, say
from benchmarks.results import Ratio, Target
from benchmarks.service import Service
from benchmarks.serving import MODEL, trained_service
from hxserve import Client
from worker.learning.datasets import load_dataset

TARGETS: Final[Mapping[str, Target]] = {"batch.crops_per_s_vs_network": Target(0.8, "higher")}
_BATCH: Final = 256
_CROPS_PER_S: Final = 12_500
"""Of the file, for each second of `Context.seconds`: 100,000 with its default."""
_ROUNDS: Final = 3


def measure(context: Context) -> dict[str, Ratio]:
    """Measure on a service whose chip is the mock, in turns."""
    with context.folder() as folder, trained_service(folder) as trained:
        digits = load_dataset("digits").test_images.numpy()
        crops = np.resize(digits, (int(context.seconds * _CROPS_PER_S), 28, 28))
        path = folder / "crops.npy"
        np.save(path, crops)
        network = load_classifier(trained.version)
        ours, bare = [], []
        for number in range(_ROUNDS):
            say(
                f"{len(crops):,} crops as a batch job and through the bare network: {number + 1} of {_ROUNDS}"
            )
            ours.append(_of_job(trained.service, path, len(crops)))
            bare.append(_of_network(network, crops))
        rates = {"job_crops_per_s": statistics.median(ours), "network_crops_per_s": statistics.median(bare)}
        pairs = [one / other for one, other in zip(ours, bare, strict=True)]
        detail = {"crops": len(crops), **rates, "ratios": [round(ratio, 3) for ratio in pairs]}
        return {"batch.crops_per_s_vs_network": Ratio(statistics.median(pairs), detail)}


def _of_job(service: Service, path: Path, count: int) -> float:
    """Return the crops per second of a batch job, from its begin to its end."""
    with Client(service.url, service.token, progress=False) as client:
        job = client.batches.submit(path, MODEL, wait=True)
    if job.result["answered"] != count or job.started_at is None or job.finished_at is None:
        raise MeasurementError(f"the batch job answered {job.result['answered']} of {count} crops")
    return count / (job.finished_at - job.started_at).total_seconds()


def _of_network(network: Callable[[bytes], list[int]], crops: NDArray[np.uint8]) -> float:
    """Return the crops per second of the bare network."""
    parts = [crops[first : first + _BATCH].tobytes() for first in range(0, len(crops), _BATCH)]
    started = time.perf_counter()
    for part in parts:
        network(part)
    return len(crops) / (time.perf_counter() - started)

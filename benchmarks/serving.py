"""Group `serving`: crops through HTTP, beside the obvious design and beside a training."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from benchmarks.alternatives import Alternative, Figures, Round, measure_round, side_by_side, summarise_rounds
from benchmarks.celery_per_request import running_celery_service
from benchmarks.context import Context, MeasurementError, say
from benchmarks.crops import LabelledCrop, clear_crops
from benchmarks.load import build_request
from benchmarks.probe import Probe
from benchmarks.ratio import Ratio, Target
from benchmarks.service import Service, running_service

TARGETS: Final[Mapping[str, Target]] = {
    "serving.single32.throughput_vs_celery": Target(15.0, "higher"),
    "serving.with_training.p99_ms": Target(50.0, "lower"),
    "serving.with_training.training_share": Target(0.2, "higher"),
}

MODEL: Final = "digits"
_TRAINING_CLIENTS: Final = 8
_ROUNDS: Final = 2


@dataclass(frozen=True, slots=True)
class TrainedService:
    """hxserve with a model, the folder of that version, and crops it reads without fail."""

    service: Service
    version: Path
    crops: list[LabelledCrop]

    def alternative(self, per_request: int) -> Alternative:
        """The service under load, with so many crops per request."""
        return Alternative.of("hxserve", self.service.served, self._request, self.crops, per_request)

    def probe(self) -> Probe:
        """A user who sends one crop now and then."""
        return self.service.probe(MODEL, self.crops[0].crop)

    def _request(self, crops: bytes) -> bytes:
        return self.service.classify_request(MODEL, crops)


@contextmanager
def trained_service(folder: Path) -> Iterator[TrainedService]:
    """Hxserve as its users start it, after one epoch on the embedded digits."""
    data_dir = folder / "data"
    with running_service(data_dir) as service:
        say("training a model on the embedded digits")
        job = service.await_end(service.start_training(MODEL, recipe="strong", dataset="digits", epochs=1))
        version = data_dir / "models" / MODEL / str(job["result"]["version"])
        crops = clear_crops(lambda images: service.digits_of(MODEL, images))
        yield TrainedService(service, version, crops)


def measure(context: Context) -> dict[str, Ratio]:
    """Both measurements, on one service with one model."""
    with context.folder() as folder, trained_service(folder) as trained:
        return {
            "serving.single32.throughput_vs_celery": _against_celery(context, folder, trained),
            **_beside_training(context, trained),
        }


def _against_celery(context: Context, folder: Path, trained: TrainedService) -> Ratio:
    with running_celery_service(folder / "celery", trained.version) as celery_service:
        pair = [
            trained.alternative(1),
            Alternative.of("celery", celery_service, partial(build_request, "/classify"), trained.crops),
        ]
        say("32 clients, one crop per request: hxserve and one Celery task per request, in turns")
        figures = side_by_side(pair, clients=32, seconds=context.seconds, rounds=_ROUNDS)
    return throughput_ratio(figures, "hxserve", "celery")


def throughput_ratio(figures: Mapping[str, Figures], ours: str, theirs: str) -> Ratio:
    """How many times the throughput of the alternative ours is, with all figures of both."""
    value = figures[ours].requests_per_s / figures[theirs].requests_per_s
    return Ratio(value, {name: figures[name].as_detail() for name in (ours, theirs)})


def _beside_training(context: Context, trained: TrainedService) -> dict[str, Ratio]:
    """The same load without and with a training running, in turns."""
    say(f"{_TRAINING_CLIENTS} clients without and with a training beside them, in turns")
    service, ours = trained.service, trained.alternative(1)
    alone: list[Round] = []
    beside: list[Round] = []
    shares: list[float] = []
    for _ in range(_ROUNDS):
        alone.append(measure_round(ours, _TRAINING_CLIENTS, context.seconds))
        job_id = service.start_training("beside", recipe="strong", dataset="digits", epochs=200)
        service.await_running(job_id)
        start, chip_start_s = time.monotonic(), _chip_time_s(service, job_id)
        beside.append(measure_round(ours, _TRAINING_CLIENTS, context.seconds))
        elapsed_s = time.monotonic() - start
        shares.append((_chip_time_s(service, job_id) - chip_start_s) / elapsed_s)
        service.cancel(job_id)
    with_training = summarise_rounds("hxserve with a training", beside)
    without = summarise_rounds("hxserve", alone)
    detail: dict[str, Any] = {
        "clients": _TRAINING_CLIENTS,
        "with_training": with_training.as_detail(),
        "without_training": without.as_detail(),
        "training_shares": [round(share, 3) for share in shares],
    }
    return {
        "serving.with_training.p99_ms": Ratio(with_training.p99_ms, detail),
        "serving.with_training.training_share": Ratio(sum(shares) / len(shares), detail),
    }


def _chip_time_s(service: Service, job_id: str) -> float:
    job = service.job(job_id)
    if job["state"] != "running":
        raise MeasurementError(f"the training beside the load is {job['state']}: {job['error']}")
    return float(job["chip_time_s"])

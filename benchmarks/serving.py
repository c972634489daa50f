"""Group `serving`: classification over HTTP, beside one Celery task per request and beside a training."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from benchmarks.alternatives import (
    Alternative,
    Figures,
    Round,
    details,
    measure_round,
    side_by_side,
    summarise_rounds,
)
from benchmarks.celery_per_request import running_celery_service
from benchmarks.context import Context, say
from benchmarks.digits import LabelledCrop, reliable_crops
from benchmarks.formats import RAW, V2_BINARY, V2_GRPC, Format
from benchmarks.load import UNNUMBERED
from benchmarks.processes import ROOT
from benchmarks.results import Ratio, Target
from benchmarks.service import Service, running_service

TARGETS: Final[Mapping[str, Target]] = {
    "serving.single32.throughput_vs_celery": Target(15.0, "higher"),
    "serving.with_training.p99_ms": Target(50.0, "lower"),
    "serving.with_training.training_share": Target(0.2, "higher"),
    "serving.v2_binary_vs_raw": Target(0.9, "higher"),
    "serving.unknown_heads_vs_known": Target(1.1, "lower"),
}

MODEL: Final = "digits"
GRPC_PATH: Final = "/inference.GRPCInferenceService/ModelInfer"
TRAINING_CLIENTS: Final = 8
_FORM_CLIENTS: Final = 64
_ROUNDS: Final = 2


@dataclass(frozen=True, slots=True)
class TrainedService:
    """hxserve with a model, the folder of that version, and crops that it reads reliably."""

    service: Service
    version: Path
    crops: list[LabelledCrop]

    def alternative(
        self,
        per_request: int = 1,
        name: str = "hxserve",
        *,
        form: Format = RAW,
        headers: Mapping[str, str] | None = None,
    ) -> Alternative:
        """Return the service under load, with `per_request` crops in each request."""
        service = self.service
        paths = {V2_BINARY: service.infer_path(MODEL), V2_GRPC: GRPC_PATH}
        path = paths.get(form, service.classify_path(MODEL))
        headers = {**service.credentials, **(headers or {})}
        return Alternative.of(name, service.server, path, self.crops, per_request, form=form, headers=headers)


@contextmanager
def trained_service(
    folder: Path,
    checkout: Path = ROOT,
    env: Mapping[str, str] | None = None,
    *,
    has_grpc: bool = False,
) -> Iterator[TrainedService]:
    """Run a service on a mock chip, after one epoch on the digits inside scikit-learn; `env` are further variables."""
    data_dir = folder / "data"
    with running_service(data_dir, checkout=checkout, has_grpc=has_grpc, env=env) as service:
        say("training a model on the embedded digits")
        job = service.await_end(service.train(MODEL, recipe="strong", dataset="digits", epochs=1))
        version = data_dir / "models" / MODEL / str(job["result"]["version"])
        crops = reliable_crops(lambda images: service.digits_of(MODEL, images))
        yield TrainedService(service, version, crops)


def measure(context: Context) -> dict[str, Ratio]:
    """Measure everything on one service with one model."""
    with context.folder() as folder, trained_service(folder) as trained:
        return {
            "serving.single32.throughput_vs_celery": _against_celery(context, folder, trained),
            **_beside_training(context, trained),
            **_request_forms(context, trained),
        }


def _against_celery(context: Context, folder: Path, trained: TrainedService) -> Ratio:
    with running_celery_service(folder / "celery", trained.version) as server:
        pair = [trained.alternative(), Alternative.of("celery", server, "/classify", trained.crops)]
        say("32 clients, one crop per request: hxserve and one Celery task per request, in turns")
        figures = side_by_side(pair, clients=32, seconds=context.seconds, rounds=_ROUNDS)
    return throughput_ratio(figures, "hxserve", "celery")


def throughput_ratio(figures: Mapping[str, Figures], ours: str, theirs: str) -> Ratio:
    """Return the throughput of `ours` over that of `theirs`, with the figures of all."""
    return Ratio(figures[ours].requests_per_s / figures[theirs].requests_per_s, details(figures))


def _beside_training(context: Context, trained: TrainedService) -> dict[str, Ratio]:
    """Measure the same load without and with a training, in turns."""
    say(f"{TRAINING_CLIENTS} clients without and with a training beside them, in turns")
    ours = trained.alternative()
    alone: list[Round] = []
    beside: list[Round] = []
    shares: list[float] = []
    for _ in range(_ROUNDS):
        alone.append(measure_round(ours, TRAINING_CLIENTS, context.seconds))
        round_, share = round_beside_training(trained.service, ours, context.seconds)
        beside.append(round_)
        shares.append(share)
    with_training = summarise_rounds("hxserve with a training", beside)
    detail = {
        "clients": TRAINING_CLIENTS,
        "with_training": with_training.as_detail(),
        "without_training": summarise_rounds("hxserve", alone).as_detail(),
        "training_shares": [round(share, 3) for share in shares],
    }
    return {
        "serving.with_training.p99_ms": Ratio(with_training.p99_ms, detail),
        "serving.with_training.training_share": Ratio(sum(shares) / len(shares), detail),
    }


def round_beside_training(service: Service, ours: Alternative, seconds: float) -> tuple[Round, float]:
    """Apply one load beside a training; return its figures, and the seconds charged to that training per second."""
    with service.training_beside("beside") as job_id:
        start, chip_start_s = time.monotonic(), float(service.job(job_id)["chip_time_s"])
        loaded = measure_round(ours, TRAINING_CLIENTS, seconds)
        elapsed_s = time.monotonic() - start
        share = (float(service.job(job_id)["chip_time_s"]) - chip_start_s) / elapsed_s
    return loaded, share


def _request_forms(context: Context, trained: TrainedService) -> dict[str, Ratio]:
    """Measure raw crops under equal heads, raw crops under heads that all differ, and binary tensors, in turns."""
    say(f"{_FORM_CLIENTS} clients: raw crops, raw crops under unknown heads, v2 binary tensors")
    known = trained.alternative(name="known_heads", headers=UNNUMBERED)
    alternatives = [
        known,
        replace(known, name="unknown_heads", renumbered=True),
        trained.alternative(name="v2_binary", form=V2_BINARY),
    ]
    figures = side_by_side(alternatives, clients=_FORM_CLIENTS, seconds=context.seconds, rounds=_ROUNDS)
    cpu_ratio = figures["unknown_heads"].api_us_per_request / figures["known_heads"].api_us_per_request
    return {
        "serving.v2_binary_vs_raw": throughput_ratio(figures, "v2_binary", "known_heads"),
        "serving.unknown_heads_vs_known": Ratio(cpu_ratio, details(figures)),
    }

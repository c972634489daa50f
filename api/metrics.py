"""Metrics for Prometheus: this process's own requests, and, from Redis, the queue, the chips and their workers."""

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import accumulate, islice
from math import inf
from typing import Any, Final

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from api.application import Application
from services.chips.store import ChipRecord
from services.crops.statistics import BATCH_BOUNDS, BOUNDS_S, Distribution
from services.errors import RedisUnavailableError
from services.jobs.record import JobKind, JobState
from services.names import owner_of

_MAX_MODELS: Final = 100
_STATES: Final = ("ready", "drifted", "lost", "starting", "absent")


def render(app: Application) -> bytes:
    """Return all metrics in Prometheus' text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_ServiceCollector(app))
    ProcessCollector(registry=registry)
    return generate_latest(registry)


class _ServiceCollector(Collector):
    """The families of one scrape."""

    def __init__(self, app: Application) -> None:
        self._app = app

    def collect(self) -> Iterator[Metric]:
        """Yield the families; those from Redis only while it answers."""
        yield from self._of_requests()
        yield from self._of_models()
        yield from self._of_disk()
        in_redis: list[Metric] = []
        with suppress(RedisUnavailableError):
            now = time.time()
            in_redis = [
                *self._of_queue(now),
                *_of_chips(self._app.chips.records(), now),
                *self._of_corrections(),
                *self._of_webhooks(),
                *self._of_redis(),
            ]
        yield _gauge("store_up", "Whether the record store (Redis) answers.", float(bool(in_redis)))
        yield from in_redis

    def _of_requests(self) -> Iterator[Metric]:
        taken = {
            (method, route, str(status)): seconds
            for (method, route, status), seconds in list(self._app.request_times.distributions.items())
        }
        meaning = "Time of HTTP requests to this process until their answer began."
        yield _histogram("request_seconds", meaning, taken, "method", "route", "status")
        statistics = self._app.statistics
        for name, meaning, seconds in (
            ("waiting", "Time that crops of answered requests waited for the chip.", statistics.waiting),
            ("chip", "Time of the chip calls that answered requests were part of.", statistics.chip),
            ("total", "Time from taking in crops to having their answers.", statistics.total),
        ):
            yield _histogram(f"crop_{name}_seconds", meaning, {(): seconds})

    def _of_models(self) -> Iterator[Metric]:
        versions = self._app.statistics.versions()
        labels = _model_labels(model for model, _ in versions)
        crops: defaultdict[Any, float] = defaultdict(float)
        requests: defaultdict[Any, float] = defaultdict(float)
        for (model, _), counted in versions.items():
            crops[(labels[model],)] += counted.crops
            requests[labels[model], "answered"] += counted.succeeded.count
            requests[labels[model], "failed"] += counted.failed.count
        yield _counter("crops_answered", "Crops answered by this process.", crops, "model")
        yield _counter("crop_requests", "Requests for crops to this process.", requests, "model", "outcome")

    def _of_disk(self) -> Iterator[Metric]:
        size_bytes, free_bytes = self._app.disk.size_and_free_bytes()
        yield _gauge("disk_free_bytes", "Room left where models and saves are.", free_bytes)
        yield _gauge("disk_size_bytes", "Size of the disk where models and saves are.", size_bytes)
        yield _gauge(
            "disk_floor_bytes", "Free room below which trainings are refused.", self._app.disk.floor_bytes
        )

    def _of_corrections(self) -> Iterator[Metric]:
        given = self._app.correction_store.given()
        labels = _model_labels(model for model, _, _ in given)
        counts: defaultdict[Any, float] = defaultdict(float)
        for (model, version, outcome), count in given.items():
            # Versions of models that have no label of their own are no use, and could be any number.
            counts[labels[model], version if labels[model] == model else "all", outcome] += count
        meaning = "Corrections of answers ever given, by outcome; one that is changed counts again."
        yield _counter("corrections", meaning, counts, "model", "version", "outcome")

    def _of_webhooks(self) -> Iterator[Metric]:
        counts = self._app.webhooks.counts()
        ended = {("delivered",): float(counts.delivered), ("failed",): float(counts.failed)}
        yield _counter("webhook_deliveries", "Deliveries of webhooks that ended.", ended, "outcome")
        tries = {(): float(counts.failed_tries)}
        yield _counter("webhook_failed_tries", "Tries of deliveries that failed.", tries)
        yield _gauge("webhook_waiting_deliveries", "Deliveries that are not delivered yet.", counts.waiting)
        meaning = "Time since which the oldest of them waits, 0 when none does."
        yield _gauge("webhook_oldest_waiting_seconds", meaning, counts.oldest_s)

    def _of_redis(self) -> Iterator[Metric]:
        used_bytes, limit_bytes = self._app.connection.memory()
        yield _gauge("store_memory_bytes", "Memory that Redis uses.", used_bytes)
        meaning = "Memory that Redis may use; absent without a limit."
        yield _gauge("store_memory_limit_bytes", meaning, limit_bytes or {})

    def _of_queue(self, now: float) -> Iterator[Metric]:
        jobs, chips = self._app.jobs, self._app.chips
        oldest_at: dict[str, float] = {}
        unfinished: dict[Any, float] = {
            (kind, state): 0 for kind in JobKind if kind.is_long for state in ("queued", "running")
        }
        for job in jobs.unfinished():
            unfinished[job.kind, job.state] = unfinished.get((job.kind, job.state), 0) + 1
            if job.state is JobState.QUEUED:
                oldest_at[job.kind] = min(job.created_at, oldest_at.get(job.kind, now))
        oldest_crop_at = chips.oldest_waiting_at()
        if oldest_crop_at is not None:
            oldest_at[JobKind.CLASSIFICATION] = oldest_crop_at
        ages = {(kind,): max(0.0, now - oldest_at.get(kind, now)) for kind in JobKind}
        usage = list(self._app.usage.by_user(JobKind).values())
        charged = {(kind,): sum(seconds.get(kind, 0.0) for seconds in usage) for kind in JobKind}
        yield _gauge("waiting_crops", "Crops that no worker has claimed yet.", chips.waiting_crops())
        yield _gauge("open_sessions", "Open sessions of programs.", self._app.programs.open_sessions())
        waiting = {(chip.chip,): float(self._app.programs.waiting(chip.chip)) for chip in chips.records()}
        yield _gauge("waiting_operations", "Operations of programs without an answer.", waiting, "chip")
        meaning = "Age of the oldest waiting crop or job, 0 when none waits."
        yield _gauge("oldest_waiting_seconds", meaning, ages, "kind")
        yield _gauge("unfinished_jobs", "Long jobs that are not finished.", unfinished, "kind", "state")
        yield _counter("jobs_finished", "Jobs that ended, by state.", jobs.finished(), "kind", "state")
        yield _counter("charged_seconds", "Chip time charged to users.", charged, "kind")


_CHIP_GAUGES: Final = {
    "lease_age_seconds": "Time since the chip's worker took its lease.",
    "calibration_age_seconds": "Age of the calibration that is loaded.",
    "canary_lsb": "Score of the chip's canary when it was last measured.",
    "canary_age_seconds": "Time since the chip's canary was measured.",
    "canary_limit_lsb": "Highest score of the canary that is still good.",
    "worker_busy_ratio": "Share of recent time that was not available to long work.",
}


def _of_chips(records: Sequence[ChipRecord], now: float) -> Iterator[Metric]:
    states = {(record.chip, state): float(record.state == state) for record in records for state in _STATES}
    measured: dict[str, dict[Any, float]] = {name: {} for name in _CHIP_GAUGES}
    seconds: dict[Any, float] = {}
    for record in records:
        status, canary = record.status, record.status.get("canary") or {}
        for name, value in (
            ("lease_age_seconds", record.since and now - record.since),
            ("calibration_age_seconds", (status.get("calibration") or {}).get("age_s")),
            ("canary_lsb", canary.get("score_lsb")),
            ("canary_age_seconds", canary.get("at") and max(0.0, now - canary["at"])),
            ("canary_limit_lsb", status.get("canary_limit_lsb")),
            ("worker_busy_ratio", status.get("busy_share")),
        ):
            if value is not None:
                measured[name][(record.chip,)] = value
        seconds |= {(record.chip, doing): spent for doing, spent in (status.get("time_s") or {}).items()}
    meaning = "1 for the state that a chip is in, 0 for the others."
    yield _gauge("chip_state", meaning, states, "chip", "state")
    for name, meaning in _CHIP_GAUGES.items():
        yield _gauge(name, meaning, measured[name], "chip")
    yield _counter("worker_seconds", "Time of the worker by activity.", seconds, "chip", "doing")
    yield from _of_batches({r.chip: r.status["tally"] for r in records if r.status.get("tally")})
    yield from _of_trials({r.chip: r.status["trials"] for r in records if r.status.get("trials")})


def _of_batches(tallies: Mapping[str, Mapping[str, Any]]) -> Iterator[Metric]:
    for name, meaning, bounds in (
        ("batch_crops", "Crops in one chip call.", BATCH_BOUNDS),
        ("batch_chip_seconds", "Time of one chip call.", BOUNDS_S),
    ):
        counted = {(chip,): Distribution.from_json(bounds, tally[name]) for chip, tally in tallies.items()}
        yield _histogram(name, meaning, counted, "chip")
    crops: defaultdict[Any, float] = defaultdict(float)
    for chip, tally in tallies.items():
        labels = _model_labels(tally["crops"])
        for model, count in tally["crops"].items():
            crops[chip, labels[model]] += count
    yield _counter("worker_crops", "Crops that the chip has read.", crops, "chip", "model")


def _of_trials(trials: Mapping[str, Mapping[str, Mapping[str, float]]]) -> Iterator[Metric]:
    """Yield the readings by candidates of rollouts; `trials` has counts by chip and model."""
    crops: defaultdict[Any, float] = defaultdict(float)
    confidences: defaultdict[Any, float] = defaultdict(float)
    for chip, counts in trials.items():
        labels = _model_labels(counts)
        for model, counted in counts.items():
            different = counted["disagreements"]
            crops[chip, labels[model], "agreed"] += counted["crops"] - different
            crops[chip, labels[model], "disagreed"] += different
            crops[chip, labels[model], "dropped"] += counted["dropped"]
            confidences[chip, labels[model], "present"] += counted["confidence"]
            confidences[chip, labels[model], "candidate"] += counted["candidate_confidence"]
    meaning = "Crops that candidates of rollouts read after the version that answered, or were to read."
    yield _counter("trial_crops", meaning, crops, "chip", "model", "outcome")
    meaning = "Crops in trials that a version expects to have read right: the sum of its confidences."
    yield _counter("trial_expected_crops", meaning, confidences, "chip", "model", "version")


def _model_labels(models: Iterable[str]) -> dict[str, str]:
    """Return the label of each model: metrics show no user's name, and at most a hundred models by name."""
    distinct = dict.fromkeys(models)
    named = set(islice((model for model in distinct if owner_of(model) is None), _MAX_MODELS))
    return {
        model: model if model in named else "other" if owner_of(model) is None else "private"
        for model in distinct
    }


def _gauge(name: str, meaning: str, values: Mapping[Any, float] | float, *labels: str) -> Metric:
    """Make a gauge of values by their labels, or of one value without labels."""
    family = GaugeMetricFamily(f"hxserve_{name}", meaning, labels=labels)
    for key, value in (values if isinstance(values, Mapping) else {(): values}).items():
        family.add_metric(key, value)
    return family


def _counter(name: str, meaning: str, values: Mapping[Any, float], *labels: str) -> Metric:
    family = CounterMetricFamily(f"hxserve_{name}", meaning, labels=labels)
    for key, value in values.items():
        family.add_metric(key, value)
    return family


def _histogram(name: str, meaning: str, values: Mapping[Any, Distribution], *labels: str) -> Metric:
    family = HistogramMetricFamily(f"hxserve_{name}", meaning, labels=labels)
    for key, counted in values.items():
        bounds = map(floatToGoString, (*counted.bounds, inf))
        family.add_metric(key, list(zip(bounds, accumulate(counted.counts), strict=True)), counted.sum)
    return family

"""Metrics for Prometheus: this process's own requests, and, from Redis, the queue, the chips and their workers."""

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import accumulate, islice
from math import inf
from typing import Any, Final, TypeVar

from flask import Blueprint, Flask, Response, g, request
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from api.application import Application, application
from api.documentation import SPEC, answers
from services.chips.store import ChipRecord
from services.crops.statistics import BATCH_BOUNDS, BOUNDS_S, Distribution
from services.errors import RedisUnavailableError
from services.jobs.record import JobKind, JobState
from services.names import owner_of

_MAX_MODELS: Final = 100
_STATES: Final = ("ready", "drifted", "lost", "starting", "absent")

routes = Blueprint("metrics", __name__)


@routes.get("/metrics")
@SPEC.validate(resp=answers(200, None), tags=["health"])
def show_metrics() -> Response:
    """Show metrics in Prometheus' text format.

    Each API process counts its own requests and crops; the queue, chips and workers are the same from all.
    """
    return Response(render(application()), content_type=CONTENT_TYPE_PLAIN_0_0_4)


def measure_requests(app: Flask) -> None:
    """Record the duration of each request that Flask answers."""
    times = app.extensions["hxserve"].request_times

    @app.before_request
    def begin() -> None:
        g.began = time.perf_counter()

    @app.after_request
    def end(response: Response) -> Response:
        route = request.url_rule.rule if request.url_rule else None
        times.note(request.method, route, response.status_code, time.perf_counter() - g.began)
        return response


def render(app: Application) -> bytes:
    """All metrics in Prometheus' text format."""
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
            in_redis = [*self._of_queue(now), *_of_chips(self._app.chips.records(), now), *self._of_redis()]
        yield _gauge("store_up", "Whether the record store (Redis) answers.", float(bool(in_redis)))
        yield from in_redis

    def _of_requests(self) -> Iterator[Metric]:
        yield _histogram(
            "request_seconds",
            "Time of HTTP requests to this process until their answer began.",
            {
                (method, route, str(status)): taken
                for (method, route, status), taken in list(self._app.request_times.distributions.items())
            },
            ("method", "route", "status"),
        )
        statistics = self._app.statistics
        for name, meaning, distribution in (
            ("waiting", "Time that crops of answered requests waited for the chip.", statistics.waiting),
            ("chip", "Time of the chip calls that answered requests were part of.", statistics.chip),
            ("total", "Time from taking in crops to having their answers.", statistics.total),
        ):
            yield _histogram(f"crop_{name}_seconds", meaning, {(): distribution})

    def _of_models(self) -> Iterator[Metric]:
        versions = self._app.statistics.versions()
        labels = _model_labels(model for model, _ in versions)
        crops: defaultdict[str, int] = defaultdict(int)
        requests: defaultdict[tuple[str, str], float] = defaultdict(float)
        for (model, _), counted in versions.items():
            crops[labels[model]] += counted.crops
            requests[labels[model], "answered"] += counted.succeeded.count
            requests[labels[model], "failed"] += counted.failed.count
        yield _counter("crops_answered", "Crops answered by this process.", crops, ("model",))
        yield _counter("crop_requests", "Requests for crops to this process.", requests, ("model", "outcome"))

    def _of_disk(self) -> Iterator[Metric]:
        disk, room = self._app.disk, self._app.disk.room()
        yield _gauge("disk_free_bytes", "Room left where models and saves are.", room.free_bytes)
        yield _gauge("disk_size_bytes", "Size of the disk where models and saves are.", room.size_bytes)
        yield _gauge("disk_floor_bytes", "Free room below which trainings are refused.", disk.floor_bytes)

    def _of_redis(self) -> Iterator[Metric]:
        used_bytes, limit_bytes = self._app.connection.memory()
        yield _gauge("store_memory_bytes", "Memory that Redis uses.", used_bytes)
        limit = {(): limit_bytes} if limit_bytes else {}
        yield _gauge("store_memory_limit_bytes", "Memory that Redis may use; absent without a limit.", limit)

    def _of_queue(self, now: float) -> Iterator[Metric]:
        jobs, chips = self._app.jobs, self._app.chips
        oldest_at: dict[str, float] = {}
        unfinished = {
            (kind, state): 0
            for kind in JobKind
            if kind.is_long
            for state in (JobState.QUEUED, JobState.RUNNING)
        }
        for job in jobs.unfinished():
            unfinished[job.kind, job.state] = unfinished.get((job.kind, job.state), 0) + 1
            if job.state is JobState.QUEUED:
                oldest_at[job.kind] = min(job.created_at, oldest_at.get(job.kind, now))
        oldest_crop_at = chips.oldest_waiting_at()
        if oldest_crop_at is not None:
            oldest_at[JobKind.CLASSIFICATION] = oldest_crop_at
        charged = dict.fromkeys(JobKind, 0.0)
        for kinds in jobs.usage(JobKind).values():
            for kind, seconds in kinds.items():
                charged[JobKind(kind)] += seconds
        yield _gauge("waiting_crops", "Crops that no worker has claimed yet.", chips.waiting_crops())
        yield _gauge(
            "oldest_waiting_seconds",
            "Age of the oldest waiting crop or job, 0 when none waits.",
            {kind: max(0.0, now - oldest_at.get(kind, now)) for kind in JobKind},
            ("kind",),
        )
        yield _gauge("unfinished_jobs", "Long jobs that are not finished.", unfinished, ("kind", "state"))
        yield _counter("jobs_finished", "Jobs that ended, by state.", jobs.finished(), ("kind", "state"))
        yield _counter("charged_seconds", "Chip time charged to users.", charged, ("kind",))


def _of_chips(records: Sequence[ChipRecord], now: float) -> Iterator[Metric]:
    status = {record.chip: record.status for record in records}
    canaries = {chip: known.get("canary") or {} for chip, known in status.items()}
    states = {(record.chip, state): float(record.state == state) for record in records for state in _STATES}
    meaning = "1 for the state that a chip is in, 0 for the others."
    yield _gauge("chip_state", meaning, states, ("chip", "state"))
    for name, meaning, values in (
        (
            "lease_age_seconds",
            "Time since the chip's worker took its lease.",
            {record.chip: now - record.since for record in records if record.since is not None},
        ),
        (
            "canary_age_seconds",
            "Time since the chip's canary was measured.",
            {chip: max(0.0, now - canary["at"]) for chip, canary in canaries.items() if canary.get("at")},
        ),
        (
            "calibration_age_seconds",
            "Age of the calibration that is loaded.",
            {chip: (known.get("calibration") or {}).get("age_s") for chip, known in status.items()},
        ),
        (
            "canary_lsb",
            "Score of the chip's canary when it was last measured.",
            {chip: canary.get("score_lsb") for chip, canary in canaries.items()},
        ),
        (
            "canary_limit_lsb",
            "Highest score of the canary that is still good.",
            {chip: known.get("canary_limit_lsb") for chip, known in status.items()},
        ),
        (
            "worker_busy_ratio",
            "Share of recent time that was not available to long work.",
            {chip: known.get("busy_share") for chip, known in status.items()},
        ),
    ):
        yield _gauge(name, meaning, {chip: v for chip, v in values.items() if v is not None}, ("chip",))
    seconds = {
        (chip, doing): spent
        for chip, known in status.items()
        for doing, spent in (known.get("time_s") or {}).items()
    }
    yield _counter("worker_seconds", "Time of the worker by activity.", seconds, ("chip", "doing"))
    yield from _of_batches({chip: known["tally"] for chip, known in status.items() if known.get("tally")})


def _of_batches(tallies: Mapping[str, Mapping[str, Any]]) -> Iterator[Metric]:
    for name, meaning, bounds in (
        ("batch_crops", "Crops in one chip call.", BATCH_BOUNDS),
        ("batch_chip_seconds", "Time of one chip call.", BOUNDS_S),
    ):
        counted = {chip: Distribution.from_json(bounds, tally[name]) for chip, tally in tallies.items()}
        yield _histogram(name, meaning, counted, ("chip",))
    crops: defaultdict[tuple[str, str], int] = defaultdict(int)
    for chip, tally in tallies.items():
        labels = _model_labels(tally["crops"])
        for model, count in tally["crops"].items():
            crops[chip, labels[model]] += count
    yield _counter("worker_crops", "Crops that the chip has read.", crops, ("chip", "model"))


def _model_labels(models: Iterable[str]) -> dict[str, str]:
    """The label of each model: metrics show no user's name, and at most a hundred models by name."""
    distinct = dict.fromkeys(models)
    named = set(islice((model for model in distinct if owner_of(model) is None), _MAX_MODELS))
    return {
        model: model if model in named else "other" if owner_of(model) is None else "private"
        for model in distinct
    }


_Family = TypeVar("_Family", CounterMetricFamily, GaugeMetricFamily)
_Values = float | Mapping[Any, float]
"""One value without labels, or values by one label or by a tuple of labels."""


def _gauge(name: str, meaning: str, values: _Values, labels: Sequence[str] = ()) -> Metric:
    return _filled(GaugeMetricFamily(f"hxserve_{name}", meaning, labels=labels), values)


def _counter(name: str, meaning: str, values: _Values, labels: Sequence[str]) -> Metric:
    return _filled(CounterMetricFamily(f"hxserve_{name}", meaning, labels=labels), values)


def _filled(family: _Family, values: _Values) -> Metric:
    for key, value in values.items() if isinstance(values, Mapping) else [((), values)]:
        family.add_metric(_as_labels(key), value)
    return family


def _histogram(
    name: str, meaning: str, distributions: Mapping[Any, Distribution], labels: Sequence[str] = ()
) -> Metric:
    family = HistogramMetricFamily(f"hxserve_{name}", meaning, labels=labels)
    for key, counted in distributions.items():
        bounds = map(floatToGoString, (*counted.bounds, inf))
        buckets = list(zip(bounds, accumulate(counted.counts), strict=True))
        family.add_metric(_as_labels(key), buckets, counted.sum)
    return family


def _as_labels(key: Any) -> list[str]:
    return [key] if isinstance(key, str) else list(key)

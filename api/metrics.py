"""What Prometheus is told: this process's own requests, and through Redis what waits and how chips and workers are."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from api.application import Application
from api.request_times import RequestTimes
from services.chips.store import ChipRecord
from services.crops.statistics import BATCH_BOUNDS, BOUNDS_S, Distribution
from services.errors import RedisUnavailableError
from services.jobs.record import JobKind, JobState
from services.names import owner_of

_MOST_MODELS: Final = 100
_STATES: Final = ("ready", "drifted", "lost", "starting", "absent")


def render(app: Application, times: RequestTimes) -> bytes:
    """All metrics in Prometheus' text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Service(app, times))
    ProcessCollector(registry=registry)
    return generate_latest(registry)


class _Service(Collector):
    """Makes the families of one scrape."""

    def __init__(self, app: Application, times: RequestTimes) -> None:
        self._app = app
        self._times = times

    def collect(self) -> Iterator[Metric]:
        """The families."""
        yield from self._of_requests()
        yield from self._of_disk()
        is_up = GaugeMetricFamily("hxserve_store_up", "Whether the record store (Redis) answers.")
        try:
            now = time.time()
            in_store = [*self._of_queues(now), *_of_chips(self._app.chips.records(), now), *self._of_store()]
            is_up.add_metric([], 1)
        except RedisUnavailableError:
            in_store = []
            is_up.add_metric([], 0)
        yield is_up
        yield from in_store

    def _of_requests(self) -> Iterator[Metric]:
        taken = HistogramMetricFamily(
            "hxserve_request_seconds",
            "Time of HTTP requests to this process until their answer began.",
            labels=["method", "route", "status"],
        )
        for (method, route, status), distribution in list(self._times.distributions.items()):
            _add(taken, [method, route, str(status)], distribution)
        yield taken
        statistics = self._app.statistics
        for name, meaning, distribution in (
            ("waiting", "Time that crops of answered requests waited for the chip.", statistics.waiting),
            ("chip", "Time of the chip calls that answered requests were part of.", statistics.chip),
            ("total", "Time from taking in crops to having their answers.", statistics.total),
        ):
            family = HistogramMetricFamily(f"hxserve_crop_{name}_seconds", meaning)
            _add(family, [], distribution)
            yield family
        yield from self._of_models()

    def _of_models(self) -> Iterator[Metric]:
        crops: dict[str, int] = {}
        requests: dict[tuple[str, str], float] = {}
        for (model, _), counted in self._app.statistics.versions().items():
            label = _model_label(model, crops)
            crops[label] = crops.get(label, 0) + counted.crops
            for outcome, duration in (("answered", counted.succeeded), ("failed", counted.failed)):
                requests[label, outcome] = requests.get((label, outcome), 0.0) + duration.count
        yield _counter("hxserve_crops_answered", "Crops answered by this process.", ["model"], crops)
        yield _counter(
            "hxserve_crop_requests", "Requests for crops to this process.", ["model", "outcome"], requests
        )

    def _of_disk(self) -> Iterator[Metric]:
        room = self._app.disk.room()
        for name, meaning, value in (
            ("free", "Room left where models and saves are.", room.free_bytes),
            ("size", "Size of the disk where models and saves are.", room.size_bytes),
            ("floor", "Free room below which no training is taken in.", self._app.disk.floor_bytes),
        ):
            yield _gauge(f"hxserve_disk_{name}_bytes", meaning, [], {(): value})

    def _of_store(self) -> Iterator[Metric]:
        used_bytes, most_bytes = self._app.connection.memory()
        yield _gauge("hxserve_store_memory_bytes", "Memory that Redis uses.", [], {(): used_bytes})
        yield _gauge(
            "hxserve_store_memory_limit_bytes",
            "Memory that Redis may use; not there when it has no limit.",
            [],
            {(): most_bytes} if most_bytes else {},
        )

    def _of_queues(self, now: float) -> Iterator[Metric]:
        jobs = self._app.jobs
        came_at: dict[str, float] = {}
        unfinished: dict[tuple[str, str], int] = {
            (kind, state): 0 for kind in JobKind if kind.is_long for state in ("queued", "running")
        }
        for job in jobs.unfinished():
            unfinished[job.kind, job.state] = unfinished.get((job.kind, job.state), 0) + 1
            if job.state is JobState.QUEUED:
                came_at[job.kind] = min(job.created_at, came_at.get(job.kind, now))
        oldest_at = self._app.chips.oldest_waiting_at()
        if oldest_at is not None:
            came_at[JobKind.CLASSIFICATION] = oldest_at
        charged = dict.fromkeys(JobKind, 0.0)
        for kinds in jobs.usage(JobKind).values():
            for kind, seconds in kinds.items():
                charged[JobKind(kind)] += seconds
        yield _gauge(
            "hxserve_waiting_crops",
            "Crops that no worker has claimed yet.",
            [],
            {(): self._app.chips.waiting_crops()},
        )
        yield _gauge(
            "hxserve_oldest_waiting_seconds",
            "How long what waits for longest has waited, 0 when nothing does.",
            ["kind"],
            {kind: max(0.0, now - came_at[kind]) if kind in came_at else 0.0 for kind in JobKind},
        )
        yield _gauge(
            "hxserve_unfinished_jobs", "Long jobs that are not finished.", ["kind", "state"], unfinished
        )
        yield _counter(
            "hxserve_jobs_finished", "Jobs that ended, by how they did.", ["kind", "state"], jobs.finished()
        )
        yield _counter("hxserve_charged_seconds", "Chip time charged to users.", ["kind"], charged)


def _of_chips(records: Sequence[ChipRecord], now: float) -> Iterator[Metric]:
    yield _gauge(
        "hxserve_chip_state",
        "1 for the state that a chip is in, 0 for the others.",
        ["chip", "state"],
        {(record.chip, state): float(record.state == state) for record in records for state in _STATES},
    )
    yield _gauge(
        "hxserve_lease_age_seconds",
        "Time since the chip's worker took its lease.",
        ["chip"],
        {record.chip: now - record.since for record in records if record.since is not None},
    )
    measured_at = {record.chip: _at(record.status, ("canary", "at")) for record in records}
    yield _gauge(
        "hxserve_canary_age_seconds",
        "Time since the chip's canary was measured.",
        ["chip"],
        {chip: max(0.0, now - at) for chip, at in measured_at.items() if at is not None},
    )
    for name, meaning, path in (
        ("calibration_age_seconds", "Age of the calibration that is loaded.", ("calibration", "age_s")),
        ("canary_lsb", "Score of the chip's canary when it was last measured.", ("canary", "score_lsb")),
        ("canary_limit_lsb", "Highest score of the canary that is still good.", ("canary_limit_lsb",)),
        ("worker_busy_ratio", "Share of time lately that long work could not have.", ("busy_share",)),
    ):
        values = {record.chip: _at(record.status, path) for record in records}
        yield _gauge(
            f"hxserve_{name}",
            meaning,
            ["chip"],
            {c: v for c, v in values.items() if isinstance(v, int | float)},
        )
    yield _counter(
        "hxserve_worker_seconds",
        "What the worker's time went to.",
        ["chip", "doing"],
        {
            (record.chip, doing): seconds
            for record in records
            for doing, seconds in (record.status.get("time_s") or {}).items()
        },
    )
    yield from _of_batches(
        {record.chip: tally for record in records if (tally := record.status.get("tally"))}
    )


def _of_batches(tallies: Mapping[str, Mapping[str, Any]]) -> Iterator[Metric]:
    for name, meaning, bounds in (
        ("batch_crops", "Crops in one chip call.", BATCH_BOUNDS),
        ("batch_chip_seconds", "Time of one chip call.", BOUNDS_S),
    ):
        family = HistogramMetricFamily(f"hxserve_{name}", meaning, labels=["chip"])
        for chip, tally in tallies.items():
            _add(family, [chip], Distribution.from_json(bounds, tally[name]))
        yield family
    read: dict[tuple[str, str], int] = {}
    for chip, tally in tallies.items():
        seen: dict[str, int] = {}
        for model, count in tally["crops"].items():
            label = _model_label(model, seen)
            seen[label] = seen.get(label, 0) + count
        read |= {(chip, label): count for label, count in seen.items()}
    yield _counter("hxserve_worker_crops", "Crops that the chip has read.", ["chip", "model"], read)


def _model_label(model: str, known: Mapping[str, Any]) -> str:
    """A model's label: users and how many models there are is nobody's business who looks at metrics."""
    if owner_of(model) is not None:
        return "private"
    return model if model in known or len(known) < _MOST_MODELS else "other"


def _at(status: Mapping[str, Any], path: Iterable[str]) -> Any:
    found: Any = status
    for name in path:
        found = (found or {}).get(name)
    return found


def _counter(name: str, meaning: str, labels: list[str], values: Mapping[Any, float]) -> Metric:
    return _filled(CounterMetricFamily(name, meaning, labels=labels), values)


def _gauge(name: str, meaning: str, labels: list[str], values: Mapping[Any, float]) -> Metric:
    return _filled(GaugeMetricFamily(name, meaning, labels=labels), values)


def _filled(family: Any, values: Mapping[Any, float]) -> Metric:
    for label, value in values.items():
        family.add_metric([label] if isinstance(label, str) else list(label), value)
    filled: Metric = family
    return filled


def _add(family: HistogramMetricFamily, labels: list[str], distribution: Distribution) -> None:
    counts, total = list(distribution.counts), 0
    buckets: list[tuple[str, float]] = []
    for bound, count in zip([*map(float, distribution.bounds), float("inf")], counts, strict=True):
        total += count
        buckets.append(("+Inf" if bound == float("inf") else str(bound), total))
    family.add_metric(labels, buckets, distribution.sum)

"""Measurements of a running service for a plan: its chip calls, its finished trainings, its programs."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from hxserve.client import Client
from hxserve.jobs import Job

_LEAST_CALLS: Final = 20
_NEWEST: Final = 200


def backend_of(client: Client) -> str | None:
    """Return the backend of a service; None while no chip is held."""
    backends = [chip.get("backend") for chip in client.chip()["chips"]]
    return next((str(backend) for backend in backends if backend), None)


def measured_paces(
    client: Client, backend: str, recipe: str, dataset: str, execution: str | None
) -> dict[str, float]:
    """Return paces of this backend in seconds, by the names of a plan's question; without work that was never done."""
    finished = client.jobs(state="succeeded", kind="training", limit=_NEWEST)
    return (
        calls_pace(client.statistics())
        | training_pace(finished, backend, recipe, dataset, execution)
        | operation_pace(client.jobs(kind="program", limit=_NEWEST))
    )


def calls_pace(models: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Fit `call_s` and `crop_s`, a line through times of chip calls over their sizes; nothing from one size alone."""
    points = [
        (
            float(batch["batch_size"]),
            batch["compute_infer"]["ns"] / 1e9 / batch["compute_infer"]["count"],
            float(batch["compute_infer"]["count"]),
        )
        for model in models
        for batch in model["batch_stats"]
        if batch["compute_infer"]["count"]
    ]
    return fit_line(points)


def fit_line(points: Sequence[tuple[float, float, float]]) -> dict[str, float]:
    """Fit the line through (crops, seconds, calls), each call counting once."""
    calls = sum(weight for _, _, weight in points)
    if calls < _LEAST_CALLS or len({crops for crops, _, _ in points}) < 2:
        return {}
    mean_crops = sum(crops * weight for crops, _, weight in points) / calls
    mean_s = sum(seconds * weight for _, seconds, weight in points) / calls
    variance = sum(weight * (crops - mean_crops) ** 2 for crops, _, weight in points)
    together = sum(weight * (crops - mean_crops) * (seconds - mean_s) for crops, seconds, weight in points)
    crop_s = max(0.0, together / variance)
    return {"call_s": max(0.0, mean_s - crop_s * mean_crops), "crop_s": crop_s}


def training_pace(
    jobs: Iterable[Job], backend: str, recipe: str, dataset: str, execution: str | None
) -> dict[str, float]:
    """Return `step_s`: the median over finished trainings of this kind of their chip time per mini-batch."""
    paces = [
        job.chip_time_s / job.metrics["steps_total"]
        for job in jobs
        if _is_alike(job, backend, recipe, dataset, execution)
        and job.metrics.get("steps_total")
        and job.chip_time_s
    ]
    return {"step_s": statistics.median(paces)} if paces else {}


def operation_pace(sessions: Iterable[Job]) -> dict[str, float]:
    """Return `operation_s`: the mean chip time of the operations of programs; nothing from few of them."""
    measured = [
        (session.chip_time_s, int(session.result.get("operations", 0)))
        for session in sessions
        if session.chip_time_s
    ]
    operations = sum(count for _, count in measured)
    if operations < _LEAST_CALLS:
        return {}
    return {"operation_s": sum(seconds for seconds, _ in measured) / operations}


def _is_alike(job: Job, backend: str, recipe: str, dataset: str, execution: str | None) -> bool:
    params, provenance = job.params, job.record.get("provenance") or {}
    return (
        provenance.get("backend") == backend
        and params.get("recipe") == recipe
        and params.get("execution") == execution
        and dataset in {params.get("dataset"), job.metrics.get("dataset")}
    )

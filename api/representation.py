"""Records as JSON that a client reads: times in ISO 8601, what waits with its place and time."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from services.jobs.inspection import JobView
from services.jobs.record import Job
from services.scheduling.forecast import Span
from services.scheduling.waiting import Outlook


def job_json(view: JobView) -> dict[str, Any]:
    """A job as clients see it."""
    job = view.job
    return {
        "id": job.id,
        "kind": job.kind,
        "user": job.user,
        "model": job.model,
        "params": job.params,
        "state": job.state,
        "created_at": iso(job.created_at),
        "started_at": iso(job.started_at),
        "finished_at": iso(job.finished_at),
        "updated_at": iso(job.updated_at),
        "progress": job.progress,
        "metrics": job.metrics,
        "result": view.result,
        "error": job.error,
        "provenance": job.provenance,
        "attempts": job.attempts,
        "chip_time_s": round(job.chip_time_s, 3),
        "cancel_requested": job.cancel_requested,
        "revision": job.revision,
        "queue": queue_json(view.outlook),
        "start": span_json(view.outlook.start),
        "eta": span_json(view.outlook.finish),
    }


def etag_of(job: Job, position: int | None) -> str:
    """The ETag of a job as it is now; its place in the queue changes without its record."""
    place = f"-{position}" if position is not None else ""
    return f'"{job.id}-{job.revision}{place}"'


def iso(at: float | None) -> str | None:
    """A Unix time as ISO 8601 in UTC."""
    if at is None:
        return None
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def queue_json(outlook: Outlook) -> Mapping[str, int] | None:
    """The place of a waiting job."""
    if outlook.position is None:
        return None
    return {"position": outlook.position, "of": outlook.of}


def span_json(span: Span | None) -> Mapping[str, float] | None:
    """A range of seconds from now."""
    if span is None:
        return None
    return {"earliest_s": round(span.earliest_s, 1), "latest_s": round(span.latest_s, 1)}

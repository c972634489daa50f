"""The spans of a worker: batches of crops, operations of programs, and long jobs with their slices."""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from services.crops.claims import Entry
from services.jobs.record import Job, JobState
from services.programs.store import Claimed
from services.tracing import traces

if TYPE_CHECKING:
    from services.tracing.spans import Span

_log = logging.getLogger(__name__)


def batch_span(batch: Sequence[Entry], now: float) -> "Span | None":
    """Begin the span of a batch, with links to those of its requests that are sampled; None if none is.

    `now` is in Unix seconds by the clock of Redis.
    """
    waited = [(entry.trace, entry.accepted_at) for entry in batch if entry.trace]
    if not waited or not traces.is_exporting():
        return None
    crops, lane = sum(entry.count for entry in batch), batch[0].lane
    span = traces.begin_work(
        "batch",
        waited,
        now,
        {
            "hxserve.model": lane.model,
            "hxserve.version": lane.version,
            "hxserve.crops": crops,
            "hxserve.entries": len(batch),
        },
    )
    with traces.within(span):
        _log.debug("a batch of %d crops for %s", crops, lane.reference)
    return span


def operation_span(claimed: Claimed, accepted_at: float, now: float) -> "Span | None":
    """Begin the span of a program's operation if its request is sampled; times are Unix seconds by Redis' clock."""
    if not claimed.trace:
        return None
    operation = claimed.operation
    return traces.begin_work(
        "operation",
        [(claimed.trace, accepted_at)],
        now,
        {
            "hxserve.session": operation.session,
            "hxserve.batch": operation.batch,
            "hxserve.rows": operation.rows,
            "hxserve.columns": operation.columns,
        },
    )


class JobTraces:
    """The spans of the long jobs that this worker has taken up and whose submission was sampled.

    Each is the root of a trace of its own, as a job may be worked on for hours, and links to its submission.
    """

    def __init__(self) -> None:
        self._spans: dict[str, Span] = {}

    @contextmanager
    def working_on(self, job: Job) -> Iterator[None]:
        """Record a slice of a job, the first with the time that the job has waited."""
        if not job.trace or not traces.is_exporting():
            yield
            return
        span = self._spans.get(job.id) or self._begin(job)
        with traces.within(span), traces.child("slice"):
            yield

    def _begin(self, job: Job) -> "Span | None":
        now = time.time()
        since = job.created_at if job.started_at is None else job.updated_at or now
        attributes = {"hxserve.job": job.id, "hxserve.kind": job.kind.value, "hxserve.model": job.model}
        span = traces.begin_work(
            f"job {job.kind}", [(bytes.fromhex(job.trace), since)], now, attributes, is_root=True
        )
        if span is not None:
            self._spans[job.id] = span
        return span

    def end(self, job_id: str, state: JobState | None = None) -> None:
        """End the span of a job that this worker works on no longer; `state` is its last one, if it has ended."""
        span = self._spans.pop(job_id, None)
        if span is not None:
            span.note({"hxserve.state": state.value} if state else {})
            span.end(error=state.value if state is JobState.FAILED else "")

    def end_all(self) -> None:
        """End the spans of all jobs, as the worker does."""
        for job_id in list(self._spans):
            self.end(job_id)

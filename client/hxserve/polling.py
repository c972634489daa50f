"""Waiting for a job by long polls, through restarts of the service."""

import time
from collections.abc import Callable
from typing import Final

from hxserve.errors import ConnectionFailedError, ServiceError, StillRunningError
from hxserve.jobs import Job
from hxserve.transport import Transport, json_object, segment

LONGEST_POLL_S: Final = 30.0
QUEUED_POLL_S: Final = 5.0
"""A queued job's place changes without the job changing, so it is asked for more often."""
_LEAST_POLL_S: Final = 0.5


def fetch_job(
    transport: Transport, job_id: str, known: Job | None = None, wait_s: float | None = None
) -> Job | None:
    """Fetch a job.

    With `wait_s` the service answers when the job differs from `known`, or this time is over.

    Returns:
        None if it is still as known.
    """
    etag = known.etag if known and wait_s is not None else None
    response = transport.call(
        "GET",
        f"/v1/jobs/{segment(job_id)}",
        query={"wait": None if wait_s is None else f"{wait_s:g}"},
        headers={"If-None-Match": etag} if etag else None,
        wait_s=wait_s or 0.0,
    )
    if response.status == 304:
        return None
    return Job.from_record(json_object(response), response.headers.get("ETag"))


def wait_for_job(
    transport: Transport,
    job_id: str,
    *,
    timeout_s: float | None,
    patience_s: float,
    on_change: Callable[[Job], None] | None,
) -> Job:
    """Wait for a job; return it in its final state.

    `timeout_s` is None for no limit; `patience_s` is the longest absence of the service, for a restart, before that is
    an error. `on_change` is called with the job now and whenever it has changed.

    Raises:
        StillRunningError: the time is over; the job goes on.
        ConnectionFailedError: the service stayed away.
    """
    ends_at = None if timeout_s is None else time.monotonic() + timeout_s
    answered_at = time.monotonic()
    known: Job | None = None
    while True:
        asked_at = time.monotonic()
        try:
            job = _next_state(transport, job_id, known, ends_at)
        except (ConnectionFailedError, ServiceError) as error:
            if known is None or not error.retryable or time.monotonic() - answered_at > patience_s:
                raise
            time.sleep(_LEAST_POLL_S)
            continue
        answered_at = time.monotonic()
        if known is None or job != known:
            if on_change:
                on_change(job)
        elif answered_at - asked_at < _LEAST_POLL_S:
            # Something between answers at once although asked to wait: do not ask without pause.
            time.sleep(_LEAST_POLL_S)
        known = job
        if job.is_final:
            return job
        if ends_at is not None and time.monotonic() >= ends_at:
            raise StillRunningError(
                job, f"job {job.id} is still {job.state} after {timeout_s:g} s; it goes on"
            )


def _next_state(transport: Transport, job_id: str, known: Job | None, ends_at: float | None) -> Job:
    """Return the job after at most one long poll."""
    job = None
    if known is not None:
        longest = QUEUED_POLL_S if known.state == "queued" else LONGEST_POLL_S
        wait_s = longest if ends_at is None else min(longest, max(ends_at - time.monotonic(), 0.0))
        job = fetch_job(transport, job_id, known, wait_s)
    if job is None:
        job = fetch_job(transport, job_id)
    assert job is not None, "asked without an ETag, a service does not answer 304"
    return job

"""What must hold when the dust has settled, read from the records themselves."""

from typing import Any

from hxserve.jobs import Job
from services.jobs.record import JobState
from services.jobs.store import JobStore
from tests.services.samples import events_of
from tests.system.chaos.service import Service
from tests.system.chaos.stream import Tally

_FINAL = {state.value for state in JobState if state.is_final}


def assert_nothing_lost(service: Service, tally: Tally | None = None) -> int:
    """Fails unless each job ended in exactly one final state, and each crop got one answer, the right one.

    Returns:
        The number of jobs looked at.
    """
    if tally is not None:
        assert tally.wrong == []
        assert tally.answered == tally.sent
    with service.connection() as connection:
        jobs = JobStore(connection, keep_jobs_s=3600)
        service.until(lambda: not jobs.unfinished(), "the last job's end")
        ids = [job_id for _, job_id in jobs.newest(before=None, count=100_000)]
        for job in jobs.get_many(ids):
            ends = [
                event["state"]
                for _, _, event in events_of(jobs, job.id)
                if event["type"] == "state" and event["state"] in _FINAL
            ]
            if not ends and not jobs.get_many([job.id]):
                continue  # its record has expired meanwhile
            assert ends == [job.state], f"job {job.id} ended so: {ends}, and is {job.state}"
        client: Any = connection.client
        service.until(lambda: client.scard("hx:crops:lanes") == 0, "the last crop's answer")
        assert client.hlen("hx:crops:waiting") == 0
    return len(ids)


def weights_of(job: Job) -> str:
    """The digest of what a training learnt."""
    assert job.result is not None, job.summary
    return str(job.result["weights_sha256"])

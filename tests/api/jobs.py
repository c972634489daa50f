"""Jobs for tests of the API: submitted, and changed as a worker changes them."""

from dataclasses import replace
from typing import Any

from flask.testing import FlaskClient

from api.application import Application
from services.chips.store import Lease
from services.jobs.acceptance import Idempotency
from services.jobs.record import JobKind, JobState
from tests.services.samples import PLENTY, a_job

TRAINING = {"kind": "training", "model": "digits", "params": {"epochs": 2}}
BETTER = {"both_right": 9600, "only_candidate": 100, "only_present": 50, "both_wrong": 250}
"""The paired table of a comparison whose candidate is better."""


def submit_training(client: FlaskClient, **changes: Any) -> dict[str, Any]:
    response = client.post("/v1/jobs", json=TRAINING | changes)
    assert response.status_code == 202, response.get_data(as_text=True)
    job: dict[str, Any] = response.get_json()
    return job


def change_job(application: Application, lease: Lease, job_id: str, **fields: Any) -> None:
    kind = "state" if "state" in fields else "progress"
    application.jobs.change(
        application.jobs.get(job_id),
        lease=lease,
        allowed=(JobState.QUEUED, JobState.RUNNING),
        event={"type": kind, **fields},
        **fields,
    )


def record_comparison(
    application: Application,
    lease: Lease,
    table: dict[str, int],
    version: str = "2",
    against: str = "1",
    user: str = "admin",
    **params: Any,
) -> str:
    """Record a comparison of versions of `digits` that has succeeded with a paired table; return its id."""
    job = replace(
        a_job(JobKind.COMPARISON, user),
        params={"version": version, "against": against, "execution": None, **params},
    )
    application.jobs.submit(job, Idempotency(), most=PLENTY)
    crops = sum(table.values())
    candidate, present = (table["both_right"] + table[side] for side in ("only_candidate", "only_present"))
    result = {
        "version": version,
        "against": against,
        "dataset": "mnist",
        "crops": crops,
        "repeats": 8,
        "candidate": {"accuracy": candidate / crops},
        "present": {"accuracy": present / crops},
        "table": table,
        "difference": (candidate - present) / crops,
        "difference_interval": [0.0, 0.0],
        "p_value": 0.5,
    }
    change_job(application, lease, job.id, state=JobState.RUNNING)
    change_job(application, lease, job.id, state=JobState.SUCCEEDED, result=result)
    return job.id

"""Jobs for tests of the API: submitted, and changed as a worker changes them."""

from typing import Any

from flask.testing import FlaskClient

from api.application import Application
from services.chips.store import Lease
from services.jobs.record import JobState

TRAINING = {"kind": "training", "model": "digits", "params": {"epochs": 2}}


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

"""Worker, API and Redis are killed during a batch job: each crop is answered exactly once, and rightly."""

from contextlib import suppress
from pathlib import Path
from random import Random

import numpy as np
import pytest

from hxserve import Client
from hxserve.errors import ClientError
from hxserve.jobs import Job
from tests.system.chaos.conftest import Extent, Summary
from tests.system.chaos.service import Service
from tests.system.chaos.stream import Crops
from tests.system.chaos.verification import assert_nothing_lost

pytestmark = pytest.mark.long

CROPS = 15_000
"""For each kill."""
READINGS = 16
"""Of each crop, so that the job takes longer than a process that starts again."""
PROCESSES = ("worker", "api", "worker", "redis")


def test_each_crop_of_a_batch_job_is_answered_once_whatever_is_killed(
    service: Service,
    client: Client,
    crops: Crops,
    extent: Extent,
    randomly: Random,
    summary: Summary,
    tmp_path: Path,
) -> None:
    kills = len(PROCESSES) * (5 if extent.kills > 1 else 1)
    order = np.random.default_rng(randomly.randrange(2**32)).integers(0, len(crops.images), CROPS * kills)
    np.save(tmp_path / "crops.npy", crops.images[order])
    job = client.batches.submit(tmp_path / "crops.npy", crops.model, crops.version, repeats=READINGS)

    hit = 0
    for number in range(kills):
        hit += _has_come_to(service, job, (number + randomly.uniform(0.1, 0.6)) / kills)
        service.kill(PROCESSES[number % len(PROCESSES)])
    ended = service.ended(job)

    summary.note(hit, jobs=assert_nothing_lost(service))
    assert ended.state == "succeeded", ended.problem
    assert hit >= kills - 1  # how far it is becomes known twice a second
    assert (ended.result["answered"], ended.result["unreadable"]) == (len(order), 0)
    with np.load(client.batches.download(job, tmp_path / "answers.npz")) as answers:
        assert np.array_equal(answers["scores"], np.array(crops.scores, np.int8)[order])
        calls = answers["calls"]
        assert np.array_equal(np.unique(calls), np.arange(ended.result["calls"]))
        assert (np.diff(calls.astype(int)) >= 0).all()
        assert answers["call_s"].shape == (ended.result["calls"],)


def _has_come_to(service: Service, job: Job, progress: float) -> bool:
    """Wait until a job has come so far; return whether it goes on."""
    with Client(service.local.url, service.local.token, retries=0) as client:
        seen = [job]

        def has_come() -> bool:
            with suppress(ClientError):
                seen.append(client.job(job.id))
            return seen[-1].is_final or seen[-1].progress >= progress

        service.until(has_come, f"{progress:.0%} of {job.summary}")
        return not seen[-1].is_final

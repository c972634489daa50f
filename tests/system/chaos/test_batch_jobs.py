"""Worker, API and Redis are killed during a batch job: each crop is answered exactly once, and rightly."""

from pathlib import Path
from random import Random

import numpy as np
import pytest

from hxserve import Client
from tests.system.chaos.conftest import Extent, Summary
from tests.system.chaos.service import Service
from tests.system.chaos.stream import Crops
from tests.system.chaos.verification import assert_nothing_lost

pytestmark = pytest.mark.long

CROPS = 40_000
"""For each kill, so that most of them come while the job runs."""
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
    job = client.batches.submit(tmp_path / "crops.npy", crops.model, crops.version)

    hit = 0
    for number in range(kills):
        service.let_pass(randomly.uniform(0.2, 1.5))
        hit += not client.job(job.id).is_final
        service.kill(PROCESSES[number % len(PROCESSES)])
    ended = service.ended(job)

    summary.note(hit, jobs=assert_nothing_lost(service))
    assert ended.state == "succeeded", ended.problem
    assert hit > kills / 2
    assert (ended.result["answered"], ended.result["unreadable"]) == (len(order), 0)
    with np.load(client.batches.download(job, tmp_path / "answers.npz")) as answers:
        assert np.array_equal(answers["scores"], np.array(crops.scores, np.int8)[order])
        calls = answers["calls"]
        assert np.array_equal(np.unique(calls), np.arange(ended.result["calls"]))
        assert (np.diff(calls.astype(int)) >= 0).all()
        assert answers["call_s"].shape == (ended.result["calls"],)

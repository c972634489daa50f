from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice

import numpy as np
import pytest
from numpy.typing import NDArray

from deploy.local import Local
from hxserve import Client
from hxserve.jobs import Job
from tests.system.conftest import MODEL, TRAINING, kill_worker, wait_until

Digits = tuple[NDArray[np.uint8], NDArray[np.int64]]


def test_a_training_whose_worker_is_killed_ends_with_the_same_weights(
    local: Local, client: Client, trained: Job
) -> None:
    job = client.train("killed", **TRAINING)
    for attempt, progress in ((1, 0.1), (2, 0.4)):
        wait_until(lambda at=(attempt, progress): _is_beyond(client.job(job.id), *at))  # type: ignore[misc] # a default
        kill_worker(local)

    finished = client.wait(job.id)

    assert finished.state == "succeeded"
    assert finished.record["attempts"] == 3
    assert finished.result is not None
    assert trained.result is not None
    assert finished.result["weights_sha256"] == trained.result["weights_sha256"]


@pytest.mark.usefixtures("trained")
def test_crops_whose_worker_is_killed_are_all_answered(
    local: Local, client: Client, test_digits: Digits
) -> None:
    clear = _clear_crops(client, test_digits)
    crops = list(islice(cycle(clear), 300))
    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(client.classify, crop, MODEL) for crop, _ in crops]
        wait_until(lambda: sum(answer.done() for answer in answers) > 100)
        kill_worker(local)

        read = [answer.result().digits for answer in answers]

    assert read == [[digit] for _, digit in crops]


@pytest.mark.usefixtures("trained")
def test_crops_of_one_large_job_are_answered_once_each_though_the_worker_is_killed(
    local: Local, client: Client, test_digits: Digits
) -> None:
    clear = _clear_crops(client, test_digits)
    crops = np.stack([crop for crop, _ in islice(cycle(clear), 12_000)])
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(client.classify, crops, MODEL)
        wait_until(lambda: any(job.progress > 0 for job in client.jobs(kind="classification", limit=3)))
        kill_worker(local)

        read = answer.result().digits

    assert read == [digit for _, digit in islice(cycle(clear), 12_000)]


def _is_beyond(job: Job, attempt: int, progress: float) -> bool:
    return bool(job.record["attempts"] == attempt and job.progress > progress)


def _clear_crops(client: Client, test_digits: Digits) -> list[tuple[NDArray[np.uint8], int]]:
    """Crops that are read the same whatever the noise, with what is read in them."""
    crops = test_digits[0]
    sure = [client.classify(crops, MODEL) for _ in range(3)]
    clear = [
        (crops[i], sure[0].digits[i])
        for i in range(len(crops))
        if len({s.digits[i] for s in sure}) == 1 and min(s.confidences[i] for s in sure) > 0.99
    ]
    assert len(clear) > 50
    return clear

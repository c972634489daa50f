"""API, Redis and worker are killed while jobs end: each end is delivered at least once, and nothing else is."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from random import Random

import pytest

from hxserve import Client
from hxserve.jobs import Job
from hxserve.webhooks import verify
from tests.services.webhooks.receiver import Receiver, open_receiver
from tests.system.chaos.conftest import Extent, Summary, training_of
from tests.system.chaos.service import Service
from tests.system.chaos.verification import assert_nothing_lost

pytestmark = pytest.mark.long

JOBS = 6
"""Between two kills; every third is cancelled."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver that fails now and then."""
    with open_receiver() as receiver:
        receiver.answers = [500, 200, 200, 503]
        yield receiver


def _submit(service: Service, model: str, version: str) -> list[Job]:
    """Evaluations that have ended, of which some were cancelled."""
    with service.client() as client:
        jobs = [client.evaluate(model, version, dataset="digits", execution="float32") for _ in range(JOBS)]
        for job in jobs[::3]:
            client.cancel(job)
        return [client.wait(job) for job in jobs]


def _told(receiver: Receiver, secret: str) -> dict[str, tuple[str, str]]:
    """The event and the id of the message by job, of all that was received."""
    told: dict[str, tuple[str, str]] = {}
    for received in list(receiver.received):
        message = verify(secret, received.headers, received.body, tolerance_s=600)
        fact = message["type"], received.headers["webhook-id"]
        assert told.setdefault(message["data"]["id"], fact) == fact
        assert message["type"] == f"job.{message['data']['state']}"
    return told


@pytest.mark.parametrize("process", ["api", "redis", "worker"])
def test_each_end_is_delivered_whatever_is_killed(
    service: Service,
    client: Client,
    undisturbed: Job,
    extent: Extent,
    randomly: Random,
    summary: Summary,
    receiver: Receiver,
    process: str,
) -> None:
    assert undisturbed.result
    version = str(undisturbed.result["version"])
    hook = client.webhooks.add(receiver.url)
    ended: list[Job] = []
    for _ in range(extent.kills):
        with ThreadPoolExecutor(1) as pool:
            jobs = pool.submit(_submit, service, undisturbed.model, version)
            service.let_pass(randomly.uniform(0.0, 2.0))
            service.kill(process)
            service.until(jobs.done, "the end of the jobs")
            ended += jobs.result()
    running = client.train(f"unfinished-{process}", **training_of(extent) | {"epochs": 200})

    service.until(
        lambda: _told(receiver, hook["secret"]).keys() >= {job.id for job in ended}, "the deliveries"
    )

    expected = {job.id: (f"job.{job.state}", f"{job.id}-{hook['id']}") for job in ended}
    assert _told(receiver, hook["secret"]) == expected
    service.until(
        lambda: all(each["state"] == "delivered" for each in client.webhooks.deliveries(hook["id"])),
        "the word that all is delivered",
    )
    assert len(list(client.webhooks.deliveries(hook["id"]))) == len(ended)
    client.webhooks.delete(hook["id"])
    client.cancel(running)
    summary.note(extent.kills, jobs=assert_nothing_lost(service))

"""The asynchronous client has what the client has, and cancelling leaves it usable."""

import asyncio
import inspect
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from hxserve import AsyncClient, AsyncJob, Client, JobFailedError, Predictions, ServiceError
from hxserve.asynchronous import AsyncModel, AsyncVersion
from hxserve.jobs import Job
from hxserve.registry import Model, Version
from tests.client.records import JOB_ID, job_record, trained
from tests.client.service import TOKEN, Reply, Service

CROP = np.zeros((28, 28), np.uint8)
Use = Callable[[AsyncClient], Coroutine[Any, Any, Any]]


def run(service: Service, use: Use, **settings: Any) -> Any:
    """Use a client of the service in an event loop, of a thread that has no other: Playwright's is in the main one."""

    async def main() -> Any:
        async with AsyncClient(service.url, TOKEN, backoff_s=0.0, **settings) as client:
            return await asyncio.wait_for(use(client), 30)

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(main())).result()


def _public(kind: type) -> set[str]:
    return {name for name in dir(kind) if not name.startswith("_")}


@pytest.mark.parametrize(
    ("sync", "asynchronous"),
    [
        (Client, AsyncClient),
        (Job, AsyncJob),
        (Model, AsyncModel),
        (Version, AsyncVersion),
    ],
)
def test_the_asynchronous_client_has_every_method(sync: type, asynchronous: type) -> None:
    assert _public(sync) - {"client", "name", "model", "number"} <= _public(asynchronous) | {"client"}


def test_every_part_of_the_client_has_every_method(client: Client) -> None:
    parts = {name: part for name, part in vars(client).items() if not name.startswith("_")}
    awaited = vars(AsyncClient(client.url, TOKEN))

    assert set(parts) <= set(awaited)
    for name in set(parts) - {"models"}:  # a mapping, whose items are tested above
        assert _public(type(parts[name])) <= _public(type(awaited[name])), name


def test_a_method_has_its_name_and_its_docstring() -> None:
    assert AsyncClient.train.__doc__ == Client.train.__doc__
    assert inspect.unwrap(AsyncClient.classify) is Client.classify  # type: ignore[arg-type] # as help() does


def test_a_job_is_trained_waited_for_and_read(service: Service) -> None:
    service.jobs = deque([job_record("queued"), job_record("running", 2), trained()])
    seen: list[str] = []

    async def use(client: AsyncClient) -> None:
        job = await client.train("digits", "strong", 2)
        assert isinstance(job, AsyncJob)
        assert not job.result
        waited = await job.wait(on_change=lambda each: seen.append(each.state))
        assert waited is job
        assert (await job.result())["accuracy"] == job.result["accuracy"] == 0.98

    run(service, use)

    assert seen == ["queued", "running", "succeeded"]


def test_many_crops_are_read_at_a_time(service: Service) -> None:
    async def use(client: AsyncClient) -> list[Predictions]:
        version = client.models["digits"]["production"]
        return await asyncio.gather(*(version.classify(CROP) for _ in range(50)))

    assert [predictions.digits for predictions in run(service, use, threads=8)] == [[0]] * 50


def test_lists_are_yielded(service: Service) -> None:
    async def use(client: AsyncClient) -> list[AsyncJob]:
        return [job async for job in client.jobs()]

    finished, queued = run(service, use)

    assert (finished.state, queued.state) == ("succeeded", "queued")
    assert isinstance(finished, AsyncJob)


def test_parts_of_the_client_are_awaited_too(service: Service) -> None:
    async def use(client: AsyncClient) -> tuple[Any, ...]:
        model = client.models["digits"]
        return (
            await client.datasets.list(),
            (await client.users.show("ada"))["name"],
            [await version.accuracy() for version in await model.versions()],
            [each["name"] for each in await client.models()],
        )

    datasets, user, accuracies, models = run(service, use)

    assert [each["name"] for each in datasets] == ["mine", "broken"]
    assert (user, accuracies, models) == ("ada", [0.98], ["digits", "ada~letters"])


def test_errors_are_those_of_the_client(service: Service) -> None:
    service.jobs[0] = job_record("failed", error={"code": "chip_failed", "message": "no link"})

    async def use(client: AsyncClient) -> None:
        with pytest.raises(JobFailedError, match="no link"):
            await (await client.job(JOB_ID)).result()
        with pytest.raises(ServiceError, match="not_found"):
            await client.model("letterz")

    run(service, use)


class _Gate:
    """An answer that is given when it is opened."""

    def __init__(self) -> None:
        self.asked, self.open = threading.Event(), threading.Event()

    def reply(self) -> Reply:
        self.asked.set()
        assert self.open.wait(30)
        return Reply(document={"models": []})


def test_a_cancelled_call_leaves_the_client_usable_and_sends_nothing_more(service: Service) -> None:
    gate = _Gate()
    planned = service._planned
    service._planned = lambda request: (  # type: ignore[method-assign] # an answer that waits
        gate.reply() if request.path == "/v1/models" and not gate.open.is_set() else planned(request)
    )

    async def use(client: AsyncClient) -> None:
        waiting = asyncio.create_task(client.list_models())
        await asyncio.to_thread(gate.asked.wait, 30)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        gate.open.set()
        assert len(await client.list_models()) == 2
        assert (await client.classify(CROP)).digits == [0]

    run(service, use, threads=1)


def test_a_cancelled_wait_leaves_the_job_alone_and_ends_its_thread(service: Service) -> None:
    service.jobs[0] = job_record("running")
    before = {thread.ident for thread in threading.enumerate()}

    async def use(client: AsyncClient) -> None:
        job = await client.train()
        waiting = asyncio.create_task(job.wait())
        while not any("wait" in request.query for request in service.requests):
            await asyncio.sleep(0.01)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert (await job.refresh()).state == "running"

    run(service, use)
    end = time.monotonic() + 20
    while any(t.name == "hxserve" and t.ident not in before for t in threading.enumerate()):
        assert time.monotonic() < end
        time.sleep(0.05)

    assert not service.asked("POST", f"/v1/jobs/{JOB_ID}/cancel")

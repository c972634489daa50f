"""The asynchronous client: the methods of the client, with the same names, arguments and types, as coroutines."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from typing import Any, Self, TypedDict, Unpack

from hxserve.awaiting import AsyncJob, awaited, same, streamed, submitted
from hxserve.batches import Batches
from hxserve.classes import Classes
from hxserve.client import Client
from hxserve.datasets import Datasets
from hxserve.desk import Desk
from hxserve.letter_orders import LetterOrders
from hxserve.registry import Model, Version
from hxserve.threads import Threads
from hxserve.users import Users
from hxserve.webhooks import Webhooks


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of the client."""

    sync: Any
    root: AsyncClient


class AsyncUsers(_Part):
    """Managing users: `client.users`."""

    list = awaited(Users.list)
    show = awaited(Users.show)
    add = awaited(Users.add)
    change = awaited(Users.change)
    issue_token = awaited(Users.issue_token)
    revoke_tokens = awaited(Users.revoke_tokens)


class AsyncDatasets(_Part):
    """Data sets of one's own digits: `client.datasets`."""

    list = awaited(Datasets.list)
    show = awaited(Datasets.show)
    add = submitted(Datasets.add)
    share = awaited(Datasets.share)
    unshare = awaited(Datasets.unshare)
    delete = awaited(Datasets.delete)
    download = awaited(Datasets.download)
    sheet = awaited(Datasets.sheet)


class AsyncBatches(_Part):
    """Batch jobs: `client.batches`."""

    submit = submitted(Batches.submit)
    download = awaited(Batches.download)


class AsyncDesk(_Part):
    """The coding desk: `client.desk`."""

    counts = awaited(Desk.counts)
    put = awaited(Desk.put)
    claim = awaited(Desk.claim)
    key = awaited(Desk.key)
    take_back = awaited(Desk.take_back)
    collect = awaited(Desk.collect)


class AsyncLetterOrders(_Part):
    """The letter centre that admins start from the page: `client.letter_orders`."""

    show = awaited(LetterOrders.show)
    place = awaited(LetterOrders.place)
    stop = awaited(LetterOrders.stop)
    beat = awaited(LetterOrders.beat)


class AsyncWebhooks(_Part):
    """Addresses that hear of the ends of jobs: `client.webhooks`."""

    list = awaited(Webhooks.list)
    show = awaited(Webhooks.show)
    add = awaited(Webhooks.add)
    change = awaited(Webhooks.change)
    delete = awaited(Webhooks.delete)
    renew_secret = awaited(Webhooks.renew_secret)
    test = awaited(Webhooks.test)
    deliveries = streamed(Webhooks.deliveries, same)
    send_again = awaited(Webhooks.send_again)


class AsyncClasses(_Part):
    """Your classes: `client.classes`."""

    list = awaited(Classes.list)
    start = awaited(Classes.start)
    show = awaited(Classes.show)
    change = awaited(Classes.change)
    pause = awaited(Classes.pause)
    resume = awaited(Classes.resume)
    end = awaited(Classes.end)
    delete = awaited(Classes.delete)
    rename = awaited(Classes.rename)
    remove = awaited(Classes.remove)
    let_back = awaited(Classes.let_back)
    export = awaited(Classes.export)


class AsyncVersion(_Part):
    """One version of a model."""

    classify = awaited(Version.classify)
    evaluate = submitted(Version.evaluate)
    compare = submitted(Version.compare)
    staircase = submitted(Version.staircase)
    promote = awaited(Version.promote)
    download = awaited(Version.download)
    export_onnx = awaited(Version.export_onnx)
    delete = awaited(Version.delete)

    async def manifest(self) -> dict[str, Any]:
        """Return everything known of the version."""
        found: dict[str, Any] = await self.root.threads.run(lambda: self.sync.manifest)
        return found

    async def accuracy(self) -> float | None:
        """Return the accuracy on its test set, 0..1; None if it was not measured."""
        found: float | None = await self.root.threads.run(lambda: self.sync.accuracy)
        return found


class AsyncModel(_Part):
    """A model: its versions are items by number or alias."""

    classify = awaited(Model.classify)
    train = submitted(Model.train)
    history = awaited(Model.history)
    share = awaited(Model.share)
    unshare = awaited(Model.unshare)

    def __getitem__(self, version: str | int) -> AsyncVersion:
        """Return a version by its number or alias."""
        return AsyncVersion(self.sync[version], self.root)

    @property
    def latest(self) -> AsyncVersion:
        """The newest version."""
        return self["latest"]

    async def versions(self) -> list[AsyncVersion]:
        """Return all versions, the oldest first."""
        found: list[Version] = await self.root.threads.run(lambda: self.sync.versions)
        return [AsyncVersion(each, self.root) for each in found]

    async def aliases(self) -> dict[str, str]:
        """Return the numbers that aliases name."""
        found: dict[str, str] = await self.root.threads.run(lambda: self.sync.aliases)
        return found


class AsyncModels(_Part):
    """The models that one may use, by name; called and awaited, a list of dictionaries."""

    async def __call__(self) -> list[dict[str, Any]]:
        """Name, owner, version numbers and aliases of every model one may use, and whether it is shared."""
        return await self.root.list_models()

    def __getitem__(self, name: str) -> AsyncModel:
        """Return a model; the service is asked for it when it is used."""
        return AsyncModel(self.sync[name], self.root)


class Settings(TypedDict, total=False):
    """The settings of `Client` beside address and token."""

    data_dir: str | PathLike[str] | None
    timeout_s: float
    retries: int
    backoff_s: float
    patience_s: float
    maxsize: int


class AsyncClient:
    """A connection to an hxserve for programs with an event loop: `async with AsyncClient() as client`.

    It has the methods of `Client`, awaited; what they yield is for `async for`. Cancelling a task that awaits one
    leaves the client as it was; a job that was submitted goes on.

    Args:
        url: the service's address, as of `Client`.
        token: the bearer token.
        threads: most requests at a time; those that wait for jobs count.
        **settings: as of `Client`.
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        threads: int = 64,
        **settings: Unpack[Settings],
    ) -> None:
        self.sync = Client(url, token, progress=False, **settings)
        self.threads = Threads(threads)
        self.models = AsyncModels(self.sync.models, self)
        self.users = AsyncUsers(self.sync.users, self)
        self.datasets = AsyncDatasets(self.sync.datasets, self)
        self.batches = AsyncBatches(self.sync.batches, self)
        self.classes = AsyncClasses(self.sync.classes, self)
        self.desk = AsyncDesk(self.sync.desk, self)
        self.letter_orders = AsyncLetterOrders(self.sync.letter_orders, self)
        self.webhooks = AsyncWebhooks(self.sync.webhooks, self)

    @property
    def root(self) -> AsyncClient:
        """This client, as its parts have it."""
        return self

    @property
    def url(self) -> str:
        """The service's address, without the token."""
        return self.sync.url

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"AsyncClient({self.url!r})"

    submit = submitted(Client.submit)
    train = submitted(Client.train)
    calibrate_model = submitted(Client.calibrate_model)
    evaluate = submitted(Client.evaluate)
    compare = submitted(Client.compare)
    staircase = submitted(Client.staircase)
    upload = submitted(Client.upload)
    calibrate = submitted(Client.calibrate)
    job = submitted(Client.job)
    wait = submitted(Client.wait)
    cancel = submitted(Client.cancel)
    jobs = streamed(Client.jobs, AsyncJob.of)
    events = streamed(Client.events, same)
    corrections = streamed(Client.corrections, same)
    classify = awaited(Client.classify)
    promote = awaited(Client.promote)
    teach = awaited(Client.teach)
    list_models = awaited(Client.list_models)
    model = awaited(Client.model)
    download_weights = awaited(Client.download_weights)
    export_onnx = awaited(Client.export_onnx)
    set_alias = awaited(Client.set_alias)
    delete_alias = awaited(Client.delete_alias)
    delete_version = awaited(Client.delete_version)
    share = awaited(Client.share)
    unshare = awaited(Client.unshare)
    history = awaited(Client.history)
    rollback = awaited(Client.rollback)
    rollout = awaited(Client.rollout)
    show_rollout = awaited(Client.show_rollout)
    end_rollout = awaited(Client.end_rollout)
    chip = awaited(Client.chip)
    drain_chip = awaited(Client.drain_chip)
    resume_chip = awaited(Client.resume_chip)
    series = awaited(Client.series)
    sample = awaited(Client.sample)
    queue = awaited(Client.queue)
    statistics = awaited(Client.statistics)
    usage = awaited(Client.usage)
    me = awaited(Client.me)
    is_ready = awaited(Client.is_ready)
    tell_letters = awaited(Client.tell_letters)
    correct = awaited(Client.correct)
    delete_correction = awaited(Client.delete_correction)
    close_corrections = awaited(Client.close_corrections)
    accuracy = awaited(Client.accuracy)
    keep_answers = awaited(Client.keep_answers)
    close = awaited(Client.close)

"""Methods as coroutines and asynchronous iterators, and jobs that are awaited."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import dataclass, field, fields
from functools import update_wrapper
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Final,
    Generic,
    ParamSpec,
    Protocol,
    Self,
    TypeVar,
    overload,
)

from hxserve.errors import NotAvailableError
from hxserve.job_states import JobState
from hxserve.jobs import Job

if TYPE_CHECKING:
    from hxserve.asynchronous import AsyncClient

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
_END: Final = object()


class _Holder(Protocol):
    """An object whose methods are those of `sync`, run by `root`."""

    @property
    def sync(self) -> Any: ...
    @property
    def root(self) -> AsyncClient: ...


class _Method(Generic[P, R]):
    """A method in another form: `wrap` gives it for an object."""

    def __init__(self, method: Callable[..., Any], wrap: Callable[[_Holder], Callable[P, R]]) -> None:
        self._method, self._wrap = method, wrap
        self.__doc__, self.__wrapped__ = method.__doc__, method

    @overload
    def __get__(self, holder: None, owner: type) -> Self: ...
    @overload
    def __get__(self, holder: _Holder, owner: type) -> Callable[P, R]: ...
    def __get__(self, holder: _Holder | None, owner: type) -> Any:
        return self if holder is None else update_wrapper(self._wrap(holder), self._method)


def awaited(method: Callable[Concatenate[Any, P], T]) -> _Method[P, Coroutine[Any, Any, T]]:
    """Return a method as a coroutine."""

    def wrap(holder: _Holder) -> Callable[P, Coroutine[Any, Any, T]]:
        async def call(*args: P.args, **kwargs: P.kwargs) -> T:
            return await holder.root.threads.run(method, holder.sync, *args, **kwargs)

        return call

    return _Method(method, wrap)


def submitted(method: Callable[Concatenate[Any, P], Job]) -> _Method[P, Coroutine[Any, Any, AsyncJob]]:
    """Return a method that gives a job as a coroutine that gives an asynchronous one."""

    def wrap(holder: _Holder) -> Callable[P, Coroutine[Any, Any, AsyncJob]]:
        async def call(*args: P.args, **kwargs: P.kwargs) -> AsyncJob:
            job = await holder.root.threads.run(method, holder.sync, *args, **kwargs)
            return AsyncJob.of(job, holder.root)

        return call

    return _Method(method, wrap)


def streamed(
    method: Callable[Concatenate[Any, P], Iterator[T]], adapt: Callable[[T, AsyncClient], R]
) -> _Method[P, AsyncIterator[R]]:
    """Return a method that yields as an asynchronous iterator of what `adapt` makes of each item."""

    def wrap(holder: _Holder) -> Callable[P, AsyncIterator[R]]:
        async def call(*args: P.args, **kwargs: P.kwargs) -> AsyncIterator[R]:
            items = method(holder.sync, *args, **kwargs)
            while True:
                item: Any = await holder.root.threads.run(next, items, _END)
                if item is _END:
                    return
                yield adapt(item, holder.root)

        return call

    return _Method(method, wrap)


def same(item: T, _: AsyncClient) -> T:
    """Return an item as it is."""
    return item


class AsyncResult(dict[str, Any]):
    """The result of a job as a mapping, empty while there is none; called and awaited, it waits for the job first."""

    def __init__(self, job: AsyncJob) -> None:
        super().__init__(job.outcome or {})
        self._job = job

    async def __call__(self, *, timeout_s: float | None = None) -> Any:
        """Wait for the job and return its result: of a classification predictions, of other kinds a mapping."""
        from hxserve.classification import predictions_of  # noqa: PLC0415 only here

        job = self._job
        if not job.is_final:
            await job.wait(timeout_s=timeout_s)
        job.expect_success()
        return predictions_of(job) if job.kind == "classification" else job.result


@dataclass(slots=True, repr=False)
class AsyncJob(JobState):
    """A job whose `wait`, `refresh`, `cancel` and `result()` are awaited; otherwise as `Job`."""

    client: AsyncClient | None = field(default=None, compare=False)

    @classmethod
    def of(cls, job: JobState, client: AsyncClient) -> Self:
        """Return a job as one of the asynchronous client."""
        return cls(**{each.name: getattr(job, each.name) for each in fields(JobState)}, client=client)

    @property
    def result(self) -> AsyncResult:
        """The result as a mapping, empty while there is none; `await job.result()` waits for it."""
        return AsyncResult(self)

    async def wait(
        self, *, timeout_s: float | None = None, on_change: Callable[[Job], None] | None = None
    ) -> Self:
        """Wait until the job has ended, in whichever state, and return it."""
        self.adopt(await self._bound().wait(self.id, timeout_s=timeout_s, on_change=on_change))
        return self

    async def refresh(self) -> Self:
        """Fetch the present state and return the job."""
        self.adopt(await self._bound().job(self.id))
        return self

    async def cancel(self) -> Self:
        """Cancel the job and return it."""
        self.adopt(await self._bound().cancel(self.id))
        return self

    def _bound(self) -> AsyncClient:
        if self.client is None:
            raise NotAvailableError("this job came without its client; use `await client.wait(job)`")
        return self.client

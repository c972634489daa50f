"""Calls: whose they are, how their crops are answered, and what becomes of those whose clients wait no longer."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any, Final, ParamSpec, TypeVar

from api.application import Application
from api.authentication import Authenticator
from api.crops.dropping import conclude_or_drop
from services.crops.requests import Answered, CropRequest, PendingAnswer
from services.errors import HxserveError
from services.tracing.traces import carried
from services.users.authentication import User

_THREADS: Final = 64
"""Look-ups in Redis, and requests that are dropped, at a time; each waits for Redis most of the time."""
_NO_COOKIES: Final[Mapping[str, str]] = {}
_LEAST_WAIT_S: Final = 0.001

P = ParamSpec("P")
R = TypeVar("R")


class Call:
    """A call as authentication reads it; its `headers` are its metadata, named in lower case."""

    method: Final = "POST"
    host: Final = ""
    cookies: Final = _NO_COOKIES

    def __init__(self, context: Any) -> None:
        self.context: Final = context
        self.headers: Final[Mapping[str, str]] = dict(context.invocation_metadata())


class Calls:
    """Runs the calls of one process in its event loop, and all that waits for Redis in threads."""

    def __init__(self, services: Application, authenticator: Authenticator) -> None:
        self.services: Final = services
        self._authenticator = authenticator
        self._loop = asyncio.get_running_loop()
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="look-up")
        self._known: deque[asyncio.Future[None]] = deque()
        """Requests whose outcome is known; they are told in the event loop."""
        self._is_told = False

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def in_thread(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[R]:
        """Return what a function returns that may wait for Redis or the disk."""
        return self._loop.run_in_executor(self._threads, partial(function, *args, **kwargs))

    async def user_of(self, call: Call) -> User:
        """Return the user whose token came with a call, which is counted.

        Raises:
            NotAuthenticatedError: none came, or it opens nothing.
            QuotaExceededError: the user has sent too many requests lately.
        """
        user = self._authenticator.known_user(call)
        if user is None:
            return await self.in_thread(self._authenticator.user_of, call)
        self._authenticator.admit(user)
        return user

    async def answer(self, asked: CropRequest, call: Call) -> Answered:
        """Return the answers to a request.

        When the deadline of its call passes, or the call is cancelled, its crops are not run any more; except for one
        with an idempotency key, whose client may call again to have the answer.

        Raises:
            HxserveError: it was refused, or could not be run.
        """
        left_s, has_key = call.context.time_remaining(), bool(asked.idempotency.key)
        if left_s is not None and not has_key:
            asked.wait_s = max(min(asked.wait_s, left_s), _LEAST_WAIT_S)
        asked.trace = carried()
        until = time.monotonic() + asked.wait_s
        classifications, done = self.services.classifications, self._loop.create_future()
        lane = classifications.known_lane(asked)
        if lane is not None:
            pending = classifications.submit(asked, partial(self._note, done), lane)
        else:
            pending = await self._submit_in_thread(asked, done, is_dropped=not has_key)
        try:
            async with asyncio.timeout(until - time.monotonic()):
                await done
        except TimeoutError:
            return await self.in_thread(conclude_or_drop, self.services, pending)
        except asyncio.CancelledError:
            if not has_key:
                self._threads.submit(self._drop, pending)
            raise
        if pending.is_job:
            left_s = max(0.0, until - time.monotonic())
            return await self.in_thread(conclude_or_drop, self.services, pending, left_s)
        outcome = pending.outcome()
        assert isinstance(outcome, Answered)  # it is no job
        return outcome

    async def _submit_in_thread(
        self, asked: CropRequest, done: "asyncio.Future[None]", *, is_dropped: bool
    ) -> PendingAnswer:
        """Submit a request for whose lane Redis is asked; `is_dropped` if its call is cancelled meanwhile."""
        submit = partial(self.services.classifications.submit, asked, partial(self._note, done))
        submitted = self._threads.submit(submit)
        try:
            return await asyncio.shield(asyncio.wrap_future(submitted))
        except asyncio.CancelledError:
            if is_dropped:
                self._threads.submit(lambda: self._drop(submitted.result()))
            raise

    def _note(self, done: "asyncio.Future[None]", _: PendingAnswer) -> None:
        """Note that the outcome of a request is known; any thread calls this, and wakes the loop once for many."""
        self._known.append(done)
        if not self._is_told:
            self._is_told = True
            with suppress(RuntimeError):  # the loop has ended: nobody waits any more
                self._loop.call_soon_threadsafe(self._tell)

    def _tell(self) -> None:
        self._is_told = False
        while self._known:
            done = self._known.popleft()
            if not done.done():
                done.set_result(None)

    def _drop(self, pending: PendingAnswer) -> None:
        with suppress(HxserveError):  # nobody hears the refusal
            conclude_or_drop(self.services, pending)

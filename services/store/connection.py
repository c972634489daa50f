"""A connection to Redis, its scripts, and what its errors mean to us."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from importlib import resources
from typing import Any, Final

import redis
import redis.exceptions
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from services.errors import HxserveError, LeaseLostError, RedisUnavailableError

OLDEST_REDIS: Final = (6, 2)

_CANNOT_NOW: Final = (
    redis.exceptions.OutOfMemoryError,
    redis.exceptions.ReadOnlyError,
    redis.exceptions.BusyLoadingError,
)
_SAYS_CANNOT_NOW: Final = re.compile(r"\b(OOM|MISCONF|READONLY|LOADING|BUSY|NOAUTH|NOPERM|WRONGPASS)\b")
"""As Redis says it inside the error of a script, where redis-py has no class for it."""


@contextmanager
def translated_errors() -> Iterator[None]:
    """Turns what redis-py raises into our errors; no Redis error passes this door."""
    try:
        yield
    except redis.RedisError as error:
        said = str(error)
        if "LEASELOST" in said:
            raise LeaseLostError from None
        if isinstance(error, _CANNOT_NOW) or _SAYS_CANNOT_NOW.search(said):
            raise RedisUnavailableError(
                f"Redis cannot take this now ({type(error).__name__}: {said})"
            ) from error
        if isinstance(error, redis.ResponseError):
            raise HxserveError(f"Redis refused a command ({said})") from error
        raise RedisUnavailableError(f"Redis does not answer ({said})") from error


class Connection:
    """Redis as this process sees it: a pool of connections and the scripts, each one atomic step."""

    def __init__(
        self, url: str, *, retries: int = 3, max_connections: int = 1024, timeout_s: float = 10
    ) -> None:
        self._client = redis.Redis.from_url(
            url,
            max_connections=max_connections,
            socket_timeout=timeout_s,
            socket_connect_timeout=5,
            **({} if url.startswith("unix://") else {"socket_keepalive": True}),
            health_check_interval=15,
            retry=Retry(ExponentialBackoff(cap=0.5, base=0.02), retries),
        )
        self._scripts: dict[str, Any] = {}

    @property
    def client(self) -> redis.Redis:
        """The plain client, for single commands inside `services/store`."""
        return self._client

    def run(self, script: str, *arguments: str | bytes | float) -> Any:
        """The answer of a script of `services/store/lua`.

        Raises:
            LeaseLostError: if the script needs a lease that this worker no longer holds.
            RedisUnavailableError: if Redis does not answer.
        """
        registered = self._scripts.get(script)
        if registered is None:
            registered = self._scripts[script] = self._client.register_script(
                self._prelude + lua_source(f"{script}.lua")
            )
        with translated_errors():
            return registered(args=arguments)

    @cached_property
    def _prelude(self) -> str:
        return lua_source("prelude.lua")

    def check(self) -> None:
        """Does nothing if Redis answers and is new enough.

        Raises:
            RedisUnavailableError: if it does not answer, or is older than 6.2.
        """
        with translated_errors():
            version = str(self._client.info("server")["redis_version"])
        if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_REDIS:
            raise RedisUnavailableError(f"Redis is {version}; hxserve needs 6.2 or newer")

    def load_users(self) -> None:
        """Lets Redis read its file of users again; it may close the connections of all users.

        Raises:
            HxserveError: Redis has no such file, or refuses what is in it.
            RedisUnavailableError: if it does not answer.
        """
        with translated_errors():
            self._client.acl_load()

    def memory(self) -> tuple[int, int]:
        """Bytes that Redis uses, and may use; 0 for as many as there are."""
        with translated_errors():
            told: Any = self._client.info("memory")
        return int(told["used_memory"]), int(told["maxmemory"])

    def close(self) -> None:
        """Closes all connections."""
        self._client.close()


def lua_source(name: str) -> str:
    """The text of a script."""
    return resources.files("services.store").joinpath("lua", name).read_text("utf-8")


def pairs(flat: Sequence[bytes]) -> dict[bytes, bytes]:
    """A flat list of names and values, as scripts return hashes, as a dictionary."""
    return dict(zip(flat[::2], flat[1::2], strict=True))

"""A connection to Redis, and the translation of its errors."""

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import msgpack
import redis
import redis.exceptions
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from services.errors import HxserveError, LeaseLostError, RedisUnavailableError
from services.store.scripts import digest_of, source_of

OLDEST_REDIS: Final = (6, 2)

_CANNOT_NOW: Final = (
    redis.exceptions.OutOfMemoryError,
    redis.exceptions.ReadOnlyError,
    redis.exceptions.BusyLoadingError,
)
_SAYS_CANNOT_NOW: Final = re.compile(r"\b(OOM|MISCONF|READONLY|LOADING|BUSY|NOAUTH|NOPERM|WRONGPASS)\b")
"""As Redis says it inside the error of a script, where redis-py has no class for it."""

_LOOK_AFTER_S: Final = 0.1


@contextmanager
def translated_errors() -> Iterator[None]:
    """Translate the exceptions of redis-py into our errors."""
    try:
        yield
    except redis.RedisError as error:
        raise _ours(error) from error


def _ours(error: redis.RedisError) -> HxserveError:
    said = str(error)
    if "LEASELOST" in said:
        return LeaseLostError()
    if isinstance(error, _CANNOT_NOW) or _SAYS_CANNOT_NOW.search(said):
        return RedisUnavailableError(f"Redis cannot take this now ({type(error).__name__}: {said})")
    if isinstance(error, redis.ResponseError):
        return HxserveError(f"Redis refused a command ({said})")
    return RedisUnavailableError(f"Redis does not answer ({said})")


class _UnixConnection(redis.UnixDomainSocketConnection):
    """A connection that may fail its health check: redis-py 8.1 then asks for a port, which such a socket lacks."""

    port = None


class _Pipeline(redis.client.Pipeline):
    """Commands sent together, whose errors are ours."""

    def execute(self, raise_on_error: bool = True) -> list[Any]:
        with translated_errors():
            return super().execute(raise_on_error)


class _Client(redis.Redis):
    """A client whose errors are ours."""

    def execute_command(self, *args: Any, **options: Any) -> Any:
        with translated_errors():
            return super().execute_command(*args, **options)  # type: ignore[no-untyped-call] # untyped in redis-py

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> _Pipeline:
        return _Pipeline(self.connection_pool, self.response_callbacks, transaction, shard_hint)


class Connection:
    """The connection of this process to Redis: a pool of connections and the scripts, each one atomic step."""

    def __init__(
        self, url: str, *, retries: int = 3, max_connections: int = 1024, timeout_s: float = 10
    ) -> None:
        self._client: redis.Redis = _Client.from_url(
            url,
            protocol=2,
            max_connections=max_connections,
            socket_timeout=timeout_s,
            socket_connect_timeout=5,
            **({} if url.startswith("unix://") else {"socket_keepalive": True}),
            health_check_interval=15,
            retry=Retry(ExponentialBackoff(cap=0.5, base=0.02), retries),
        )
        if url.startswith("unix://"):
            self._client.connection_pool.connection_class = _UnixConnection

    @property
    def client(self) -> redis.Redis:
        """The plain client, for single commands inside the stores of `services`."""
        return self._client

    def run(self, script: str, *arguments: str | bytes | float) -> Any:
        """Return the answer of a script, named by its place in `services`: `crops/claim_crops`.

        Raises:
            LeaseLostError: if the script needs a lease that this worker no longer holds.
            RedisUnavailableError: if Redis does not answer.
        """
        digest = digest_of(script)
        with translated_errors():
            try:
                answer = self._send("EVALSHA", digest, 0, *arguments)
            except redis.exceptions.NoScriptError:
                self._send("SCRIPT", "LOAD", source_of(script))
                answer = self._send("EVALSHA", digest, 0, *arguments)
        return msgpack.unpackb(answer, raw=True)

    def execute(self, *command: str | bytes | float) -> Any:
        """Return the answer to a command, as Redis gives it.

        Raises:
            RedisUnavailableError: if Redis does not answer.
        """
        with translated_errors():
            return self._send(*command)

    def _send(self, *command: str | bytes | float) -> Any:
        """Return the answer to a command; errors are those of redis-py."""
        return redis.Redis.execute_command(self._client, *command)  # type: ignore[no-untyped-call] # untyped in redis-py

    def check(self) -> None:
        """Do nothing if Redis answers and is new enough.

        Raises:
            RedisUnavailableError: if it does not answer, or is older than 6.2.
        """
        version = str(self._client.info("server")["redis_version"])
        if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_REDIS:
            raise RedisUnavailableError(f"Redis is {version}; hxserve needs 6.2 or newer")

    def is_loading(self) -> bool:
        """Return whether Redis is still loading its file."""
        try:
            self._send("PING")
        except redis.exceptions.BusyLoadingError:
            return True
        except redis.RedisError:
            pass
        return False

    def load_users(self) -> None:
        """Let Redis read its file of users again; it may close the connections of all users.

        Raises:
            HxserveError: Redis has no such file, or refuses its content.
            RedisUnavailableError: if it does not answer.
        """
        self._client.acl_load()

    def memory(self) -> tuple[int, int]:
        """Return the bytes that Redis uses, and may use; 0 means no limit."""
        told: Any = self._client.info("memory")
        return int(told["used_memory"]), int(told["maxmemory"])

    def close(self) -> None:
        """Close all connections."""
        self._client.close()


class ExclusiveConnection(Connection):
    """One connection to Redis for one busy thread: half the processor time for each script and command.

    The work of the pool's client for each command (finding a connection, checking it, counting) costs
    more than the command. All other calls still go through the pool.
    """

    def __init__(self, shared: Connection) -> None:
        """Connect when it is first used."""
        self._client = shared.client
        pool = self._client.connection_pool
        self._own: Any = pool.connection_class(
            **pool.connection_kwargs
        )  # its methods are untyped in redis-py
        self._used_at = time.monotonic()
        self._lock = threading.Lock()

    def _send(self, *command: str | bytes | float) -> Any:
        def ask() -> Any:
            self._own.send_command(*command)
            return self._own.read_response()

        with self._lock:
            self._leave_if_closed()
            answer = self._own.retry.call_with_retry(ask, self._leave)
            self._used_at = time.monotonic()
            return answer

    def _leave_if_closed(self) -> None:
        """Detect that Redis was restarted since the connection was last used."""
        if time.monotonic() - self._used_at > _LOOK_AFTER_S:
            try:
                is_spoilt = self._own.is_connected and self._own.can_read()
            except redis.ConnectionError:
                is_spoilt = True
            if is_spoilt:
                self._own.disconnect()

    def _leave(self, _error: Exception) -> None:
        self._own.disconnect()

    def close(self) -> None:
        """Close this connection."""
        self._own.disconnect()

"""Where the records of a service are, for what is done to all of them: running or stopped, embedded or elsewhere."""

import argparse
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Final, NoReturn

from deploy.local import only_one
from deploy.redis_server import redis_server
from services.errors import HxserveError, SettingsError, UnavailableError
from services.passwords import has_password
from services.settings import Settings, load_settings
from services.store.connection import Connection

INTERRUPTED: Final = 130
_LONGEST_ANSWER_S: Final = 300.0
"""All records are one answer."""

_ADMIN: Final = (
    "; reading and writing all records needs the administrator's user of Redis: set HXSERVE_REDIS_URL to "
    "redis://hxserve-admin@<host>/0 and HXSERVE_REDIS_PASSWORD_FILE to its file"
)

_FORBIDDEN: Final = re.compile("(?i)no permission|can't run|NOPERM")
"""As Redis says it, inside a script or not."""


def parser_of(command: str, description: str) -> argparse.ArgumentParser:
    """A parser with what `hxserve backup` and `hxserve restore` have in common."""
    parser = argparse.ArgumentParser(f"hxserve {command}", description=description)
    parser.add_argument("file", type=Path, metavar="FILE", help="the backup")
    parser.add_argument("--data-dir", type=Path, help="folder of models, saves and token [data]")
    parser.add_argument("--redis-url", help="the Redis of the service, unless it is the embedded one")
    parser.add_argument("--json", dest="as_json", action="store_true", help="one JSON document on stdout")
    return parser


def run(work: Callable[[Settings, bool], None], options: argparse.Namespace) -> int:
    """Does `work` with the settings and whether Redis is another one than the embedded; the exit status.

    An error, and an interruption by SIGTERM or Ctrl-C, end in one line.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _interrupt)
    try:
        if has_password(options.redis_url or ""):
            raise SettingsError(
                "every user of this machine can read a password on the command line; "
                "set HXSERVE_REDIS_PASSWORD_FILE instead"
            )
        settings = load_settings(data_dir=options.data_dir, redis_url=options.redis_url)
        work(settings, options.redis_url is not None or "HXSERVE_REDIS_URL" in os.environ)
    except KeyboardInterrupt:
        print("hxserve: interrupted", file=sys.stderr)  # noqa: T201 the operator's terminal
        return INTERRUPTED
    except HxserveError as error:
        hint = _ADMIN if _FORBIDDEN.search(error.message) else ""
        print(f"hxserve: {error.code}: {error.message}{hint}", file=sys.stderr)  # noqa: T201 the operator's terminal
        return 1
    return 0


def _interrupt(number: int, frame: object) -> NoReturn:
    del number, frame
    raise KeyboardInterrupt


@contextmanager
def running_or_stopped(settings: Settings, *, use_redis: bool) -> Iterator[Connection]:
    """The records of a service, whether it runs or not: an embedded Redis that is stopped is started meanwhile.

    Raises:
        UnavailableError: there is no service in the data folder.
        RedisUnavailableError: Redis does not answer.
    """
    data = settings.data_dir.resolve()
    if use_redis:
        with _connected(settings.redis_url) as connection:
            yield connection
        return
    if not (data / "redis").is_dir():
        raise UnavailableError(
            f"{data} holds no records of an embedded Redis; choose another --data-dir, or name the service's Redis "
            "with --redis-url"
        )
    with ExitStack() as stack:
        try:
            stack.enter_context(only_one(data))
        except UnavailableError:
            url = f"unix://{data / 'redis' / 'redis.sock'}"
        else:
            url, _ = stack.enter_context(redis_server(data / "redis", data / "redis" / "redis.log"))
        yield stack.enter_context(_connected(url))


@contextmanager
def stopped(settings: Settings, *, use_redis: bool) -> Iterator[Connection]:
    """The records of a service that does not run, and cannot be started meanwhile on the same data folder.

    Raises:
        UnavailableError: it runs.
        RedisUnavailableError: Redis does not answer.
    """
    data = settings.data_dir.resolve()
    with ExitStack() as stack:
        stack.enter_context(only_one(data))
        url = settings.redis_url
        if not use_redis:
            url, _ = stack.enter_context(
                redis_server(data / "redis", data / "redis" / "redis.log", sync="always")
            )
        yield stack.enter_context(_connected(url))


@contextmanager
def _connected(url: str) -> Iterator[Connection]:
    with closing(Connection(url, retries=0, timeout_s=_LONGEST_ANSWER_S)) as connection:
        connection.check()
        yield connection

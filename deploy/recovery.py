"""The common part of `hxserve backup` and `hxserve restore`: flags, access to the records of a service, a report."""

import argparse
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from deploy.archive import BackupManifest
from deploy.command import settings_of
from deploy.local import only_one
from deploy.redis_server import redis_server
from services.errors import HxserveError, UnavailableError
from services.settings import Settings
from services.store.connection import Connection

_LONGEST_ANSWER_S: Final = 300.0
"""All records are one answer."""
_FORBIDDEN: Final = re.compile("(?i)no permission|can't run|NOPERM")
"""How Redis refuses a command, inside a script or not."""
_COUNTS: Final = {
    "users": "users",
    "models": "models",
    "versions": "versions",
    "jobs": "jobs",
    "unfinished_jobs": "unfinished long jobs",
    "saves": "saves",
    "waiting_parts_of_crops": "waiting parts of crops",
    "calibrations": "calibrations",
    "datasets": "data sets",
}


@contextmanager
def open_records(settings: Settings, *, stopped: bool = False) -> Iterator[Connection]:
    """Connect to the Redis of a service; an embedded one that does not run is started for the length of the context.

    With `stopped` the service must not run, and cannot be started on the same data folder meanwhile.

    Raises:
        UnavailableError: the data folder has no records; or the service runs although it must not.
        RedisUnavailableError: Redis does not answer.
    """
    data = settings.data_dir.resolve()
    url, folder = settings.redis_url, data / "redis"
    with _explained_refusal(), ExitStack() as stack:
        if settings.embeds_redis and not stopped and not folder.is_dir():
            raise UnavailableError(
                f"{data} holds no records of an embedded Redis; choose another --data-dir, or name the service's "
                "Redis with --redis-url"
            )
        if settings.embeds_redis or stopped:
            try:
                stack.enter_context(only_one(data))
            except UnavailableError:
                if stopped:
                    raise
                url = f"unix://{folder / 'redis.sock'}"
            else:
                if settings.embeds_redis:
                    url, _ = stack.enter_context(redis_server(folder, folder / "redis.log", sync="always"))
        connection = stack.enter_context(closing(Connection(url, retries=0, timeout_s=_LONGEST_ANSWER_S)))
        connection.check()
        yield connection


@contextmanager
def _explained_refusal() -> Iterator[None]:
    """Say which user of Redis is needed where a command is forbidden to the present one."""
    try:
        yield
    except HxserveError as error:
        if _FORBIDDEN.search(error.message):
            raise type(error)(
                f"{error.message}; reading and writing all records needs the administrator's user of Redis: set "
                "HXSERVE_REDIS_URL to redis://hxserve-admin@<host>/0 and HXSERVE_REDIS_PASSWORD_FILE to its file"
            ) from None
        raise


def parser_of(command: str, description: str) -> argparse.ArgumentParser:
    """Return a parser of the flags that both commands have."""
    parser = argparse.ArgumentParser(f"hxserve {command}", description=description)
    parser.add_argument("file", type=Path, metavar="FILE", help="the backup")
    parser.add_argument("--data-dir", help="folder of models, saves and token [data]")
    parser.add_argument("--redis-url", help="the Redis of the service, unless it is the embedded one")
    parser.add_argument("--json", dest="as_json", action="store_true", help="one JSON document on stdout")
    return parser


def settings_from(options: argparse.Namespace) -> Settings:
    """Return the settings of the service that the flags name."""
    return settings_of(data_dir=options.data_dir, redis_url=options.redis_url)


def report(manifest: BackupManifest, text: str, fields: Mapping[str, object] | None) -> None:
    """Print the contents of a backup: after `text`, or as a JSON document after `fields` if there are any."""
    if fields is None:
        print(f"{text}{_describe(manifest)}")  # noqa: T201 the output of the command
    else:
        print(json.dumps({**fields, **manifest.model_dump(exclude={"links", "folders"})}))  # noqa: T201 the same


def _describe(manifest: BackupManifest) -> str:
    taken = datetime.fromtimestamp(manifest.taken_at, UTC)
    held = ", ".join(f"{name} {manifest.counts.get(count, 0)}" for count, name in _COUNTS.items())
    return f"the service as it was at {taken:%Y-%m-%d %H:%M:%S} UTC (hxserve {manifest.hxserve}): {held}"

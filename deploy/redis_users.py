"""`python -m deploy.redis_users`: the users of a Redis that is not the embedded one, as an ACL file.

One user for the API, one for workers, one for whoever administers Redis; nobody else gets in. The two reach only the
keys of the service and only the commands it uses: none that reads or changes the server, or all keys at once.

Which commands those are changes with the code, so the file belongs to a version of it: make it anew with each.
"""

import argparse
import hashlib
import re
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from services.errors import HxserveError, RedisUnavailableError, StorageError
from services.files import write_durably
from services.passwords import read_secret, with_password
from services.store.connection import Connection, lua_source, scripts

KEYS: Final = ("hx:*", "hxserve.chip.*", "_kombu.binding*", "*.celery.pidbox*", "unacked*")
"""The store's keys, the queues of wake-ups, and what Celery's transport keeps beside them."""

_CHANNELS: Final = tuple(f"/{database}.celery.pidbox" for database in range(16))
"""By which workers are controlled, in each database: who subscribes to a pattern may do so only if it stands here."""
_ALWAYS: Final = """
    auth client|setinfo client|setname discard eval evalsha exec hello info multi ping script|exists script|load select
"""
_SINCE_7_2: Final = frozenset({"client|setinfo"})
_STORE: Final = """
    del exists expire get getex hdel hget hgetall hlen hmget hrandfield hset hvals smembers ttl xadd xlen xrange xread
    xrevrange zadd zcard zrange zrem
"""
"""What the store's Python sends itself; the scripts' commands are read from their sources."""
_SENDING: Final = "lpush sadd sismember smembers"
_RECEIVING: Final = """
    blpop brpop expire hdel hget hset llen lpush publish psubscribe punsubscribe rpush sadd smembers srem subscribe
    time unsubscribe watch unwatch zadd zrangebyscore zrem zrevrangebyscore
"""
_CALLED: Final = re.compile(r"redis\.call\('([A-Z]+)'")


_NOBODY: Final = "user default reset off ~* &* +@all"
"""Nobody can be the default user, who is off and has no password. It may do all, for as this user Redis 7 reads its
append-only file: with less it would drop every transaction in there, and so what was accepted, when it starts again.

Source: redis/redis issue 14541, valkey-io/valkey issue 3983."""


def acl_lines(api: str, worker: str, admin: str, *, redis: tuple[int, ...] = (7, 2)) -> list[str]:
    """The lines of the ACL file for these passwords, of which only hashes are written.

    `redis` is the version that reads them: 7.0 knows less than 7.2, and refuses a file with a subcommand that it does
    not know. (Older ones take any word for a subcommand.)
    """
    scripts = " ".join(sorted(_commands_of_scripts()))
    always = " ".join(set(_ALWAYS.split()) - (_SINCE_7_2 if (7, 0) <= redis < (7, 2) else set()))
    return [
        _NOBODY,
        _user("hxserve-api", api, f"{always} {_STORE} {scripts} {_SENDING}"),
        _user("hxserve-worker", worker, f"{always} {_STORE} {scripts} {_SENDING} {_RECEIVING}"),
        f"user hxserve-admin reset on #{_hash(admin)} ~* &* +@all",
    ]


def _user(name: str, password: str, commands: str) -> str:
    allowed = [f"+{command}" for command in sorted(set(commands.split()))]
    keys, channels = [f"~{key}" for key in KEYS], [f"&{channel}" for channel in _CHANNELS]
    return " ".join(
        [f"user {name} reset resetchannels on #{_hash(password)}", *keys, *channels, "-@all", *allowed]
    )


def _hash(password: str) -> str:
    return hashlib.sha256(password.encode()).hexdigest()


def _commands_of_scripts() -> set[str]:
    return {command.lower() for script in scripts() for command in _CALLED.findall(lua_source(script))}


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints or writes the ACL file; the exit status."""
    parser = argparse.ArgumentParser("python -m deploy.redis_users", description=__doc__)
    for who in ("api", "worker", "admin"):
        parser.add_argument(
            f"--{who}",
            type=Path,
            required=True,
            metavar="FILE",
            help=f"file with the password of hxserve-{who}",
        )
    parser.add_argument(
        "--for-redis",
        type=_version,
        default=(7, 2),
        metavar="VERSION",
        help="the version of Redis that reads it, such as 7.0 [7.2]",
    )
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="write the file there instead of printing it"
    )
    parser.add_argument(
        "--load-into",
        metavar="ADDRESS",
        help="then let the Redis at redis://hxserve-admin@host/0, which runs on that file, read it; "
        "one that does not run yet reads it when it starts",
    )
    options = parser.parse_args(arguments)
    try:
        passwords = [read_secret(path, "password") for path in (options.api, options.worker, options.admin)]
        content = "\n".join(acl_lines(*passwords, redis=options.for_redis)) + "\n"
        if options.output is None:
            print(content, end="")  # noqa: T201 what was asked for
        elif not _write(options.output, content):
            return 0
        if options.load_into is not None:
            _load(with_password(options.load_into, passwords[2]))
    except HxserveError as error:
        print(f"{error.code}: {error.message}", file=sys.stderr)  # noqa: T201 the reason for stopping
        return 1
    return 0


def _version(text: str) -> tuple[int, ...]:
    if not re.fullmatch(r"\d+\.\d+(\.\d+)?", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no version; give one such as 7.0")
    return tuple(int(part) for part in text.split("."))


def _write(path: Path, content: str) -> bool:
    """Writes the file unless it holds just this, for loading it may cost all users their connections; says whether."""
    try:
        if path.exists() and path.read_text("utf-8") == content:
            return False
        write_durably(path, content.encode())
    except OSError as error:
        raise StorageError(f"{path} cannot be written ({error.strerror}); mend its folder") from None
    return True


def _load(url: str) -> None:
    with closing(Connection(url, retries=0)) as connection:
        try:
            connection.load_users()
        except RedisUnavailableError as error:
            print(f"not loaded yet: {error.message}", file=sys.stderr)  # noqa: T201 what the caller may expect


if __name__ == "__main__":
    sys.exit(main())

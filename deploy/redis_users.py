"""`python -m deploy.redis_users`: the users of a Redis that is not the embedded one, as an ACL file.

One user for the API, one for workers, one for whoever administers Redis; nobody else gets in. The two reach only the
keys of the service and only the commands it uses: none that reads or changes the server, or all keys at once.
"""

import argparse
import hashlib
import re
import sys
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Final

from services.errors import HxserveError
from services.passwords import read_secret

KEYS: Final = ("hx:*", "hxserve.chip.*", "_kombu.binding*", "*.celery.pidbox*", "unacked*")
"""The store's keys, the queues of wake-ups, and what Celery's transport keeps beside them."""

_CHANNELS: Final = tuple(f"/{database}.celery.pidbox" for database in range(16))
"""By which workers are controlled, in each database: who subscribes to a pattern may do so only if it stands here."""
_ALWAYS: Final = """
    auth client|setinfo client|setname discard eval evalsha exec hello info multi ping script|exists script|load select
"""
_STORE: Final = """
    del exists expire get hdel hget hgetall hlen hmget hrandfield hset hvals smembers ttl xadd xlen xrange xread
    xrevrange zadd zcard zrange zrem
"""
"""What the store's Python sends itself; the scripts' commands are read from their sources."""
_SENDING: Final = "lpush sadd sismember smembers"
_RECEIVING: Final = """
    blpop brpop expire hdel hget hset llen lpush publish psubscribe punsubscribe rpush sadd smembers srem subscribe
    time unsubscribe watch unwatch zadd zrangebyscore zrem zrevrangebyscore
"""
_CALLED: Final = re.compile(r"redis\.call\('([A-Z]+)'")


def acl_lines(api: str, worker: str, admin: str) -> list[str]:
    """The lines of the ACL file for these passwords, of which only hashes are written."""
    scripts = " ".join(sorted(_commands_of_scripts()))
    return [
        "user default reset off",
        _user("hxserve-api", api, f"{_ALWAYS} {_STORE} {scripts} {_SENDING}"),
        _user("hxserve-worker", worker, f"{_ALWAYS} {_STORE} {scripts} {_SENDING} {_RECEIVING}"),
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
    folder = resources.files("services.store").joinpath("lua")
    return {
        command.lower()
        for script in folder.iterdir()
        if script.name.endswith(".lua")
        for command in _CALLED.findall(script.read_text("utf-8"))
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the ACL file; the exit status."""
    parser = argparse.ArgumentParser("python -m deploy.redis_users", description=__doc__)
    for who in ("api", "worker", "admin"):
        parser.add_argument(
            f"--{who}",
            type=Path,
            required=True,
            metavar="FILE",
            help=f"file with the password of hxserve-{who}",
        )
    options = parser.parse_args(arguments)
    try:
        lines = acl_lines(
            *(read_secret(path, "password") for path in (options.api, options.worker, options.admin))
        )
    except HxserveError as error:
        print(f"{error.code}: {error.message}", file=sys.stderr)  # noqa: T201 the reason for printing nothing
        return 1
    print("\n".join(lines))  # noqa: T201 what was asked for
    return 0


if __name__ == "__main__":
    sys.exit(main())

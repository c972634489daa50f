"""`python -m deploy.redis_users`: the ACL file of a Redis that is not the embedded one.

It has a user for the API, one for workers and one for the administrator of Redis. The first two reach only the keys of
the service, and only the commands that it uses: none that reads or changes the server, or all keys at once. These
commands change with the code, so the file has to be written anew for each version of hxserve.
"""

import argparse
import hashlib
import re
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from deploy.command import run_command
from services.errors import RedisUnavailableError
from services.files import storage_errors, write_durably
from services.passwords import read_secret, with_password
from services.store.connection import Connection
from services.store.scripts import lua_source, scripts

KEYS: Final = ("hx:*", "hxserve.chip.*", "_kombu.binding*", "*.celery.pidbox*", "unacked*")
"""The store's keys, the queues of wake-ups, and the keys of Celery's transport."""
_CHANNELS: Final = tuple(f"/{database}.celery.pidbox" for database in range(16))
"""Of Celery's remote control, in each database; Redis compares a subscribed pattern with these texts as they are."""
_ALWAYS: Final = """
    auth client|setinfo client|setname discard eval evalsha exec hello info multi ping script|exists script|load select
"""
_SINCE_7_2: Final = "client|setinfo"
_STORE: Final = """
    del exists expire get getdel getex hdel hget hgetall hkeys hlen hmget hrandfield hset hvals incr scard set
    sismember smembers srem ttl xadd xlen xrange xread xrevrange zadd zcard zrange zrem
    zrevrange zscore
"""
"""Commands that the Python code of the store sends; those of its scripts are read from their sources."""
_CALLED: Final = re.compile(r"redis\.call\('([A-Z]+)'")
_SENDING: Final = "lpush sadd sismember smembers"
_RECEIVING: Final = """
    blpop brpop expire hdel hget hset llen lpush publish psubscribe punsubscribe rpush sadd smembers srem subscribe
    time unsubscribe watch unwatch zadd zrangebyscore zrem zrevrangebyscore
"""
"""Commands of Celery's transport."""
_DEFAULT_USER: Final = "user default reset off ~* &* +@all"
"""The default user is off and has no password. It may do everything, because Redis 7 reads its append-only file as this
user, and would drop every transaction in there, accepted work among it, if the user had fewer rights.

Source: redis/redis issue 14541, valkey-io/valkey issue 3983."""


def acl_lines(api: str, worker: str, admin: str, *, redis: tuple[int, ...] = (7, 2)) -> list[str]:
    """Return the lines of the ACL file, which has hashes of the passwords.

    `api`, `worker` and `admin` are passwords, `redis` is the version that reads the file: 7.0 refuses a subcommand that
    came with 7.2; older ones take any.
    """
    store = f"{_ALWAYS} {_STORE} {' '.join(_CALLED.findall(''.join(map(lua_source, scripts()))))}".lower()
    if (7, 0) <= redis < (7, 2):
        store = store.replace(_SINCE_7_2, "")
    return [
        _DEFAULT_USER,
        _user("hxserve-api", api, f"{store} {_SENDING}"),
        _user("hxserve-worker", worker, f"{store} {_SENDING} {_RECEIVING}"),
        f"user hxserve-admin reset on {_hash(admin)} ~* &* +@all",
    ]


def _user(name: str, password: str, commands: str) -> str:
    rights = [f"~{key}" for key in KEYS] + [f"&{channel}" for channel in _CHANNELS] + ["-@all"]
    rights += [f"+{command}" for command in sorted(set(commands.split()))]
    return f"user {name} reset resetchannels on {_hash(password)} {' '.join(rights)}"


def _hash(password: str) -> str:
    return f"#{hashlib.sha256(password.encode()).hexdigest()}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print or write the ACL file; return the exit status."""
    parser = argparse.ArgumentParser("python -m deploy.redis_users", description=__doc__)
    add = parser.add_argument
    for user in ("api", "worker", "admin"):
        text = f"file with the password of hxserve-{user}"
        add(f"--{user}", type=Path, required=True, metavar="FILE", help=text)
    text = "version of the Redis that reads the file, such as 7.0 [7.2]"
    add("--for-redis", type=_version, default=(7, 2), metavar="VERSION", help=text)
    add("--output", type=Path, metavar="FILE", help="write this file instead of printing it")
    text = (
        "then let the Redis at redis://hxserve-admin@host/0, which runs on that file, read it; one that does not run "
        "yet reads it when it starts"
    )
    add("--load-into", metavar="ADDRESS", help=text)
    options = parser.parse_args(arguments)

    def write_and_load() -> None:
        passwords = [read_secret(path, "password") for path in (options.api, options.worker, options.admin)]
        content = "\n".join(acl_lines(*passwords, redis=options.for_redis)) + "\n"
        if options.output is None:
            print(content, end="")  # noqa: T201 the output of the command
        elif not _write(options.output, content):
            return
        if options.load_into is not None:
            _load(with_password(options.load_into, passwords[2]))

    return run_command(write_and_load)


def _version(text: str) -> tuple[int, ...]:
    if not re.fullmatch(r"\d+\.\d+(\.\d+)?", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no version; give one such as 7.0")
    return tuple(int(part) for part in text.split("."))


def _write(path: Path, content: str) -> bool:
    """Write a file and return True, unless it is the same already: loading it may cost all users their connections."""
    with storage_errors(path):
        if path.exists() and path.read_text("utf-8") == content:
            return False
        write_durably(path, content.encode())
    return True


def _load(url: str) -> None:
    with closing(Connection(url, retries=0)) as connection:
        try:
            connection.load_users()
        except RedisUnavailableError as error:
            print(f"not loaded yet: {error.message}", file=sys.stderr)  # noqa: T201 what the caller may expect


if __name__ == "__main__":
    sys.exit(main())

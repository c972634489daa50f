"""A Redis with users of least rights: the service works under them, and they can do nothing else."""

import os
import re
import secrets
import shlex
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import pytest
import redis

from deploy.backup import main as back_up
from deploy.ports import free_port
from deploy.redis_server import find_redis_server, redis_server
from deploy.redis_users import acl_lines, main
from deploy.supervision import Supervised
from hxserve import Client
from services.passwords import with_password
from services.store.connection import Connection
from services.users.authentication import ensure_admin_token
from tests.system.conftest import MODEL, TRAINING, wait_until
from worker.learning.datasets import load_dataset

pytestmark = pytest.mark.long

_PASSWORDS: Final = {who: f"{who}/:@?#%-{secrets.token_hex(16)}" for who in ("api", "worker", "admin")}


class _Redis:
    """A Redis in which only the service's users are left."""

    def __init__(self, url: str) -> None:
        self._path = urlsplit(url).path

    def url(self, who: str) -> str:
        return with_password(f"unix://hxserve-{who}@{self._path}", _PASSWORDS[who])

    def as_user(self, who: str) -> redis.Redis:
        return redis.Redis.from_url(self.url(who))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Redis]:
    folder: Path = tmp_path_factory.mktemp("r")
    with redis_server(folder, folder / "redis.log") as (url, _):
        with redis.Redis.from_url(url) as everybody:
            # The last line first would shut this connection out before the others are set.
            for line in reversed(acl_lines(*_PASSWORDS.values(), redis=_version())):
                everybody.execute_command("ACL", "SETUSER", *shlex.split(line)[1:])
        yield _Redis(url)


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("logs")


@pytest.fixture(scope="module")
def service(store: _Redis, logs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """An API and a worker, each under its own user, with the password in a file."""
    data = tmp_path_factory.mktemp("service")
    token, port = ensure_admin_token(data / "admin-token"), free_port("127.0.0.1", 0)
    processes = []
    for who in ("worker", "api"):
        (data / who).write_text(_PASSWORDS[who] + "\n")
        address = urlsplit(store.url(who))
        environment = {
            **os.environ,
            "HXSERVE_REDIS_URL": f"unix://hxserve-{who}@{address.path}",
            "HXSERVE_REDIS_PASSWORD_FILE": str(data / who),
            "HXSERVE_DATA_DIR": str(data),
            "HXSERVE_PORT": str(port),
            "HXSERVE_LOG_LEVEL": "debug",
        }
        processes.append(
            Supervised(who, [sys.executable, "-m", who], logs / f"{who}.log", environment=environment)
        )
    try:
        with Client(f"http://127.0.0.1:{port}", token) as client:
            wait_until(lambda: _is_ready(port))
            yield client
    finally:
        for process in reversed(processes):
            process.stop()


def _is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5):
            return True
    except OSError:
        return False


def test_the_main_job_works_under_users_of_least_rights(service: Client, store: _Redis, logs: Path) -> None:
    with store.as_user("admin") as admin:
        admin.acl_log_reset()  # other tests ask for what is refused
    crops = load_dataset("digits").test_images.numpy()[:100]

    trained = service.train(MODEL, wait=True, **TRAINING)
    evaluated = service.evaluate(MODEL, wait=True, dataset="digits")
    predictions = service.classify(crops, MODEL)
    cancelled = service.cancel(service.train("long", recipe="strong", dataset="digits", epochs=100).id)
    service.wait(cancelled.id)

    assert (trained.state, evaluated.state, len(predictions)) == ("succeeded", "succeeded", 100)
    with store.as_user("admin") as admin:
        assert admin.acl_log() == []
    for log in logs.iterdir():
        assert not any(password in log.read_text() for password in _PASSWORDS.values())


@pytest.mark.parametrize(
    "path", ["/", "/jobs", "/chip", "/v1/letters", "/v1/queue/depth", "/v1/usage/minutes"]
)
def test_the_page_works_under_users_of_least_rights(service: Client, path: str) -> None:
    token = service.users.add(f"visitor-{secrets.token_hex(4)}")["token"]
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())

    with browser.open(f"{service.url}/?token={token}") as answer:
        assert urlsplit(answer.url).path == "/"
    with browser.open(f"{service.url}{path}") as answer:
        assert (answer.status, urlsplit(answer.url).path) == (200, path)


@pytest.mark.parametrize("who", ["api", "worker"])
@pytest.mark.parametrize(
    "command",
    [
        "FLUSHALL", "FLUSHDB", "KEYS *", "SCAN 0", "CONFIG GET *", "CONFIG SET dir /tmp", "DEBUG SLEEP 0", "SHUTDOWN",
        "SAVE", "BGREWRITEAOF", "REPLICAOF no one", "ACL LIST", "MONITOR", "CLIENT LIST", "CLIENT KILL ID 1",
        "SCRIPT FLUSH", "MODULE LIST", "SWAPDB 0 1", "GET elsewhere", "SET elsewhere 1", "PUBLISH elsewhere x",
        "EVAL \"return redis.call('GET','elsewhere')\" 0", "EVAL \"return redis.call('FLUSHALL')\" 0",
    ],
)  # fmt: skip
def test_what_the_service_does_not_need_is_refused(store: _Redis, who: str, command: str) -> None:
    with (
        store.as_user(who) as client,
        pytest.raises(redis.ResponseError, match=r"(?i)no permission|can't run|can't access|not allowed"),
    ):
        client.execute_command(*shlex.split(command))


def test_a_backup_is_taken_by_the_administrator_of_redis_alone(
    store: _Redis, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = urlsplit(store.url("api")).path
    statuses = []
    for who in ("api", "worker", "admin"):
        (tmp_path / who).write_text(_PASSWORDS[who])
        monkeypatch.setenv("HXSERVE_REDIS_PASSWORD_FILE", str(tmp_path / who))
        monkeypatch.setenv("HXSERVE_REDIS_URL", f"unix://hxserve-{who}@{path}")
        statuses.append(back_up([str(tmp_path / "hx.backup"), "--data-dir", str(tmp_path)]))

    refused = capsys.readouterr().err.splitlines()
    assert statuses == [1, 1, 0]
    assert len(refused) == 2
    assert all("needs the administrator's user of Redis" in line for line in refused)


@pytest.mark.parametrize("user", ["", "hxserve-api:wrong@", ":wrong@"])
def test_nobody_else_gets_in(store: _Redis, user: str) -> None:
    path = urlsplit(store.url("api")).path

    with redis.Redis.from_url(f"unix://{user}{path}") as client, pytest.raises(redis.AuthenticationError):
        client.ping()


def test_a_wrong_password_is_not_said_to_anybody(store: _Redis) -> None:
    url = with_password(store.url("api"), "the-wrong-password")

    with pytest.raises(Exception) as raised:  # noqa: PT011 whatever it is
        Connection(url, retries=0).check()

    assert "the-wrong-password" not in f"{raised.value!r} {raised.value}"


def test_what_was_written_is_read_again_by_a_redis_that_was_killed(short_folder: Path) -> None:
    """Redis reads its append-only file as some user; one without rights would drop transactions."""
    (short_folder / "users.acl").write_text(
        "\n".join(acl_lines(*_PASSWORDS.values(), redis=_version())) + "\n"
    )
    written = {f"hx:{number}".encode() for number in range(3)}

    with _redis_with_file(short_folder) as (process, client):
        with client.pipeline(transaction=True) as transaction:
            for key in written:
                transaction.zadd(key, {"member": 1.0})
            transaction.execute()
        process.kill()
        process.wait()
    with _redis_with_file(short_folder) as (_, client):
        found = {key for key in written if client.exists(key)}

    assert found == written


def test_users_written_anew_are_taken_over_by_a_redis_that_runs(
    short_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for who, password in _PASSWORDS.items():
        (short_folder / who).write_text(password)
    address = f"unix://hxserve-admin@{short_folder / 'redis.sock'}"
    arguments = [f"--{who}={short_folder / who}" for who in _PASSWORDS]
    arguments += [f"--output={short_folder / 'users.acl'}", f"--load-into={address}"]
    arguments += ["--for-redis=" + ".".join(map(str, _version()))]

    assert main(arguments) == 0  # no Redis runs yet: it will read the file when it starts
    assert "not loaded yet" in capsys.readouterr().err
    with _redis_with_file(short_folder) as (_, before):
        (short_folder / "api").write_text("another-password-of-the-api")
        assert main(arguments) == 0
        before.connection_pool.disconnect()
        with pytest.raises(redis.AuthenticationError):
            before.ping()
        url = with_password(
            f"unix://hxserve-api@{short_folder / 'redis.sock'}", "another-password-of-the-api"
        )
        with redis.Redis.from_url(url) as after:
            assert after.ping()


def test_a_redis_that_does_not_know_a_subcommand_is_not_told_of_it() -> None:
    assert "client|setinfo" not in "".join(acl_lines(*_PASSWORDS.values(), redis=(7, 0)))
    assert "client|setinfo" in acl_lines(*_PASSWORDS.values())[1]


@pytest.mark.parametrize("text", ["7", "seven", "7.x"])
def test_what_is_no_version_of_redis_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--api=a", "--worker=w", "--admin=x", f"--for-redis={text}"])

    assert "give one such as 7.0" in capsys.readouterr().err


def _version() -> tuple[int, ...]:
    said = subprocess.run(
        [find_redis_server(), "--version"], capture_output=True, text=True, check=True
    ).stdout
    return tuple(int(part) for part in re.findall(r"v=(\d+)\.(\d+)", said)[0])


@contextmanager
def _redis_with_file(folder: Path) -> Iterator[tuple["subprocess.Popen[bytes]", redis.Redis]]:
    """A Redis with the users of the folder's file, and a client that is the API."""
    socket = folder / "redis.sock"
    command = [
        *(str(find_redis_server()), "--port", "0", "--unixsocket", str(socket), "--dir", str(folder)),
        *(
            "--aclfile",
            str(folder / "users.acl"),
            "--appendonly",
            "yes",
            "--appendfsync",
            "always",
            "--save",
            "",
        ),
    ]
    with (folder / "redis.log").open("ab") as log, subprocess.Popen(command, stdout=log) as process:
        client = redis.Redis.from_url(with_password(f"unix://hxserve-api@{socket}", _PASSWORDS["api"]))
        try:
            wait_until(lambda: _answers(client))
            yield process, client
        finally:
            client.close()
            process.terminate()


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False

"""The service on one machine: what other users of the machine may not see."""

import json
import signal
import stat
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # ships no types
import pytest
import urllib3

from deploy.local import main
from deploy.redis_server import redis_server
from services.store.connection import Connection


def test_the_folder_of_the_embedded_redis_is_closed_to_others(short_folder: Path) -> None:
    folder = short_folder / "redis"
    folder.mkdir(mode=0o755)

    with redis_server(folder, short_folder / "redis.log"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_redis_waits_for_the_one_before_it_whose_parent_was_killed(short_folder: Path) -> None:
    folder = short_folder / "redis"
    program = (
        "import sys, time; from pathlib import Path; from deploy.redis_server import redis_server\n"
        "with redis_server(Path(sys.argv[1]), Path(sys.argv[2])) as (_, process):\n"
        "    print(process.pid, flush=True); time.sleep(600)"
    )
    for number in range(3):
        command = [sys.executable, "-c", program, str(folder), str(short_folder / "log")]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
            assert parent.stdout is not None
            before = int(parent.stdout.readline())
            parent.kill()

        with redis_server(folder, short_folder / "log") as (url, _), closing(Connection(url)) as connection:
            assert not psutil.pid_exists(before) or psutil.Process(before).status() == psutil.STATUS_ZOMBIE
            connection.client.set("number", number)
            time.sleep(0.2)  # the one before would have deleted the socket by now
            with closing(Connection(url, retries=0)) as another:
                another.check()


def test_a_password_on_the_command_line_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = main(["--data-dir", str(tmp_path), "--redis-url", "redis://hxserve-api:a-password@store/0"])

    said = capsys.readouterr().err
    assert status == 1
    assert "HXSERVE_REDIS_PASSWORD_FILE" in said
    assert "a-password" not in said


def test_a_script_learns_the_address_from_one_document(short_folder: Path) -> None:
    command = [sys.executable, "-m", "deploy.local", "--json", "--port", "0", "--data-dir", str(short_folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as service:
        assert service.stdout is not None
        address = json.loads(service.stdout.readline())
        asked = urllib3.request(
            "GET", f"{address['url']}/v1/me", headers={"Authorization": f"Bearer {address['token']}"}
        )
        service.send_signal(signal.SIGINT)
        rest = service.stdout.read()

    assert asked.status == 200
    assert address["data_dir"] == str(short_folder.resolve())
    assert rest == ""
    assert service.returncode == 0

"""A backup of a service at work, the service lost, another one made of the backup: everything goes on."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any, Final

import numpy as np
import pytest
from numpy.typing import NDArray

from deploy.archive import Archive
from deploy.local import Local, running
from deploy.recovery import open_records
from hxserve import Client
from hxserve.jobs import Job
from services.errors import SchemaError
from services.jobs.store import JobStore
from services.settings import Settings, load_settings
from services.store import keys
from services.store.connection import Connection
from services.store.schema import SCHEMA, ensure_schema, schema_of
from services.store.snapshot import SnapshotStore
from tests.system.conftest import MODEL, TRAINING, wait_until

pytestmark = pytest.mark.long

CROPS: Final = 150
SHORT: Final = TRAINING | {"epochs": 1}


def _settings(folder: Path) -> Settings:
    return load_settings(data_dir=folder, chip="mock", port=0, save_every_s=0.3)


def _hxserve(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Runs the command as an operator does."""
    command = [sys.executable, "-m", "hxserve", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _lose(local: Local) -> None:
    """Kills all processes, as a machine that fails does."""
    for process in local.processes.values():
        os.kill(process.pid, signal.SIGKILL)
        wait_until(lambda process=process: process.exit_status() is not None)  # type: ignore[misc] # a default


def _is_under_way(client: Client, job: Job) -> bool:
    return client.job(job.id).progress > 0.05


def _leave_crops(local: Local, crops: NDArray[np.uint8]) -> str:
    """Sends crops and does not wait: the id of their job."""
    request = urllib.request.Request(  # noqa: S310 our own address
        f"{local.url}/v1/models/{MODEL}/classify?wait=0",
        data=crops.tobytes(),
        headers={"Authorization": f"Bearer {local.token}", "Content-Type": "application/octet-stream"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 our own address
        return str(json.load(answer)["id"])


def _connected(folder: Path) -> Connection:
    """The records of the service that runs on a folder."""
    return Connection(f"unix://{folder.resolve() / 'redis' / 'redis.sock'}")


def _state_of(folder: Path) -> str:
    """What a restore that was killed left: nothing, what no process starts on, or all of it."""
    with open_records(_settings(folder), stopped=True) as connection:
        store = SnapshotStore(connection)
        if store.is_unfinished():
            with pytest.raises(SchemaError, match="has not finished"):
                ensure_schema(connection)
            return "unfinished"
        return "empty" if store.is_empty() else "restored"


def _weights_of(job: Job) -> str:
    assert job.result is not None, job.summary
    return str(job.result["weights_sha256"])


def test_a_service_restored_into_an_empty_place_goes_on_with_everything(
    trained: Job, short_folder: Path, test_digits: tuple[NDArray[np.uint8], Any]
) -> None:
    first, second, path = short_folder / "a", short_folder / "b", short_folder / "hx.backup"
    with running(_settings(first)) as local, Client(local.url, local.token) as client:
        token, admin_token = client.users.add("ada")["token"], local.token
        done = client.train(MODEL, wait=True, **SHORT)
        training, queued = client.train("running", **TRAINING), client.train("queued", **SHORT)
        wait_until(lambda: _is_under_way(client, training))
        os.kill(local.processes["worker"].pid, signal.SIGSTOP)
        crops_job = _leave_crops(local, test_digits[0][:CROPS])
        backed_up = _hxserve("backup", path, "--data-dir", first)
        os.kill(local.processes["worker"].pid, signal.SIGCONT)
        later = client.train("later", **SHORT)
        _lose(local)

    restored = _hxserve("restore", path, "--data-dir", second)
    with running(_settings(second)) as local, Client(local.url, admin_token) as client:
        ended, after, read = (client.wait(job) for job in (training.id, queued.id, crops_job))
        jobs = {job.id: job for job in client.jobs(limit=20)}
        with Client(local.url, token) as ada:
            name = ada.me()["name"]
        versions = {
            model: [v["version"] for v in client.model(model)["versions"]] for model in ("running", MODEL)
        }
        with closing(_connected(second)) as connection:
            finished = JobStore(connection, keep_jobs_s=60).finished()

    assert (backed_up.returncode, restored.returncode) == (0, 0), backed_up.stderr + restored.stderr
    assert ended.record["attempts"] == 2
    assert _weights_of(ended) == _weights_of(trained)
    assert after.state == "succeeded"
    assert read.result is not None
    assert len(read.result["predictions"]) == CROPS
    assert name == "ada"
    assert jobs[done.id].result == done.result
    assert later.id not in jobs
    assert versions == {"running": ["1"], MODEL: ["1"]}
    assert (finished["training", "succeeded"], finished["classification", "succeeded"]) == (3, 1)


def _say_nothing_of_versions(folder: Path, schema: int | None) -> None:
    """Lets the records of a stopped service look as if another hxserve had written them."""
    with open_records(_settings(folder), stopped=True) as connection:
        if schema is None:
            connection.client.delete(keys.SCHEMA)
        else:
            connection.client.set(keys.SCHEMA, schema)


def test_records_from_before_there_was_a_version_go_on_with_a_training_that_ran(
    trained: Job, short_folder: Path
) -> None:
    folder = short_folder / "a"
    with running(_settings(folder)) as local, Client(local.url, local.token) as client:
        training = client.train("running", **TRAINING)
        wait_until(lambda: _is_under_way(client, training))
        client.drain_chip(message="upgrade")
        wait_until(lambda: client.job(training.id).state == "queued")
    _say_nothing_of_versions(folder, None)

    with running(_settings(folder)) as local, Client(local.url, local.token) as client:
        client.resume_chip()
        ended = client.wait(training.id)
        with closing(_connected(folder)) as connection:
            version = schema_of(connection)

    assert _weights_of(ended) == _weights_of(trained)
    assert ended.record["attempts"] == 2
    assert version == SCHEMA


def test_nothing_starts_on_records_of_a_newer_hxserve(short_folder: Path) -> None:
    folder = short_folder / "a"
    with running(_settings(folder)):
        pass
    _say_nothing_of_versions(folder, SCHEMA + 1)

    with open_records(_settings(folder), stopped=True):
        environment = os.environ | {
            "HXSERVE_REDIS_URL": f"unix://{folder.resolve() / 'redis' / 'redis.sock'}",
            "HXSERVE_DATA_DIR": str(folder),
            "HXSERVE_PORT": "0",
        }
        ended = {
            name: subprocess.run(
                [sys.executable, "-m", name], env=environment, capture_output=True, text=True, check=False
            )
            for name in ("worker", "api")
        }
    up = _hxserve("up", "--data-dir", folder, "--port", "0")

    for name, process in (*ended.items(), ("hxserve", up)):
        assert process.returncode == 1
        [line] = process.stderr.splitlines()
        assert line.startswith(
            f"{name}: schema_mismatch: the records in this Redis have schema version {SCHEMA + 1}"
        )


def test_a_backup_that_is_killed_leaves_none_under_the_name(
    local: Local, settings: Settings, tmp_path: Path
) -> None:
    path, random = tmp_path / "hx.backup", Random(5)
    del local

    for _ in range(8):
        process = subprocess.Popen(
            [sys.executable, "-m", "deploy.backup", str(path), "--data-dir", str(settings.data_dir)],
            stdout=subprocess.DEVNULL,
        )
        time.sleep(random.uniform(0.3, 1.2))
        process.kill()
        process.wait()
        if path.exists():
            Archive(path)

    assert _hxserve("backup", path, "--data-dir", settings.data_dir).returncode == 0
    Archive(path)


def test_a_restore_that_is_killed_lets_nothing_start_until_it_is_run_again(
    local: Local, settings: Settings, short_folder: Path
) -> None:
    path, folder, random = short_folder / "hx.backup", short_folder / "b", Random(6)
    folder.mkdir()  # so that it is there also after one that was killed before anything
    del local
    assert _hxserve("backup", path, "--data-dir", settings.data_dir).returncode == 0
    seen = set()

    for _ in range(8):
        process = subprocess.Popen(
            [sys.executable, "-m", "deploy.restore", str(path), "--data-dir", str(folder), "--replace"],
            stdout=subprocess.DEVNULL,
        )
        time.sleep(random.uniform(0.3, 1.0))
        process.kill()
        process.wait()
        seen.add(_state_of(folder))
    again = _hxserve("restore", path, "--data-dir", folder, "--replace")

    assert seen <= {"empty", "unfinished", "restored"}
    assert again.returncode == 0, again.stderr
    assert _state_of(folder) == "restored"

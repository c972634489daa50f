"""The logs of a whole service: every line an object, a job's story whole, each end told once."""

import json
from collections import Counter
from pathlib import Path
from typing import Any, Final

import pytest

from deploy.local import running
from hxserve import Client
from services.settings import load_settings
from tests.system.conftest import TRAINING, kill_worker, wait_until

pytestmark = pytest.mark.long

_FAREWELL: Final = {"", "worker: Warm shutdown (MainProcess)"}
"""Celery writes this past every logger when its worker is told to stop."""


def _lines(folder: Path, name: str) -> list[dict[str, Any]]:
    """What a process logged; each line an object."""
    written = (folder / "logs" / f"{name}.log").read_text("utf-8").splitlines()
    return [json.loads(line) for line in written if line not in _FAREWELL]


def test_every_line_is_an_object_and_every_line_about_a_job_carries_it(short_folder: Path) -> None:
    settings = load_settings(data_dir=short_folder, chip="mock", port=0, save_every_s=0.3, log_format="json")
    with running(settings) as local, Client(local.url, local.token) as client:
        training = client.train("digits", **TRAINING | {"epochs": 2})
        cancelled = client.train("other", **TRAINING)
        client.cancel(cancelled.id)
        failing = client.train("failing", recipe="strong", dataset="mnist", epochs=1)
        wait_until(lambda: client.job(training.id).progress > 0.1)
        kill_worker(local)
        ended = {job.id: client.wait(job.id).state for job in (training, cancelled, failing)}

    lines = {name: _lines(short_folder, name) for name in ("worker", "api")}
    every = [line for name in lines for line in lines[name]]
    told = Counter(line["job"] for line in every if line["logger"] == "jobs")
    assert ended == {training.id: "succeeded", cancelled.id: "cancelled", failing.id: ended[failing.id]}
    assert told == Counter(ended.keys())
    for line in every:
        assert {"time", "level", "logger", "message", "process"} <= set(line)
        for job_id in ended:
            assert job_id not in line["message"] or (line["job"], line["user"]) == (job_id, "admin"), line
    assert {line["chip"] for line in lines["worker"]} == {"chip-1"}
    story = [
        line["logger"]
        for line in sorted(every, key=lambda line: line["time"])
        if line.get("job") == training.id
    ]
    assert story[0] == "services.jobs.submission"
    assert story[-1] == "jobs"
    assert "worker.recovery" in story
    assert local.token not in json.dumps(every)

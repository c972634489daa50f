"""Batch jobs as users run them: with the command, over HTTP, beside requests, cancelled."""

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deploy.local import Local
from hxserve import Client
from hxserve.errors import ServiceError
from hxserve.jobs import Job
from services.batch_jobs.answers import BatchStore
from services.settings import Settings
from tests.system.conftest import MODEL, wait_until
from tests.worker.imports.files import idx, png, zipped
from worker.learning.datasets import load_dataset

IMAGES = load_dataset("digits").test_images.numpy()
LABELS = load_dataset("digits").test_labels.numpy()


def _hxserve(local: Local, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        "hxserve",
        *map(str, arguments),
        "--url",
        local.url,
        "--token",
        local.token,
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)


def test_the_command_reads_a_file_and_writes_the_answers(local: Local, trained: Job, tmp_path: Path) -> None:
    path, answers = tmp_path / "envelopes.idx", tmp_path / "answers.csv"
    path.write_bytes(idx(IMAGES))

    done = _hxserve(local, "classify", "--job", path, "--version", str(trained.version), "-o", answers)

    assert done.returncode == 0, done.stderr
    assert f"{len(IMAGES)} crops read by {MODEL} version {trained.version}" in done.stdout
    with answers.open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["index"]) for row in rows] == list(range(len(IMAGES)))
    right = np.mean([int(row["digit"]) == label for row, label in zip(rows, LABELS, strict=True)])
    assert right > 0.7
    assert {row["chip"] for row in rows} == {"chip-1"}


def test_pictures_without_a_digit_do_not_end_the_job(local: Local, trained: Job, tmp_path: Path) -> None:
    del trained
    blank = png(np.full((60, 60), 255, np.uint8))
    path = tmp_path / "letters.zip"
    path.write_bytes(zipped({"7.png": png(IMAGES[0]), "blank.png": blank}))

    done = _hxserve(local, "classify", "--job", path, "-o", tmp_path / "answers.jsonl", "--json")

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["result"]["unreadable"] == 1
    rows = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text().splitlines()]
    assert [row["name"] for row in rows] == ["7.png", "blank.png"]
    assert (rows[0]["problem"], rows[1]["digit"]) == (None, None)
    assert "digit" in rows[1]["problem"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--job"], "give FILE..., or --dataset NAME"),
        (["--dataset", "digits"], "--dataset is for classifying with --job"),
        (["--job", "--segment", "a.npy"], "--segment is for classifying without --job"),
        (["--job", "nothing.npy"], "there is no file or folder 'nothing.npy'"),
        (["--job", "--dataset", "nothing"], "nothing"),
    ],
)
def test_what_makes_no_batch_job_is_refused_in_words(
    local: Local, trained: Job, arguments: list[str], said: str
) -> None:
    del trained

    done = _hxserve(local, "classify", *arguments)

    assert done.returncode != 0
    assert said in done.stderr


def test_requests_go_before_and_a_cancelled_job_keeps_its_answers(
    client: Client, trained: Job, tmp_path: Path, settings: Settings
) -> None:
    del trained
    np.save(tmp_path / "crops.npy", np.resize(IMAGES, (400_000, 28, 28)))
    job = client.batches.submit(tmp_path / "crops.npy", MODEL)
    wait_until(lambda: client.job(job.id).progress > 0)

    answered = [client.classify(IMAGES[:3], MODEL) for _ in range(20)]
    beside = client.job(job.id)
    early = client.batches.download(job, tmp_path / "early.npz")
    ended = client.wait(client.cancel(job.id))

    assert [len(answer) for answer in answered] == [3] * 20
    assert beside.state == "running"
    assert beside.eta is not None
    assert (ended.state, ended.result["stopped_by"]) == ("cancelled", "cancel")
    assert 0 < ended.result["answered"] < 400_000
    with np.load(early) as first, np.load(client.batches.download(job, tmp_path)) as arrays:
        assert len(arrays["digits"]) == len(arrays["scores"]) == ended.result["answered"]
        assert np.array_equal(arrays["digits"][: len(first["digits"])], first["digits"])
    assert BatchStore(settings.batches_dir).totals(job.id).crops == ended.result["answered"]


def test_an_upload_is_of_one_job_and_goes_on_where_it_stopped(
    client: Client, trained: Job, tmp_path: Path
) -> None:
    del trained
    path = tmp_path / "crops.npy"
    np.save(path, IMAGES[:100])
    sent: list[tuple[int, int]] = []

    first = client.batches.submit(path, MODEL, on_progress=lambda done, total: sent.append((done, total)))
    same = client.batches.submit(path, MODEL)
    other = client.batches.submit(path, MODEL, repeats=2)
    upload: Any = first.params["upload"]
    with pytest.raises(ServiceError, match="Idempotency-Key"):
        client.submit("batch", MODEL, {"upload": upload, "repeats": 3})

    size = path.stat().st_size
    assert (sent[0], sent[-1]) == ((0, size), (size, size))
    # The first may have ended before it was sent again; then it is another job.
    assert same.id == first.id or client.job(first.id).is_final
    assert other.id != first.id
    assert {client.wait(job.id).state for job in (first, same, other)} == {"succeeded"}

"""Data sets through the real door: forms and parts sent by curl, resumed uploads, and crops that are read meanwhile."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from deploy.local import Local
from hxserve import Client
from services.datasets.files import sha256_of
from services.settings import Settings
from tests.needs import needed, shared_folder
from tests.system.conftest import PATIENCE_S, wait_until
from tests.worker.imports.files import digits, folders, gzipped, idx, npy, npz, parquet, table, zipped
from worker.learning.mnist_files import MNIST_SHA256

_KILLED = """
import os, signal
from hxserve import Client

def kill(done, total):
    if done:
        os.kill(os.getpid(), signal.SIGKILL)

Client().datasets.add("killed", "large.npz", on_progress=kill)
"""
"""A process that is killed once the first part has arrived."""

Curl = Callable[..., tuple[int, Any]]


@pytest.fixture
def curl(local: Local, tmp_path: Path) -> Curl:
    """Sends a request by curl as the admin; gives the status, and the JSON of the answer."""
    program = needed(shutil.which("curl"), "there is no curl")

    def send(path: str, *options: str) -> tuple[int, Any]:
        command = [
            program,
            "-sS",
            "-m",
            "60",
            "-w",
            "\n%{http_code}",
            "-H",
            f"Authorization: Bearer {local.token}",
        ]
        done = subprocess.run(
            [*command, *options, f"{local.url}{path}"],
            capture_output=True,
            text=True,
            check=True,
            cwd=tmp_path,
        )
        content, _, status = done.stdout.rpartition("\n")
        return int(status), json.loads(content) if content else None

    return send


def _result(curl: Curl, job: dict[str, Any]) -> dict[str, Any]:
    """The result of an import that succeeds."""
    until = time.monotonic() + PATIENCE_S
    while job["state"] not in {"succeeded", "failed"}:
        assert time.monotonic() < until, job
        _, job = curl(f"/v1/jobs/{job['id']}?wait=5", "-H", f'If-None-Match: "{job["revision"]}"')
        job = job or curl("/v1/jobs")[1]["jobs"][0]
    assert job["state"] == "succeeded", job["error"]
    result: dict[str, Any] = job["result"]
    return result


def _send_in_parts(curl: Curl, uploads: str, files: Sequence[Path], part_bytes: int) -> dict[str, Any]:
    """The job of files that are sent in parts."""
    announced = [{"name": path.name, "bytes": path.stat().st_size} for path in files]
    as_json = ("-H", "Content-Type: application/json")
    status, upload = curl(uploads, *as_json, "-d", json.dumps({"files": announced}))
    assert status == 201, upload
    path = f"{uploads}/{upload['upload']}"
    for index, file in enumerate(files):
        content = file.read_bytes()
        for first in range(0, len(content), part_bytes):
            part = content[first : first + part_bytes]
            (file.parent / "part").write_bytes(part)
            place = f"Content-Range: bytes {first}-{first + len(part) - 1}/{len(content)}"
            sent = ("-X", "PUT", "--data-binary", f"@{file.parent / 'part'}", "-H", place)
            status, answer = curl(f"{path}/files/{index}", *sent)
            assert (status, answer["files"][index]["received"]) == (200, first + len(part))
    status, job = curl(f"{path}/complete", "-X", "POST")
    assert (status, job["kind"]) == (202, "import")
    return dict(job)


def test_a_zip_of_pictures_is_one_form(curl: Curl, tmp_path: Path) -> None:
    crops = digits(50)
    (tmp_path / "digits.zip").write_bytes(zipped(folders(crops)))

    status, job = curl("/v1/datasets/by-form/versions?test_fraction=0.4", "-F", "file=@digits.zip")

    assert status == 202
    result = _result(curl, job)
    assert (result["dataset"], result["version"]) == ("by-form", "1")
    assert result["counts"] == {"train": [3] * 10, "test": [2] * 10}
    _, shown = curl("/v1/datasets/by-form")
    assert [version["sha256"] for version in shown["versions"]] == [result["sha256"]]


def test_a_file_larger_than_a_body_arrives_in_parts_while_crops_are_read(
    curl: Curl,
    client: Client,
    local: Local,
    tmp_path: Path,
    test_digits: tuple[NDArray[np.uint8], NDArray[np.int64]],
) -> None:
    del local
    train, test = digits(50_000), digits(2_000, seed=1)
    arrays = {"x_train": train.images, "y_train": train.labels, "x_test": test.images, "y_test": test.labels}
    path = tmp_path / "digits.npz"
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
    assert path.stat().st_size > 33 * 2**20

    job = _send_in_parts(curl, "/v1/datasets/in-parts/uploads", [path], 16 * 2**20)
    read = 0
    while client.job(job["id"]).state in {"queued", "running"}:
        assert len(client.classify(test_digits[0][:1], "untrained")) == 1
        read += 1

    assert read > 0
    assert _result(curl, job)["sha256"] == sha256_of(train, test)


def test_an_upload_goes_on_after_its_connection_was_cut(local: Local, curl: Curl, tmp_path: Path) -> None:
    content = npz(images=digits(3000).images, labels=digits(3000).labels) + bytes(0)
    (tmp_path / "a.npz").write_bytes(content)
    uploads, as_json = "/v1/datasets/cut-off/uploads", ("-H", "Content-Type: application/json")
    announced = {"files": [{"name": "a.npz", "bytes": len(content)}]}
    _, upload = curl(uploads, *as_json, "-d", json.dumps(announced))
    path = f"{uploads}/{upload['upload']}"
    slow = subprocess.Popen(
        [
            *("curl", "-sS", "--limit-rate", "60k", "-T", str(tmp_path / "a.npz")),
            *("-H", f"Authorization: Bearer {local.token}", f"{local.url}{path}/files/0"),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_until(lambda: curl(path)[1]["files"][0]["received"] > 0)

    slow.kill()
    slow.wait()

    answers = []

    def goes_on() -> bool:
        received = curl(path)[1]["files"][0]["received"]
        (tmp_path / "rest").write_bytes(content[received:])
        place = f"Content-Range: bytes {received}-{len(content) - 1}/{len(content)}"
        answers.append(curl(f"{path}/files/0", "-X", "PUT", "--data-binary", "@rest", "-H", place)[0])
        return answers[-1] == 200

    wait_until(goes_on)  # 409 until the service has noticed that the first connection is gone
    assert set(answers) <= {200, 409}
    _, job = curl(f"{path}/complete", "-X", "POST")
    assert sum(_result(curl, job)["counts"]["train"]) > 0


def test_every_form_is_uploaded_by_curl_and_trained_on(curl: Curl, client: Client, tmp_path: Path) -> None:
    train, test = digits(40), digits(20, seed=1)
    arrays = {"x_train": train.images, "y_train": train.labels, "x_test": test.images, "y_test": test.labels}
    forms = {
        "by-idx": {
            "train-images-idx3-ubyte.gz": gzipped(idx(train.images)),
            "train-labels.idx1-ubyte": idx(train.labels),
            "t10k-images-idx3-ubyte": idx(test.images),
            "t10k-labels-idx1-ubyte.gz": gzipped(idx(test.labels)),
        },
        "by-csv": {"train.csv": table(train), "test.csv.gz": gzipped(table(test, names=False))},
        "by-npz": {"digits.npz": npz(**arrays)},
        "by-npy": {f"{name}.npy": npy(array) for name, array in arrays.items()},
        "by-parquet": {"train-0.parquet": parquet(train), "test-0.parquet": parquet(test)},
        "by-pictures": folders(train, "train/") | folders(test, "test/"),
    }
    sums = set()
    for name, files in forms.items():
        options: list[str] = []
        for file, content in files.items():
            path = tmp_path / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            options += ["-F", f"file=@{name}/{file};filename={file}"]
        status, job = curl(f"/v1/datasets/{name}/versions", *options)
        assert status == 202, job
        sums.add(_result(curl, job)["sha256"])
    assert sums == {sha256_of(train, test)}, "the same digits, whatever their form"

    job = {
        "kind": "training",
        "model": "of-forms",
        "params": {"epochs": 1, "network": {"hidden": [16]}, "dataset": dict.fromkeys(forms, 1)},
    }
    _, submitted = curl("/v1/jobs", "-H", "Content-Type: application/json", "-d", json.dumps(job))
    trained = client.wait(submitted["id"]).expect_success()
    assert set(trained.result["accuracies"]) == {f"{name}@1" for name in forms}


def test_a_zip_of_the_zip_program_is_the_folder_that_the_command_sends(
    local: Local, curl: Curl, tmp_path: Path
) -> None:
    program = needed(shutil.which("zip"), "there is no zip; `apt-get install zip`")
    for name, content in folders(digits(50), "mine/").items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    # In the order of the names, which is that of the crops.
    names = "\n".join(str(path.relative_to(tmp_path)) for path in sorted((tmp_path / "mine").rglob("*.png")))
    subprocess.run([program, "-q", "mine.zip", "-@"], input=names, text=True, check=True, cwd=tmp_path)
    _, job = curl("/v1/datasets/zipped/versions", "-F", "file=@mine.zip")

    done = _command(local, tmp_path, "add", "sent", "mine")

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["result"]["sha256"] == _result(curl, job)["sha256"]


def test_an_upload_whose_process_was_killed_goes_on_by_the_command(
    local: Local, client: Client, settings: Settings, tmp_path: Path
) -> None:
    crops = digits(30_000)
    np.savez(tmp_path / "large.npz", images=crops.images, labels=crops.labels)
    uploads = settings.datasets_dir / ".uploads"

    others = set(uploads.glob("*"))

    def begun() -> set[Path]:
        return set(uploads.glob("*")) - others

    killed = subprocess.run(
        [sys.executable, "-c", _KILLED],
        env=_environment(local),
        cwd=tmp_path,
        check=False,
        timeout=PATIENCE_S,
    )
    assert killed.returncode == -signal.SIGKILL
    [upload] = begun()

    done = _command(local, tmp_path, "add", "killed", "large.npz")

    assert done.returncode == 0, done.stderr
    assert begun() == {upload}
    assert sum(client.datasets.show("killed", 1)["counts"]["train"]) > 0


def test_a_download_is_the_same_data_set_when_it_is_added_again(
    local: Local, client: Client, tmp_path: Path
) -> None:
    (tmp_path / "first.npz").write_bytes(npz(images=digits(50).images, labels=digits(50).labels))
    first = client.datasets.add("kept", tmp_path / "first.npz", wait=True)

    assert _command(local, tmp_path, "download", "kept@1", "again.npz").returncode == 0
    again = client.datasets.add("kept", tmp_path / "again.npz", wait=True)

    assert (again.result["version"], again.result["sha256"]) == (
        "1",
        first.result["sha256"],
    )
    refused = _command(local, tmp_path, "add", "digits", "again.npz")
    assert refused.returncode == 1
    assert "the service brings" in refused.stderr


def _command_line(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "hxserve", "--json", "datasets", *arguments]


def _environment(local: Local) -> dict[str, str]:
    return {**os.environ, "HXSERVE_URL": local.url, "HXSERVE_TOKEN": local.token}


def _command(local: Local, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `hxserve datasets` in a folder."""
    return subprocess.run(
        _command_line(*arguments),
        env=_environment(local),
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )


@pytest.mark.long
def test_mnist_as_it_was_published_is_the_mnist_that_the_service_brings(curl: Curl, tmp_path: Path) -> None:
    files = []
    for path in sorted((shared_folder("mnist") / "MNIST" / "raw").iterdir()):
        files.append(tmp_path / path.name)
        shutil.copyfile(path, files[-1])

    job = _send_in_parts(curl, "/v1/datasets/all-of-mnist/uploads", files, 8 * 2**20)

    assert _result(curl, job)["sha256"] == MNIST_SHA256

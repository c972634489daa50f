"""Data sets by the client and on the command line: what is sent, how it goes on after interruptions, what is shown."""

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from safetensors.numpy import save

from hxserve import Client, ConnectionFailedError, ServiceError
from hxserve.cli import cli
from hxserve.dataset_files import read_files
from hxserve.errors import DownloadDamagedError, InvalidDatasetError
from tests.client.records import JOB_ID, a_dataset_version, job_record
from tests.client.service import DROPPED, TOKEN, Reply, Request, Service, job_reply, problem, running

Run = Callable[..., Result]
MINE = "/v1/datasets/mine"
IMPORTED = {
    "dataset": "ada~mine",
    "version": "1",
    "sha256": "cd" * 32,
    "counts": {"train": [4] * 10, "test": [1] * 10},
    "remarks": ["12 crops look inverted: their ground is bright, and crops are bright on dark."],
}
CRASHED = "the client is gone"


class Uploads(Service):
    """A service that takes uploads as the real one does: one for each Idempotency-Key, part by part."""

    def __init__(self) -> None:
        super().__init__()
        self.contents: dict[str, list[bytearray]] = {}
        self.announced: dict[str, Any] = {}
        self.completed: dict[str, str] = {}
        self.jobs.clear()
        self.jobs.append(job_record("succeeded", kind="import", model="", result=IMPORTED))

    def _planned(self, request: Request) -> Reply:
        if not request.path.startswith(f"{MINE}/uploads"):
            return super()._planned(request)
        upload, *rest = request.path.removeprefix(f"{MINE}/uploads").strip("/").split("/")
        match request.method, rest:
            case "POST", []:
                upload = request.headers["Idempotency-Key"]
                self.announced[upload] = request.json
                self.contents.setdefault(upload, [bytearray() for _ in request.json["files"]])
            case "PUT", ["files", index]:
                first = int(re.match(r"bytes (\d+)-", request.headers["Content-Range"]).group(1))  # type: ignore[union-attr] # always sent
                content = self.contents[upload][int(index)]
                if first != len(content):
                    return problem(409, "conflict", f"go on from byte {len(content)}")
                content += request.body
            case "POST", ["complete"]:
                self.completed[upload] = JOB_ID
                return job_reply(self.jobs[0], 202)
        files = [
            file | {"received": len(content)}
            for file, content in zip(self.announced[upload]["files"], self.contents[upload], strict=True)
        ]
        return Reply(document={"upload": upload, "files": files, "job": self.completed.get(upload)})


@pytest.fixture
def service() -> Iterator[Uploads]:
    with running(Uploads()) as service:
        assert isinstance(service, Uploads)
        yield service


@pytest.fixture
def run(service: Uploads) -> Run:
    """Runs the command against the service."""
    environment = {"HXSERVE_URL": service.url, "HXSERVE_TOKEN": TOKEN}
    return lambda *arguments: CliRunner(env=environment).invoke(cli, arguments)


@pytest.fixture
def file() -> Path:
    """A file that takes three parts."""
    path = Path("digits.npz")
    path.write_bytes(np.random.default_rng(0).bytes(9 * 2**20))
    return path


def _parts(service: Uploads) -> list[str]:
    return [request.headers["Content-Range"] for request in service.requests if request.method == "PUT"]


def test_a_file_arrives_in_parts_with_its_progress(client: Client, service: Uploads, file: Path) -> None:
    progress: list[tuple[int, int]] = []

    job = client.datasets.add(
        "mine", file, test_fraction=0.5, centre=True, wait=True, on_progress=lambda *of: progress.append(of)
    )

    [content] = service.contents.values()
    assert bytes(content[0]) == file.read_bytes()
    [announced] = service.announced.values()
    assert announced == {
        "files": [{"name": "digits.npz", "bytes": 9 * 2**20}],
        "test_fraction": 0.5,
        "centre": True,
    }
    assert [done for done, _ in progress] == [0, 4 * 2**20, 8 * 2**20, 9 * 2**20]
    assert {total for _, total in progress} == {9 * 2**20}
    assert job.result == IMPORTED


def test_an_interrupted_upload_goes_on_in_another_process(service: Uploads, file: Path) -> None:
    def crash(done: int, _: int) -> None:
        if done:
            raise RuntimeError(CRASHED)

    with Client(service.url, TOKEN) as first, pytest.raises(RuntimeError, match=CRASHED):
        first.datasets.add("mine", file, on_progress=crash)

    with Client(service.url, TOKEN) as second:
        second.datasets.add("mine", file)

    [content] = service.contents.values()
    assert bytes(content[0]) == file.read_bytes()
    assert [part.split("-")[0] for part in _parts(service)] == ["bytes 0", f"bytes {2**22}", f"bytes {2**23}"]


def test_other_content_of_the_same_name_and_size_is_another_upload(
    client: Client, service: Uploads, file: Path
) -> None:
    client.datasets.add("mine", file)
    file.write_bytes(bytes(9 * 2**20))

    client.datasets.add("mine", file)

    assert [bytes(content[0][:1]) == b"\0" for content in service.contents.values()] == [False, True]


def test_a_lost_connection_is_made_again_from_what_was_received(
    client: Client, service: Uploads, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hxserve.dataset_uploads._PAUSE_S", 0.0)
    take = service._planned
    lost = [DROPPED] * 6

    def lose(request: Request) -> Reply:
        reply = take(request)
        # The part arrived, and its answer did not.
        return lost.pop() if request.method == "PUT" and lost and reply.status == 200 else reply

    monkeypatch.setattr(service, "_planned", lose)

    client.datasets.add("mine", file)

    [content] = service.contents.values()
    assert bytes(content[0]) == file.read_bytes()


def test_a_service_that_stays_away_ends_the_upload(
    service: Uploads, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hxserve.dataset_uploads._PAUSE_S", 0.0)
    take = service._planned
    monkeypatch.setattr(
        service, "_planned", lambda request: DROPPED if request.method == "PUT" else take(request)
    )

    with (
        Client(service.url, TOKEN, backoff_s=0.0, patience_s=0.1) as client,
        pytest.raises(ConnectionFailedError, match="the connection broke"),
    ):
        client.datasets.add("mine", file)


def test_a_refused_part_is_not_repeated(client: Client, service: Uploads, file: Path) -> None:
    take = service._planned
    full = problem(507, "disk_low", "the disk has too little room")
    service._planned = lambda request: full if request.method == "PUT" else take(request)  # type: ignore[method-assign] # of this one

    with pytest.raises(ServiceError, match="disk_low"):
        client.datasets.add("mine", file)

    assert len(_parts(service)) == 1


def test_what_was_imported_before_is_sent_anew(client: Client, service: Uploads, file: Path) -> None:
    """The version may have been deleted since."""
    client.datasets.add("mine", file)

    client.datasets.add("mine", file)

    assert len(service.contents) == 2


def test_a_running_import_of_the_same_files_is_joined(client: Client, service: Uploads, file: Path) -> None:
    client.datasets.add("mine", file)
    service.jobs[0] = job_record("running", kind="import", model="")

    client.datasets.add("mine", file)

    assert len(service.contents) == 1


def test_a_folder_is_one_zip_the_same_each_time(client: Client, service: Uploads) -> None:
    for name in ("train/3/a.png", "train/7/b.png", "train/.hidden", "train/.git/c.png", "test/3/d.png"):
        Path("digits", name).parent.mkdir(parents=True, exist_ok=True)
        Path("digits", name).write_bytes(name.encode() * 1000)

    client.datasets.add("mine", "digits")

    [[content]] = service.contents.values()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        assert names == ["digits/test/3/d.png", "digits/train/3/a.png", "digits/train/7/b.png"]
        assert archive.read(names[1]) == b"train/3/a.png" * 1000
    [first], [second] = read_files([Path("digits")]), read_files([Path("digits").resolve()])
    assert (first.name, first.sha256) == ("digits.zip", second.sha256)
    assert first.size_bytes == len(content)
    assert b"".join(first.pieces(1000)) == bytes(content[1000:])


@pytest.mark.parametrize(
    ("paths", "said"),
    [
        (["missing.npz"], "there is no file or folder 'missing.npz'"),
        (["empty"], "has no files"),
        (["nothing.npz"], "nothing.npz is empty"),
        (["a.npz", "more/a.npz"], "several paths have the name 'a.npz'"),
        ([], "at least one file"),
    ],
)
def test_what_cannot_be_sent_is_said_before_anything_is(
    client: Client, service: Uploads, paths: list[str], said: str
) -> None:
    for folder in ("empty", "more"):
        Path(folder).mkdir()
    Path("nothing.npz").touch()
    for path in ("a.npz", "more/a.npz"):
        Path(path).write_bytes(b"x")

    with pytest.raises(InvalidDatasetError, match=re.escape(said)):
        client.datasets.add("mine", paths)

    assert service.requests == []


def test_a_download_is_checked_and_can_be_loaded(client: Client, service: Uploads, run: Run) -> None:
    arrays = {
        "train_images": np.arange(3 * 784, dtype=np.uint8).reshape(3, 28, 28),
        "train_labels": np.array([1, 2, 3], np.uint8),
        "test_images": np.zeros((2, 28, 28), np.uint8),
        "test_labels": np.array([4, 5], np.uint8),
    }
    digest = hashlib.sha256()
    for name, array in arrays.items():
        digest.update(array.tobytes() if "images" in name else array.astype("<i8").tobytes())
    version = f"{MINE}/versions/1"
    service.answers["GET", version] = Reply(document=a_dataset_version(sha256=digest.hexdigest()))
    service.answers["GET", f"{version}/crops"] = Reply(body=save(arrays))

    path = client.datasets.download("mine")

    assert path == Path("mine-1.npz")
    with np.load(path, allow_pickle=False) as stored:
        assert {name: stored[name].tolist() for name in stored} == {
            "x_train": arrays["train_images"].tolist(),
            "y_train": [1, 2, 3],
            "x_test": arrays["test_images"].tolist(),
            "y_test": [4, 5],
        }
    assert "checked" in run("datasets", "download", "mine@1", "again.npz").stdout
    assert Path("again.npz").read_bytes() == path.read_bytes()
    arrays["train_labels"][0] = 9
    for damaged in (save(arrays), b"", b"\xff" * 100):
        service.answers["GET", f"{version}/crops"] = Reply(body=damaged)
        with pytest.raises(DownloadDamagedError):
            client.datasets.download("mine", 1, "again.npz")
    assert Path("again.npz").read_bytes() == path.read_bytes()


def test_adding_says_what_was_imported_and_what_comes_next(run: Run, file: Path) -> None:
    said = run("datasets", "add", "mine", str(file)).stdout

    assert "ada~mine@1: 40 training and 10 test crops." in said
    assert "12 crops look inverted" in said
    assert "hxserve train --dataset ada~mine@1" in said


def test_a_refused_import_is_said_in_words(run: Run, service: Uploads, file: Path) -> None:
    words = "digits.npz: y_train has the label 11 at place 3; labels are 0 to 9"
    service.jobs[0] = job_record(
        "failed", kind="import", model="", error={"code": "invalid_input", "message": words}
    )

    result = run("datasets", "add", "mine", str(file))

    assert result.exit_code == 1
    assert f"hxserve: invalid_input: job {JOB_ID} failed: {words}" in result.stderr


def test_an_upload_without_waiting_says_how_to_watch_it(run: Run, file: Path) -> None:
    assert f"hxserve jobs watch {JOB_ID}" in run("datasets", "add", "mine", str(file), "--no-wait").stdout
    record = json.loads(run("--json", "datasets", "add", "mine", str(file)).stdout)
    assert record["result"] == IMPORTED


def test_a_data_set_is_shown_with_counts_files_and_remarks(run: Run) -> None:
    said = run("datasets", "show", "mine", "--sheet", "sheet.png").stdout
    lines = [line.split() for line in said.splitlines()]

    assert ["test", *["1"] * 9, "2", "11"] in lines
    assert "from digits.zip: 9,000 bytes, sha256 abababababababab" in said
    assert "remark: 3 training crops are also in the test part" in said
    assert Path("sheet.png").read_bytes() == b"a picture"


def test_the_list_shows_sizes_and_for_whom_they_are(run: Run) -> None:
    lines = [line.split() for line in run("datasets").stdout.splitlines()]

    assert (lines[-2][:4], lines[-2][-2:]) == (["mine", "1", "40", "11"], ["ada", "alone"])
    assert lines[-1] == ["broken", "1", "everyone"]


def test_deleting_is_confirmed(run: Run, service: Uploads) -> None:
    refused = run("datasets", "delete", "mine")
    assert refused.exit_code == 2
    assert service.requests == []

    assert "Version 1 of mine is deleted." in run("datasets", "delete", "mine@1", "--yes").stdout
    assert (
        "Data set mine with all its versions is deleted." in run("datasets", "delete", "mine", "--yes").stdout
    )
    assert [request.path for request in service.requests] == [f"{MINE}/versions/1", MINE]


def test_a_missing_data_set_is_explained(run: Run) -> None:
    result = run("datasets", "show", "nothing")

    assert result.exit_code == 1
    assert "not_found" in result.stderr

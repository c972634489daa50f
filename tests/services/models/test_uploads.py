"""Files of uploads: durable, checked, and gone once nothing needs them."""

import hashlib
import os
import time
from pathlib import Path

import pytest

from services.errors import InvalidInputError, StorageError
from services.models.uploads import Uploads


@pytest.fixture
def uploads(tmp_path: Path) -> Uploads:
    return Uploads(tmp_path / "saves")


def _age(path: Path, seconds: float) -> None:
    at = time.time() - seconds
    os.utime(path, (at, at))


def test_a_file_is_read_as_it_was_written(uploads: Uploads) -> None:
    uploads.keep("job-1", b"a version")

    assert uploads.read("job-1", hashlib.sha256(b"a version").hexdigest()) == b"a version"


@pytest.mark.parametrize(("content", "said"), [(b"another", "damaged"), (None, "gone")])
def test_a_file_that_is_not_what_was_uploaded_is_refused(
    uploads: Uploads, content: bytes | None, said: str
) -> None:
    if content is not None:
        uploads.keep("job-1", content)

    with pytest.raises(InvalidInputError, match=f"the uploaded file is {said}; upload the version again"):
        uploads.read("job-1", hashlib.sha256(b"a version").hexdigest())


def test_a_folder_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    (tmp_path / "saves").write_text("a file")

    with pytest.raises(StorageError):
        Uploads(tmp_path / "saves").keep("job-1", b"a version")


def test_files_of_ended_jobs_are_deleted_once_they_are_old(uploads: Uploads, tmp_path: Path) -> None:
    for job in ("ended", "waiting", "being-recorded"):
        uploads.keep(job, b"a version")
    for job in ("ended", "waiting"):
        _age(tmp_path / "saves" / f"{job}.upload", 200)
    (tmp_path / "saves" / "ended.safetensors").write_bytes(b"a save")

    uploads.discard_ended(lambda: ["waiting"])

    assert {path.name for path in (tmp_path / "saves").iterdir()} == {
        "waiting.upload",
        "being-recorded.upload",
        "ended.safetensors",
    }


def test_nothing_is_asked_while_there_is_no_old_file(uploads: Uploads) -> None:
    uploads.keep("job-1", b"a version")

    def unfinished() -> list[str]:
        raise AssertionError("asked for nothing")

    uploads.discard_ended(unfinished)

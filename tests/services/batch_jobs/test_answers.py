"""The answers of batch jobs on the disk."""

from pathlib import Path

import pytest

from services.batch_jobs.answers import BatchStore
from services.batch_jobs.parts import Totals, parts_of
from services.errors import BatchDamagedError, LeaseLostError, StorageError
from tests.services.batch_jobs.parts import a_part

JOB = "job"


@pytest.fixture
def store(tmp_path: Path) -> BatchStore:
    return BatchStore(tmp_path / "batches")


def test_a_job_without_answers_has_none(store: BatchStore) -> None:
    assert store.paths(JOB) == []
    assert store.totals(JOB) == Totals()
    assert store.job_ids() == []


def test_parts_follow_each_other_and_their_sums_are_added(store: BatchStore) -> None:
    store.keep(JOB, a_part(0, [4, 3]))
    store.keep(JOB, a_part(7, [5], first_call=2, unreadable=1))

    first, second = parts_of(store.paths(JOB))

    assert (first.first, second.first) == (0, 7)
    assert first.digits.tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert second.calls.tolist() == [2] * 5
    assert second.facts.problems == {1: "shows no digit"}
    totals = store.totals(JOB)
    assert (totals.crops, totals.calls, totals.unreadable, totals.chip_s) == (12, 3, 1, 0.75)
    assert sum(totals.digits) == 11


def test_a_part_behind_a_gap_does_not_count(store: BatchStore) -> None:
    store.keep(JOB, a_part(0, [4]))
    store.keep(JOB, a_part(6, [4]))

    assert store.totals(JOB).crops == 4


def test_the_same_part_may_be_written_again_but_no_other_one(store: BatchStore) -> None:
    store.keep(JOB, a_part(0, [4]))
    store.keep(JOB, a_part(0, [4]))

    with pytest.raises(LeaseLostError, match="another worker has read the crops of job job from 0 on"):
        store.keep(JOB, a_part(0, [5]))

    assert store.totals(JOB).crops == 4
    assert [path.name for path in (store.paths(JOB)[0].parent).iterdir()] == ["00000000.safetensors"]


@pytest.mark.parametrize("keep", [0, 5, 40, -3])
def test_a_damaged_part_is_named(store: BatchStore, keep: int) -> None:
    store.keep(JOB, a_part(0, [4]))
    [path] = store.paths(JOB)
    path.write_bytes(path.read_bytes()[:keep])

    with pytest.raises(BatchDamagedError, match=r"00000000.safetensors of job job are damaged"):
        list(parts_of(store.paths(JOB)))


def test_a_folder_that_cannot_be_written_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(StorageError):
        BatchStore(tmp_path / "file").keep(JOB, a_part(0, [4]))


def test_answers_of_jobs_that_are_forgotten_are_deleted(
    store: BatchStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for job in ("old", "known", "young"):
        store.keep(job, a_part(0, [4]))
    monkeypatch.setattr(BatchStore, "_age_s", lambda _, job: 0.0 if job == "young" else 1000.0)

    store.discard_forgotten(lambda ids: set(ids) & {"known"}, 999.0)

    assert sorted(store.job_ids()) == ["known", "young"]


def test_arrays_have_their_types(store: BatchStore) -> None:
    store.keep(JOB, a_part(0, [4]))

    [part] = parts_of(store.paths(JOB))

    assert (part.digits.dtype.name, part.scores.dtype.name, part.scores.shape) == ("uint8", "int8", (4, 10))
    assert (part.confidences.dtype.name, part.calls.dtype.name) == ("float32", "uint32")

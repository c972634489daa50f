"""Saving beside the work: nothing is mixed up, and failures are heard of."""

import threading
from pathlib import Path

import pytest
import torch

from services.errors import StorageError
from worker.background_saves import BackgroundSaves
from worker.checkpoints import Saves
from worker.learning.training_state import TrainerState


@pytest.fixture
def saves(tmp_path: Path) -> BackgroundSaves:
    return BackgroundSaves(Saves(tmp_path / "saves"))


def _state(step: int) -> TrainerState:
    return TrainerState(tensors={"w": torch.full((3, 2), float(step))}, facts={"step_count": step})


def test_what_was_handed_over_last_is_read(saves: BackgroundSaves) -> None:
    for step in range(20):
        saves.write("a", _state(step))

    read = saves.read("a")

    assert read is not None
    assert read.facts["step_count"] == 19


def test_after_a_flush_another_process_finds_the_state(saves: BackgroundSaves) -> None:
    saves.write("a", _state(3))
    saves.write("b", _state(5))

    saves.flush("a")
    saves.flush("b")

    assert [Saves(saves.folder).step_of(job) for job in ("a", "b")] == [3, 5]


def test_what_is_deleted_does_not_come_back(saves: BackgroundSaves) -> None:
    for step in range(20):
        saves.write("a", _state(step))

    saves.delete("a")
    saves.write("b", _state(1))
    saves.flush("b")

    assert saves.job_ids() == {"b"}


def test_a_disk_that_refuses_is_heard_of_at_the_next_save_and_then_tried_again(tmp_path: Path) -> None:
    in_the_way = tmp_path / "saves"
    in_the_way.write_text("no folder")
    saves = BackgroundSaves(Saves(in_the_way))
    saves.write("a", _state(1))
    with pytest.raises(StorageError):
        saves.flush("a")
    in_the_way.unlink()

    saves.write("a", _state(2))
    saves.flush("a")

    assert saves.step_of("a") == 2


def test_the_worker_does_not_wait_for_the_disk(
    saves: BackgroundSaves, monkeypatch: pytest.MonkeyPatch
) -> None:
    permission = threading.Event()

    def write_slowly(self: Saves, job_id: str, state: TrainerState) -> None:
        assert permission.wait(20)
        original(self, job_id, state)

    original = Saves.write
    monkeypatch.setattr(Saves, "write", write_slowly)

    for step in range(5):
        saves.write("a", _state(step))
    present = saves.job_ids()
    permission.set()
    saves.flush("a")

    assert (present, saves.step_of("a")) == (set(), 4)

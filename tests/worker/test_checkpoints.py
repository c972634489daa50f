"""Weights and saves as files: whole or as good as none."""

import resource
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.errors import CheckpointDamagedError, StorageError
from worker.checkpoints import Saves, pack_weights, read_weights, software_versions
from worker.learning.training_state import TrainerState

STATE = TrainerState(
    tensors={"weight": torch.arange(24.0).reshape(2, 3, 4), "random": torch.arange(7, dtype=torch.uint8)},
    facts={"step_count": 12, "recipe": {"name": "strong"}, "sums": [0.5, None]},
)


def test_weights_come_back_as_they_were() -> None:
    weights = {"a": torch.randn(2, 3, 4), "b": torch.randn(5).expand(3, 5)}

    read = read_weights(pack_weights(weights), "digits@1")

    assert read.keys() == weights.keys()
    assert all(torch.equal(read[name], weights[name]) for name in weights)


@pytest.mark.parametrize("content", [b"", b"x", b"\x80\x04pickle", bytes(100)])
def test_weights_that_are_not_safetensors_are_refused(content: bytes) -> None:
    with pytest.raises(CheckpointDamagedError, match="digits@1 are not a safetensors file"):
        read_weights(content, "digits@1")


def test_the_versions_that_decide_the_numbers_are_stated() -> None:
    assert {"hxserve", "torch", "numpy"} <= software_versions().keys()


def test_a_save_is_read_back_as_it_was(saves: Saves) -> None:
    saves.write("job", STATE)

    read = saves.read("job")

    assert read is not None
    assert read.facts == STATE.facts
    assert read.tensors.keys() == STATE.tensors.keys()
    assert all(torch.equal(read.tensors[name], STATE.tensors[name]) for name in STATE.tensors)
    assert saves.step_of("job") == 12


def test_there_is_no_save_of_a_job_that_never_saved(saves: Saves) -> None:
    assert saves.read("job") is None
    assert saves.step_of("job") == -1


def test_a_save_replaces_the_one_before(saves: Saves, tmp_path: Path) -> None:
    saves.write("job", TrainerState(STATE.tensors, {"step_count": 1}))

    saves.write("job", STATE)

    assert saves.step_of("job") == 12
    assert [path.name for path in (tmp_path / "saves").iterdir()] == ["job.safetensors"]


def test_a_forgotten_save_is_gone(saves: Saves) -> None:
    saves.write("job", STATE)

    saves.delete("job")
    saves.delete("job")

    assert saves.read("job") is None


@given(st.integers(0, 2**16), st.none() | st.integers(0, 7))
@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_save_cut_short_or_with_a_flipped_bit_is_as_good_as_none_and_never_an_error(
    saves: Saves, tmp_path: Path, place: int, bit: int | None
) -> None:
    saves.write("job", STATE)
    path = tmp_path / "saves" / "job.safetensors"
    content = bytearray(path.read_bytes())
    if bit is None:
        content = content[: place % len(content)]
    else:
        content[place % len(content)] ^= 1 << bit
    path.write_bytes(content)

    assert saves.read("job") is None


def test_a_damaged_save_is_said_aloud(saves: Saves, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    saves.write("job", STATE)
    path = tmp_path / "saves" / "job.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\x55")

    saves.read("job")

    assert "save of job job is damaged, it starts again: its checksum" in caplog.text


def test_on_a_full_disk_the_save_before_is_still_there(saves: Saves) -> None:
    saves.write("job", STATE)
    big = TrainerState({"weight": torch.zeros(100_000)}, {"step_count": 13})
    _, hard = limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))

    try:
        with pytest.raises(StorageError, match="free disk space"):
            saves.write("job", big)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    assert saves.step_of("job") == 12


def test_a_folder_that_cannot_be_made_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(StorageError, match="cannot be written"):
        Saves(tmp_path / "file" / "saves").write("job", STATE)

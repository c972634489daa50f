"""Trials: what a candidate reads, when, and what is kept of it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from services.chips.series import SeriesStore, Trial
from services.chips.store import Lease
from services.crops.answers import CROP_BYTES
from services.crops.lanes import Lane
from services.errors import ChipError
from services.models.aliases import Alias, Rollout
from services.models.files import ModelStore
from services.store.connection import Connection
from tests.services.samples import an_origin, some_crops
from tests.worker.conftest import TINY
from tests.worker.scripted import ScriptedSession
from worker import trials as trials_module
from worker.checkpoints import pack_weights
from worker.chip import ChipSession
from worker.serving import LoadedVersions
from worker.trials import Trials

ADA = Lane("digits", "1", "ada")
TRIAL = Trial("digits", "1", "2")


@pytest.fixture
def series(connection: Connection) -> SeriesStore:
    return SeriesStore(connection)


@pytest.fixture
def rolled_out(tiny_model: ModelStore, tiny_weights: dict[str, torch.Tensor]) -> ModelStore:
    """A model whose third version has other weights; the second is on trial beside the first, an equal one."""
    others = {name: tensor.flip(0) for name, tensor in tiny_weights.items()}
    tiny_model.publish(an_origin(job="c", network=TINY), pack_weights(others))
    tiny_model.set_alias("digits", "production", "1")
    _roll_out(tiny_model, "2")
    return tiny_model


def _roll_out(models: ModelStore, candidate: str | None, shadow: float = 1.0) -> None:
    rollout = candidate and Rollout(candidate=candidate, share=0.0, shadow=shadow, user="ada", since=0.0)

    def change(present: Alias | None) -> Alias | None:
        return present and present.model_copy(update={"rollout": rollout or None})

    models.alias_files.change("digits", "production", change)


@pytest.fixture
def trials(lease: Lease, session: ChipSession, rolled_out: ModelStore, series: SeriesStore) -> Trials:
    return Trials(lease, session, rolled_out, LoadedVersions(session, rolled_out), series)


@pytest.fixture(autouse=True)
def _points_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every crop makes a point, and rollouts are looked up each time."""
    monkeypatch.setattr(trials_module, "_SHORTEST_POINT_S", 0.0)
    monkeypatch.setattr(trials_module, "_LONGEST_POINT_S", 0.0)
    monkeypatch.setattr(trials_module, "_FRESH_S", -1.0)


def _crops(count: int) -> NDArray[np.uint8]:
    return np.frombuffer(some_crops(count), np.uint8).reshape(count, CROP_BYTES)


def _note(
    trials: Trials, session: ChipSession, models: ModelStore, count: int, lane: Lane = ADA, repeats: int = 1
) -> None:
    crops = _crops(count)
    trials.note(lane, crops, LoadedVersions(session, models).get("digits", "1").read(crops, repeats), repeats)


def _sum(series: SeriesStore, field: str, trial: Trial = TRIAL) -> float:
    return sum(point[field] for point in series.of_trial(trial))


def test_an_equal_candidate_agrees_in_all_crops(
    trials: Trials, session: ChipSession, rolled_out: ModelStore, series: SeriesStore
) -> None:
    _note(trials, session, rolled_out, 150)
    while trials.wait:
        trials.step()

    assert [_sum(series, field) for field in ("crops", "disagreements", "dropped")] == [150, 0, 0]
    assert _sum(series, "confidence") == pytest.approx(_sum(series, "candidate_confidence"))
    assert trials.describe()["digits"]["crops"] == 150


def test_another_candidate_disagrees(
    trials: Trials, session: ChipSession, rolled_out: ModelStore, series: SeriesStore
) -> None:
    _roll_out(rolled_out, "3")
    versions, crops = LoadedVersions(session, rolled_out), _crops(100)
    digits = [versions.get("digits", number).read(crops, 1).digits for number in ("1", "3")]
    different = int((digits[0] != digits[1]).sum())

    _note(trials, session, rolled_out, 100)
    while trials.wait:
        trials.step()

    assert different > 0
    assert _sum(series, "disagreements", Trial("digits", "1", "3")) == different


def test_a_share_of_the_crops_is_read(trials: Trials, session: ChipSession, rolled_out: ModelStore) -> None:
    _roll_out(rolled_out, "2", shadow=0.25)

    _note(trials, session, rolled_out, 2000)
    while trials.wait:
        trials.step()

    assert trials.describe()["digits"]["crops"] == pytest.approx(500, abs=120)


@pytest.mark.parametrize("lane", [Lane("digits", "2", "ada"), Lane("digits", "3", "ada")])
def test_crops_of_versions_without_a_rollout_are_not_read(
    trials: Trials, session: ChipSession, rolled_out: ModelStore, lane: Lane
) -> None:
    _note(trials, session, rolled_out, 9, lane)

    assert not trials.wait


def test_nothing_is_read_after_the_rollout(
    trials: Trials, session: ChipSession, rolled_out: ModelStore, series: SeriesStore
) -> None:
    _note(trials, session, rolled_out, 9)
    _roll_out(rolled_out, None)

    trials.step()
    _note(trials, session, rolled_out, 9)

    assert not trials.wait
    assert series.of_trial(TRIAL) == []


def test_crops_beyond_the_memory_are_dropped_and_counted(
    trials: Trials, session: ChipSession, rolled_out: ModelStore, series: SeriesStore
) -> None:
    for _ in range(5):
        _note(trials, session, rolled_out, 500)
    trials.keep()
    dropped = _sum(series, "dropped")
    while trials.wait:
        trials.step()

    assert dropped == 2500 - 2048
    assert [_sum(series, field) for field in ("crops", "dropped")] == [2048, dropped]


def test_a_step_reads_few_crops_however_often_each(
    trials: Trials, session: ChipSession, rolled_out: ModelStore
) -> None:
    _note(trials, session, rolled_out, 10, repeats=16)

    read = []
    while trials.wait:
        trials.step()
        read.append(trials.describe()["digits"]["crops"])

    assert read == [4, 8, 10]


def test_a_candidate_bound_to_another_chip_reads_nothing(
    trials: Trials, session: ChipSession, rolled_out: ModelStore, series: SeriesStore
) -> None:
    manifest = rolled_out.publish(
        an_origin(job="d", network=TINY, execution="chip", identifier="far"),
        rolled_out.weights("digits", "1"),
    )
    _roll_out(rolled_out, manifest.version)

    _note(trials, session, rolled_out, 9)
    trials.step()

    trial = Trial("digits", "1", manifest.version)
    assert [_sum(series, field, trial) for field in ("crops", "dropped")] == [0, 9]


def test_a_damaged_candidate_is_dropped_and_the_worker_goes_on(
    trials: Trials, session: ChipSession, rolled_out: ModelStore, series: SeriesStore, tmp_path: Path
) -> None:
    (tmp_path / "models/digits/2/weights.safetensors").write_bytes(b"damaged")

    _note(trials, session, rolled_out, 9)
    trials.step()

    assert [_sum(series, field) for field in ("crops", "dropped")] == [0, 9]


def test_crops_on_which_the_chip_failed_are_not_tried_again(
    lease: Lease, session: ChipSession, rolled_out: ModelStore, series: SeriesStore
) -> None:
    scripted = ScriptedSession(session)
    trials = Trials(lease, scripted, rolled_out, LoadedVersions(session, rolled_out), series)
    _note(trials, session, rolled_out, 9)
    scripted.failures.append(ChipError())

    with pytest.raises(ChipError):
        trials.step()

    assert not trials.wait
    assert trials.describe()["digits"]["dropped"] == 9


def test_points_of_a_long_rollout_are_far_apart(
    monkeypatch: pytest.MonkeyPatch,
    trials: Trials,
    session: ChipSession,
    rolled_out: ModelStore,
    series: SeriesStore,
) -> None:
    monkeypatch.setattr(trials_module, "_LONGEST_POINT_S", 600.0)

    _note(trials, session, rolled_out, 9)  # of a rollout that began in 1970
    trials.step()

    assert series.of_trial(TRIAL) == []

"""Crops through the chip: everybody gets their own answers, whatever else is in the batch."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from services.chips.series import SeriesStore
from services.chips.store import Lease
from services.crops.answers import CROP_BYTES, Answer
from services.crops.claims import Prefetch
from services.crops.extras import Extras
from services.crops.lanes import Lane
from services.crops.store import CropStore
from services.errors import ChipError, ChipUnavailableError
from services.jobs.record import JobState
from services.jobs.store import JobStore
from services.jobs.usage import UsageStore
from services.models.files import ModelStore
from services.store.connection import Connection
from tests.services.samples import LONG_AGO_S, accept, acceptance, some_crops
from tests.worker.conftest import TINY
from tests.worker.scripted import ScriptedSession
from worker.batches import Batches
from worker.chip import ChipSession
from worker.learning.inference import Classifier
from worker.serving import LoadedVersion, LoadedVersions, Reading
from worker.shadow import Shadow

REPLY = "hx:replies:here"
NOW = 0.0


@pytest.fixture
def batches(
    lease: Lease, session: ChipSession, crops: CropStore, tiny_model: ModelStore, connection: Connection
) -> Batches:
    shadow = Shadow(lease, SeriesStore(connection), share=0.0)
    return Batches(lease, session, crops, LoadedVersions(session, tiny_model), shadow, batch_crops=8)


@pytest.fixture
def classifier(session: ChipSession, tiny_weights: dict[str, torch.Tensor]) -> Classifier:
    return Classifier(TINY, tiny_weights, session.perceptron)


def _scores(classifier: Classifier, crops: bytes) -> NDArray[np.int8]:
    return classifier.scores(np.frombuffer(crops, np.uint8).reshape(-1, CROP_BYTES))


def _replies(connection: Connection) -> list[tuple[str, int, Answer]]:
    client: Any = connection.client
    return [
        (i, part, Answer.unpack(answer))
        for _, entry in client.xrange(REPLY)
        for i, part, answer in msgpack.unpackb(entry[b"batch"])
    ]


def test_answers_are_those_of_the_network_on_the_same_crops(
    batches: Batches, crops: CropStore, connection: Connection, classifier: Classifier
) -> None:
    sent = some_crops(5)
    accept(crops, [sent], reply_to=REPLY)

    batches.run(batches.claim("digits@1", {"ada": 5}), NOW)

    [(_, _, answer)] = _replies(connection)
    expected = _scores(classifier, sent)
    assert len({row.tobytes() for row in expected}) > 1
    assert answer.scores == expected.tobytes()


def test_confidences_are_those_of_the_scores(
    batches: Batches, crops: CropStore, connection: Connection, classifier: Classifier
) -> None:
    accept(crops, [some_crops(3)], reply_to=REPLY)

    batches.run(batches.claim("digits@1", {"ada": 3}), NOW)

    [(_, _, answer)] = _replies(connection)
    logits = torch.from_numpy(_scores(classifier, some_crops(3)).astype(np.float32)) * 0.1
    expected = torch.softmax(logits, 1).amax(1).numpy()
    assert np.frombuffer(answer.confidences, np.float32) == pytest.approx(expected, abs=1e-5)


def test_parts_of_several_users_and_sizes_come_back_to_the_right_ones(
    batches: Batches, crops: CropStore, connection: Connection, classifier: Classifier
) -> None:
    sent: dict[tuple[str, int], bytes] = {}
    for number, user in enumerate(["ada", "grace", "joan"] * 3):
        parts = [some_crops(1 + number % 3, number), some_crops(2, 100 + number)]
        job, _ = accept(crops, parts, lane=Lane("digits", "1", user), reply_to=REPLY)
        sent.update({(job.id, part): content for part, content in enumerate(parts)})

    for _ in range(3):
        batches.run(batches.claim("digits@1", {"ada": 6, "grace": 6, "joan": 6}), NOW)

    answered = _replies(connection)
    assert Counter((i, part) for i, part, _ in answered) == Counter(list(sent))
    for i, part, answer in answered:
        assert answer.scores == _scores(classifier, sent[i, part]).tobytes()


def test_crops_of_two_users_that_came_in_the_same_moment_are_not_mixed_up(
    batches: Batches, crops: CropStore, connection: Connection, classifier: Classifier
) -> None:
    # Each lane numbers its entries by the millisecond, so those of one step have the same number.
    sent = {f"request-{n}": some_crops(1 + n % 2, n) for n in range(40)}
    lanes = [Lane("digits", "1", user) for user in ("ada", "grace")]
    requests = [
        acceptance([content], request_id=request, lane=lanes[n % 2])
        for n, (request, content) in enumerate(sent.items())
    ]
    crops.accept(REPLY, requests)

    for _ in range(40):
        batches.run(batches.claim("digits@1", {"ada": 4, "grace": 4}), NOW)

    answered = {i: answer.scores for i, _, answer in _replies(connection)}
    assert answered == {i: _scores(classifier, content).tobytes() for i, content in sent.items()}


def test_no_batch_has_more_crops_than_it_may(
    batches: Batches, crops: CropStore, connection: Connection
) -> None:
    for number in range(6):
        accept(crops, [some_crops(3, number)], reply_to=REPLY)

    batches.run(batches.claim("digits@1", {"ada": 18}), NOW)

    sizes = [a.provenance.batch_crops for _, _, a in _replies(connection) if a.provenance]
    assert sizes == [6] * 6


def test_slots_tell_the_crops_of_a_batch_apart(
    batches: Batches, crops: CropStore, connection: Connection
) -> None:
    for size in (2, 3, 1):
        accept(crops, [some_crops(size)], reply_to=REPLY)

    batches.run(batches.claim("digits@1", {"ada": 6}), NOW)

    assert sorted(answer.slot for _, _, answer in _replies(connection)) == [0, 2, 5]


def test_users_share_the_time_of_a_batch_by_their_crops(
    batches: Batches, crops: CropStore, usage: UsageStore
) -> None:
    accept(crops, [some_crops(6)], lane=Lane("digits", "1", "ada"))
    accept(crops, [some_crops(2)], lane=Lane("digits", "1", "grace"))

    batches.run(batches.claim("digits@1", {"ada": 6, "grace": 2}), NOW)

    used = {user: kinds["classification"] for user, kinds in usage.by_user(["classification"]).items()}
    assert used["ada"] == pytest.approx(3 * used["grace"], abs=1e-5)


def test_the_version_on_the_chip_is_the_one_run_last(batches: Batches, crops: CropStore) -> None:
    for version in ("1", "2"):
        accept(crops, [some_crops(1)], lane=Lane("digits", version, "ada"))

    on_chip = []
    for version in ("1", "2"):
        batches.run(batches.claim(f"digits@{version}", {"ada": 1}), NOW)
        on_chip.append(batches.on_chip)

    assert on_chip == ["digits@1", "digits@2"]


def test_expired_crops_are_not_run_and_their_neighbours_are(
    batches: Batches, crops: CropStore, jobs: JobStore
) -> None:
    late, _ = accept(crops, [some_crops(1)], deadline_s=LONG_AGO_S)
    other, _ = accept(crops, [some_crops(1)])

    batches.run(batches.claim("digits@1", {"ada": 2}), NOW)

    ended = jobs.get(late.id)
    assert (ended.state, ended.started_at) == (JobState.EXPIRED, None)
    assert ended.error is not None
    assert ended.error["code"] == "expired"
    assert jobs.get(other.id).state is JobState.SUCCEEDED


def _truncate(manifest: Path, weights: Path) -> None:
    del manifest
    weights.write_bytes(weights.read_bytes()[:-1])


def _forge(manifest: Path, weights: Path) -> None:
    del weights
    content = json.loads(manifest.read_text())
    content["network"]["hidden"] = [0]
    manifest.write_text(json.dumps(content))


def _of_another_network(manifest: Path, weights: Path) -> None:
    del weights
    content = json.loads(manifest.read_text())
    content["network"]["hidden"] = [7, 5]
    manifest.write_text(json.dumps(content))


@pytest.mark.parametrize("damage", [_truncate, _forge, _of_another_network])
def test_crops_for_a_damaged_version_are_answered_with_the_error_and_others_are_unharmed(
    damage: Any, batches: Batches, crops: CropStore, jobs: JobStore, tmp_path: Path
) -> None:
    folder = tmp_path / "models/digits/1"
    damage(folder / "manifest.json", folder / "weights.safetensors")
    hit, _ = accept(crops, [some_crops(1)], lane=Lane("digits", "1", "ada"))
    spared, _ = accept(crops, [some_crops(1)], lane=Lane("digits", "2", "ada"))

    batches.run(batches.claim("digits@1", {"ada": 1}), NOW)
    batches.run(batches.claim("digits@2", {"ada": 1}), NOW)

    failed = jobs.get(hit.id)
    assert failed.state is JobState.FAILED
    assert failed.error is not None
    assert failed.error["code"] == "checkpoint_damaged"
    assert jobs.get(spared.id).state is JobState.SUCCEEDED


def test_crops_for_a_version_that_was_deleted_are_answered_with_the_error(
    batches: Batches, crops: CropStore, jobs: JobStore, tiny_model: ModelStore
) -> None:
    job, _ = accept(crops, [some_crops(1)])
    tiny_model.delete_version("digits", "1")

    batches.run(batches.claim("digits@1", {"ada": 1}), NOW)

    error = jobs.get(job.id).error
    assert error is not None
    assert error["code"] == "model_not_found"


def test_what_a_dead_worker_left_is_run_by_the_next(
    batches: Batches, crops: CropStore, lease: Lease, jobs: JobStore
) -> None:
    left = [accept(crops, [some_crops(1)], lane=Lane("digits", v, "ada"))[0] for v in ("1", "2", "1")]
    crops.claim(lease, {"digits@1:ada": 2, "digits@2:ada": 1})

    recovered = batches.recover(NOW, after_death=True)

    assert recovered == 3
    assert {jobs.get(job.id).state for job in left} == {JobState.SUCCEEDED}


def test_crops_that_ended_their_worker_three_times_are_set_aside(
    batches: Batches, crops: CropStore, lease: Lease, jobs: JobStore
) -> None:
    job, _ = accept(crops, [some_crops(1)])
    crops.claim(lease, {"digits@1:ada": 1})
    for _ in range(2):
        crops.recover(lease, after_death=True)

    batches.recover(NOW, after_death=True)

    error = jobs.get(job.id).error
    assert error is not None
    assert error["code"] == "job_crashed"


@pytest.fixture
def scripted(session: ChipSession) -> ScriptedSession:
    """A chip that fails when it is told to."""
    return ScriptedSession(session)


@pytest.fixture
def failing(
    lease: Lease, scripted: ScriptedSession, crops: CropStore, tiny_model: ModelStore, connection: Connection
) -> Batches:
    """Batches on that chip."""
    shadow = Shadow(lease, SeriesStore(connection), share=0.0)
    return Batches(lease, scripted, crops, LoadedVersions(scripted, tiny_model), shadow, batch_crops=8)


def test_crops_that_the_chip_fails_are_tried_again(
    failing: Batches, scripted: ScriptedSession, crops: CropStore, jobs: JobStore
) -> None:
    job, _ = accept(crops, [some_crops(1)])
    scripted.failures = [ChipError(), ChipError()]

    with pytest.raises(ChipError):
        failing.run(failing.claim("digits@1", {"ada": 1}), NOW)
    with pytest.raises(ChipError):
        failing.recover(NOW, after_death=False)
    failing.recover(NOW, after_death=False)

    assert jobs.get(job.id).state is JobState.SUCCEEDED


def test_crops_that_the_chip_fails_three_times_are_answered_with_its_error(
    failing: Batches, scripted: ScriptedSession, crops: CropStore, jobs: JobStore
) -> None:
    job, _ = accept(crops, [some_crops(1)])
    scripted.failures = [ChipError("the chip is hot") for _ in range(3)]
    with pytest.raises(ChipError):
        failing.run(failing.claim("digits@1", {"ada": 1}), NOW)
    with pytest.raises(ChipError):
        failing.recover(NOW, after_death=False)

    failing.recover(NOW, after_death=False)

    assert jobs.get(job.id).error == {"code": "chip_failed", "message": "the chip is hot"}


def test_crops_that_no_chip_can_run_are_answered_at_once(
    failing: Batches, scripted: ScriptedSession, crops: CropStore, jobs: JobStore
) -> None:
    job, _ = accept(crops, [some_crops(1)])
    scripted.failures = [ChipUnavailableError("the chip is gone")]

    failing.run(failing.claim("digits@1", {"ada": 1}), NOW)

    assert jobs.get(job.id).error == {"code": "chip_unavailable", "message": "the chip is gone"}


def test_crops_are_not_set_aside_for_interruptions_that_their_worker_survived(
    batches: Batches, crops: CropStore, lease: Lease, jobs: JobStore
) -> None:
    job, _ = accept(crops, [some_crops(1)])
    crops.claim(lease, {"digits@1:ada": 1})
    for _ in range(9):
        crops.recover(lease, after_death=False)

    batches.recover(NOW, after_death=False)

    assert jobs.get(job.id).state is JobState.SUCCEEDED


def test_crops_read_several_times_are_answered_with_how_often(
    batches: Batches, crops: CropStore, connection: Connection, classifier: Classifier
) -> None:
    requests = [
        acceptance([some_crops(2, number)], request_id=f"r{repeats}", repeats=repeats)
        for number, repeats in enumerate([1, 3])
    ]
    crops.accept(REPLY, requests)

    batches.run(batches.claim("digits@1", {"ada": 4}), NOW)

    answers = {i: answer for i, _, answer in _replies(connection)}
    told = {i: (a.provenance.repeats, a.provenance.batch_crops) for i, a in answers.items() if a.provenance}
    assert told == {"r1": (1, 2), "r3": (3, 2)}
    assert answers["r3"].scores == _scores(classifier, some_crops(2, 1)).tobytes()


def test_activations_come_from_the_call_that_read_all_and_only_where_they_were_asked_for(
    batches: Batches, crops: CropStore, connection: Connection, classifier: Classifier
) -> None:
    wanted = {"first": False, "second": True, "third": False, "fourth": True}
    counts = dict(zip(wanted, (1, 2, 3, 2), strict=True))
    sent = {name: some_crops(count, count) for name, count in counts.items()}
    asked = {name: Extras.ACTIVATIONS if is_wanted else Extras.NONE for name, is_wanted in wanted.items()}
    crops.accept(REPLY, [acceptance([sent[name]], request_id=name, extras=asked[name]) for name in wanted])

    batches.run(batches.claim("digits@1", {"ada": 8}), NOW)

    answers = {name: answer for name, _, answer in _replies(connection)}
    assert [answers[name].provenance.batch_crops for name in wanted] == [8] * 4  # type: ignore[union-attr]  # all ran
    for name, is_wanted in wanted.items():
        planes = np.frombuffer(sent[name], np.uint8).reshape(-1, CROP_BYTES)
        scores, hidden = classifier.scores_and_activations(planes)
        assert answers[name].scores == scores.tobytes()
        found = [prediction.get("activations") for prediction in answers[name].predictions()]
        expected = [
            [
                {"layer": layer, "shape": (size,), "values": hidden[layer][crop].tolist()}
                for layer, size in (("relu1", 6), ("relu2", 5))
            ]
            for crop in range(counts[name])
        ]
        assert found == (expected if is_wanted else [None] * counts[name])


def test_mock_arithmetic_reads_the_crops_of_those_who_asked_for_it(
    batches: Batches,
    crops: CropStore,
    connection: Connection,
    classifier: Classifier,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def read_otherwise(version: LoadedVersion, planes: NDArray[np.uint8], repeats: int) -> Reading:
        reading = version.read(planes, repeats)
        return replace(reading, scores=-1 - reading.scores)

    monkeypatch.setattr(LoadedVersion, "read_in_mock", read_otherwise)
    asked = {"first": Extras.NONE, "second": Extras.MOCK, "third": Extras.MOCK | Extras.ACTIVATIONS}
    sent = {name: some_crops(place + 1, place) for place, name in enumerate(asked)}
    crops.accept(REPLY, [acceptance([sent[name]], request_id=name, extras=asked[name]) for name in asked])

    batches.run(batches.claim("digits@1", {"ada": 8}), NOW)

    answers = {name: answer.predictions() for name, _, answer in _replies(connection)}
    assert [list(answers[name][0])[5:] for name in asked] == [[], ["mock"], ["activations", "mock"]]
    for name in ("second", "third"):
        scores = _scores(classifier, sent[name])
        assert [prediction["mock"]["scores"] for prediction in answers[name]] == (-1 - scores).tolist()
        assert [prediction["scores"] for prediction in answers[name]] == scores.tolist()


def test_a_result_of_a_model_learnt_on_another_chip_says_so(
    batches: Batches, crops: CropStore, connection: Connection, tmp_path: Path
) -> None:
    manifest = tmp_path / "models/digits/1/manifest.json"
    learnt = {"execution": "mock-then-chip", "identifier": "hxother"}
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | learnt))
    for version in ("1", "2"):
        accept(crops, [some_crops(1)], lane=Lane("digits", version, "ada"), reply_to=REPLY)

    for version in ("1", "2"):
        batches.run(batches.claim(f"digits@{version}", {"ada": 1}), NOW)

    sent = {
        a.provenance.version: a.provenance.transferred for _, _, a in _replies(connection) if a.provenance
    }
    assert sent == {"1": True, "2": False}


def test_crops_that_cannot_be_read_for_any_reason_are_answered_and_delay_no_others(
    batches: Batches, crops: CropStore, jobs: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def overflow(*_: object, **__: object) -> None:
        raise OverflowError("weights outside -63..63")

    monkeypatch.setattr("worker.serving.LoadedVersion.read", overflow)
    job, _ = accept(crops, [some_crops(1)])

    batches.run(batches.claim("digits@1", {"ada": 1}), NOW)

    failed = jobs.get(job.id)
    assert failed.state is JobState.FAILED
    assert failed.error is not None
    assert "weights outside -63..63" in failed.error["message"]


def test_what_follows_is_claimed_with_the_last_batch_alone(batches: Batches, crops: CropStore) -> None:
    for seed in range(4):
        accept(crops, [some_crops(6, seed)])

    backlog = batches.run(batches.claim("digits@1", {"ada": 12}), NOW, Prefetch("digits@1", 8))

    assert backlog is not None
    assert [entry.crops for entry in backlog.claimed] == [some_crops(6, 2), some_crops(6, 3)]

"""Aliases: what they name, how they came to name it, and that the two never disagree."""

import multiprocessing
import os
import random
import signal
import time
from itertools import count, pairwise
from pathlib import Path

import pytest

from services.errors import ConflictError
from services.models.aliases import Alias, Rollout, moved_to
from services.models.files import LATEST, ModelStore
from tests.services.samples import an_origin

SENDERS = [f"sender-{number}" for number in range(4000)]


def _publish(models: ModelStore, count: int) -> None:
    for number in range(count):
        models.publish(an_origin(job=f"job-{number}"), b"weights")


def _alias(models: ModelStore, alias: str) -> Alias:
    read = models.alias_files.get("digits", alias)
    assert read is not None
    return read


def _roll_out(models: ModelStore, candidate: str, share: float) -> None:
    rollout = Rollout(candidate=candidate, share=share, shadow=0.5, user="ada", since=1.0)

    def change(present: Alias | None) -> Alias | None:
        return present and present.model_copy(update={"rollout": rollout})

    models.alias_files.change("digits", "production", change)


def test_an_alias_keeps_who_moved_it_when_and_why(models: ModelStore) -> None:
    _publish(models, 2)

    models.set_alias("digits", "production", "1", user="ada", why="the first one")
    models.set_alias("digits", "production", "2", user="grace")

    first, second = _alias(models, "production").changes
    assert (first.user, first.action, first.before, first.version) == ("ada", "set", None, "1")
    assert (second.user, second.before, second.version) == ("grace", "1", "2")
    assert (first.why, second.why) == ("the first one", "")
    assert time.time() - 60 < first.at <= second.at <= time.time()


def test_latest_keeps_the_versions_that_were_published(models: ModelStore) -> None:
    _publish(models, 3)
    models.delete_version("digits", "3", user="ada")

    changes = _alias(models, LATEST).changes
    assert [(change.action, change.version) for change in changes] == [
        *(("published", number) for number in "123"),
        ("set", "2"),
    ]
    assert (changes[-1].user, changes[-1].why) == ("ada", "version 3 was deleted")


def test_an_alias_set_to_what_it_names_changes_nothing(models: ModelStore) -> None:
    _publish(models, 1)

    for _ in range(3):
        models.set_alias("digits", "production", "1")

    assert len(_alias(models, "production").changes) == 1


def test_the_file_of_an_older_service_is_read_and_gets_a_history(models: ModelStore, tmp_path: Path) -> None:
    _publish(models, 2)
    (tmp_path / "models/digits/aliases/production").write_text("1\n", "ascii")

    before = models.find("digits", "production")
    models.set_alias("digits", "production", "2")

    assert before == "1"
    assert models.aliases("digits")["production"] == "2"
    assert _alias(models, "production").earlier == ("1",)


def test_a_damaged_file_names_no_version_until_it_is_set_again(models: ModelStore, tmp_path: Path) -> None:
    _publish(models, 1)
    (tmp_path / "models/digits/aliases/production").write_text('{"version": 7')

    damaged = models.find("digits", "production")
    models.set_alias("digits", "production", "1")

    assert (damaged, models.find("digits", "production")) == (None, "1")


def test_an_old_history_is_cut_and_the_newest_changes_stay(models: ModelStore) -> None:
    _publish(models, 2)
    present = None
    for number in range(600):
        present = moved_to(str(1 + number % 2), "ada", "set", why=str(number))(present)

    assert present is not None
    assert (len(present.changes), present.changes[-1].why, len(present.earlier)) == (500, "599", 500)


def test_changes_by_several_processes_all_get_into_the_history(models: ModelStore) -> None:
    _publish(models, 2)
    processes = [
        multiprocessing.get_context("fork").Process(target=_move_to_and_fro, args=(models.folder, user, 40))
        for user in ("ada", "grace", "joan")
    ]

    for process in processes:
        process.start()
    for process in processes:
        process.join(60)

    changes = _alias(models, "production").changes
    assert all(after.before == before.version for before, after in pairwise(changes))
    assert _alias(models, "production").version == changes[-1].version
    assert not (models.folder / "digits/aliases/.lock").exists()


def _move_to_and_fro(folder: Path, user: str, times: int | None = None) -> None:
    models = ModelStore(folder)
    for number in count() if times is None else range(times):
        models.set_alias("digits", "production", str(1 + number % 2), user=user, why="x" * 2000)


@pytest.mark.parametrize("seed", range(3))
def test_a_kill_leaves_an_alias_and_a_history_that_agree(models: ModelStore, seed: int) -> None:
    _publish(models, 2)
    models.set_alias("digits", "production", "1", user="before")
    pauses = random.Random(seed)

    for _ in range(5):
        changes = len(_alias(models, "production").changes)
        mover = multiprocessing.get_context("fork").Process(
            target=_move_to_and_fro, args=(models.folder, "mover")
        )
        mover.start()
        while len(_alias(models, "production").changes) < min(changes + 2, 400):
            time.sleep(0.001)
        time.sleep(pauses.random() * 0.02)
        assert mover.pid is not None
        os.kill(mover.pid, signal.SIGKILL)
        mover.join(60)

        found = _alias(models, "production")
        assert models.find("digits", "production") == found.version == found.changes[-1].version
        assert found.earlier[-1] == found.changes[-1].before

    models.set_alias("digits", "production", "1" if found.version == "2" else "2", user="after")
    assert _alias(models, "production").changes[-1].user == "after"


def test_a_rollout_answers_its_share_of_the_senders_and_always_the_same(models: ModelStore) -> None:
    _publish(models, 2)
    models.set_alias("digits", "production", "1")

    _roll_out(models, "2", 0.1)
    few = {sender for sender in SENDERS if models.find("digits", "production", sender) == "2"}
    again = {sender for sender in SENDERS if models.find("digits", "production", sender) == "2"}
    _roll_out(models, "2", 0.5)
    many = {sender for sender in SENDERS if models.find("digits", "production", sender) == "2"}

    assert few == again
    assert len(few) == pytest.approx(400, abs=80)
    assert len(many) == pytest.approx(2000, abs=140)
    assert few < many


@pytest.mark.parametrize(("share", "version"), [(0.0, "1"), (1.0, "2")])
def test_a_share_of_none_or_all_is_exact(models: ModelStore, share: float, version: str) -> None:
    _publish(models, 2)
    models.set_alias("digits", "production", "1")

    _roll_out(models, "2", share)

    assert {models.find("digits", "production", sender) for sender in SENDERS} == {version}
    assert models.find("digits", "production") == "1"
    assert models.find("digits", LATEST, "sender-1") == "2"


def test_another_alias_tries_a_candidate_on_other_senders() -> None:
    rollout = Rollout(candidate="2", share=0.5, shadow=0.0, user="ada", since=1.0)

    chosen = [
        [rollout.answers("digits", alias, sender) for sender in SENDERS] for alias in ("production", "beta")
    ]

    alike = sum(a == b for a, b in zip(*chosen, strict=True))
    assert alike == pytest.approx(2000, abs=140)


def test_the_candidate_of_a_rollout_cannot_be_deleted(models: ModelStore) -> None:
    _publish(models, 3)
    models.set_alias("digits", "production", "1")
    _roll_out(models, "2", 0.5)

    with pytest.raises(ConflictError, match="candidate of the rollout of production"):
        models.delete_version("digits", "2")


def test_a_move_ends_a_rollout(models: ModelStore) -> None:
    _publish(models, 3)
    models.set_alias("digits", "production", "1")
    _roll_out(models, "2", 1.0)

    models.set_alias("digits", "production", "3")

    assert _alias(models, "production").rollout is None
    assert models.find("digits", "production", "ada") == "3"

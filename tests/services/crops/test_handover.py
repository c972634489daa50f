"""Crops that are handed over with the bell of a chip that waits: claimed once, by the worker that hears of them."""

import pytest

from services.chips.store import ChipStore, Lease
from services.crops.claims import Backlog, Prefetch, backlog_of_bell
from services.crops.lanes import Lane
from services.crops.store import CropStore
from services.jobs.acceptance import NO_KEY
from services.jobs.record import JobState
from services.jobs.store import JobStore
from tests.services.samples import ADA, CHIP, PLENTY, a_holder, a_job, accept, finish, some_crops

NEXT = Prefetch("digits@1", 8)
SOON_S = 10.0
"""Longer than a bell takes that rang already."""


@pytest.fixture
def waiting(crops: CropStore, lease: Lease) -> Lease:
    """The lease of a chip that has looked for crops of one version, found nothing, and waits."""
    assert not crops.claim(lease, prefetch=NEXT).claimed
    return lease


def _heard(chips: ChipStore) -> Backlog | None:
    rung = chips.wait_for_bell(CHIP, SOON_S)
    assert rung is not None
    return backlog_of_bell(rung)


def test_crops_come_with_the_bell_and_are_claimed(
    chips: ChipStore, crops: CropStore, jobs: JobStore, waiting: Lease
) -> None:
    job, _ = accept(crops, [some_crops(3)])

    heard = _heard(chips)

    assert heard is not None
    assert [(entry.id, entry.crops, entry.claims) for entry in heard.claimed] == [(job.id, some_crops(3), 1)]
    assert [waiting[:2] for waiting in heard.waiting.values()] == [(3, 1)]
    assert jobs.get(job.id).state is JobState.RUNNING
    assert not crops.claim(waiting, {str(ADA): 9}).claimed
    finish(crops, waiting, heard.claimed)
    assert jobs.get(job.id).state is JobState.SUCCEEDED


def test_no_more_crops_come_with_the_bell_than_were_asked_for(
    chips: ChipStore, crops: CropStore, waiting: Lease
) -> None:
    accept(crops, [some_crops(5, seed) for seed in range(3)])

    heard = _heard(chips)

    assert heard is not None
    assert [entry.part for entry in heard.claimed] == [0, 1]
    assert [entry.part for entry in crops.claim(waiting, {str(ADA): 99}).claimed] == [2]


def test_what_comes_after_the_bell_rang_is_left_for_the_next_look(
    chips: ChipStore, crops: CropStore, waiting: Lease
) -> None:
    first, _ = accept(crops, [some_crops(1)])
    second, _ = accept(crops, [some_crops(1)])

    heard = _heard(chips)
    left = crops.claim(waiting, prefetch=NEXT).claimed

    assert heard is not None
    assert [entry.id for entry in heard.claimed] == [first.id]
    assert [entry.id for entry in left] == [second.id]


def test_crops_whose_bell_was_not_heard_are_claimed_by_the_next_look(
    chips: ChipStore, crops: CropStore, waiting: Lease
) -> None:
    job, _ = accept(crops, [some_crops(1)])
    work_is_left = chips.end_turn(waiting)

    claimed = crops.claim(waiting).claimed

    assert work_is_left
    assert [entry.id for entry in claimed] == [job.id]
    assert not chips.bell_rang(CHIP)


def test_crops_whose_bell_a_dead_worker_heard_or_not_are_recovered_once(
    chips: ChipStore, crops: CropStore, waiting: Lease
) -> None:
    job, _ = accept(crops, [some_crops(1)])
    successor = chips.take(CHIP, a_holder("second"), dead=waiting.holder)

    recovered = crops.recover(successor, after_death=True)

    assert [(entry.id, entry.claims) for entry in recovered] == [(job.id, 2)]
    assert not crops.claim(successor, {str(ADA): 9}).claimed


def test_a_turn_that_ended_is_handed_nothing(chips: ChipStore, crops: CropStore, waiting: Lease) -> None:
    chips.end_turn(waiting)

    _, accepted = accept(crops, [some_crops(1)])

    assert accepted.asleep == (CHIP,)
    assert _heard(chips) is None
    assert len(crops.claim(waiting, {str(ADA): 9}).claimed) == 1


@pytest.mark.parametrize("lane", [Lane("digits", "2", "ada"), Lane("digits", "1", "ada", "hxother")], ids=str)
def test_crops_that_the_chip_did_not_ask_for_only_ring_its_bell(
    chips: ChipStore, crops: CropStore, waiting: Lease, lane: Lane
) -> None:
    accept(crops, [some_crops(1)], lane=lane)

    assert _heard(chips) is None
    assert len(crops.claim(waiting, {str(lane): 9}).claimed) == 1


def test_crops_that_come_with_long_work_only_ring_the_bell(
    chips: ChipStore, crops: CropStore, jobs: JobStore, waiting: Lease
) -> None:
    jobs.submit(a_job(), NO_KEY, most=PLENTY)
    rung_for_the_job = _heard(chips)
    accept(crops, [some_crops(1)])

    assert rung_for_the_job is None
    assert _heard(chips) is None
    assert len(crops.claim(waiting, {str(ADA): 9}).claimed) == 1


def test_of_two_chips_that_wait_one_is_handed_the_crops(
    chips: ChipStore, crops: CropStore, waiting: Lease
) -> None:
    other = chips.take("chip-2", a_holder("second"))
    crops.claim(other, prefetch=NEXT)
    accept(crops, [some_crops(1)])

    rung = [chips.wait_for_bell(chip, SOON_S) for chip in (CHIP, "chip-2")]

    heard = [backlog_of_bell(text) for text in rung if text]
    assert len(heard) == 2
    assert [backlog is None for backlog in heard].count(False) == 1
    assert not crops.claim(waiting, {str(ADA): 9}).claimed

"""Mixtures of data sets: what is learnt, held out and tested of each."""

import pytest
import torch

from worker.learning.datasets import Dataset, Part
from worker.learning.mixtures import choose_places, choose_watched, crops_shown, draw_epoch, mix, number_parts


def own(labels: list[int], test_crops: int = 7, name: str = "ada~mine@1") -> Dataset:
    """A stored data set whose training crops have these labels."""
    return Dataset(
        name,
        torch.full((len(labels), 28, 28), 9, dtype=torch.uint8),
        torch.tensor(labels),
        torch.full((test_crops, 28, 28), 5, dtype=torch.uint8),
        torch.arange(test_crops) % 10,
        "Own digits.",
        f"sha256 of {name}",
        (Part(name, f"sha256 of {name}", 1.0, len(labels), test_crops, is_stored=True),),
    )


def test_two_of_each_digit_are_watched_and_none_of_a_stored_data_set(digits: Dataset) -> None:
    alone = choose_watched(digits, among=100, most=15)

    assert len(alone) == 15
    assert alone == sorted(alone)
    assert set(digits.test_labels[alone].tolist()) == set(range(10))
    assert choose_watched(own([3] * 12), among=500) == []
    assert choose_watched(mix([own([3] * 12, test_crops=7), digits], [1.0, 1.0]), among=500)[0] >= 7


def test_a_data_set_alone_with_weight_1_stays_as_it_is(digits: Dataset) -> None:
    assert mix([digits], [1.0]) is digits


def test_a_mixture_holds_the_crops_of_all_its_parts_in_turn(digits: Dataset) -> None:
    mine = own([3] * 12)

    mixed = mix([digits, mine], [0.5, 20.0])

    assert mixed.name == "digits + ada~mine@1"
    assert torch.equal(mixed.train_images, torch.cat((digits.train_images, mine.train_images)))
    assert torch.equal(mixed.test_labels, torch.cat((digits.test_labels, mine.test_labels)))
    assert [(part.name, part.sha256, part.weight) for part in mixed.parts] == [
        ("digits", digits.sha256, 0.5),
        ("ada~mine@1", "sha256 of ada~mine@1", 20.0),
    ]
    assert number_parts([part.test_crops for part in mixed.parts]).bincount().tolist() == [360, 7]


@pytest.mark.parametrize(
    "other",
    [
        mix([own([1] * 5), own([2] * 6, name="bob~his@3")], [1.0, 2.5]),
        mix([own([1] * 5), own([2] * 6, name="bob~his@4")], [1.0, 2.0]),
        mix([own([1] * 5)], [2.0]),
    ],
)
def test_other_parts_or_weights_have_another_fingerprint(other: Dataset) -> None:
    mixed = mix([own([1] * 5), own([2] * 6, name="bob~his@3")], [1.0, 2.0])

    assert mixed.sha256 != other.sha256
    assert mixed.sha256 == mix([own([1] * 5), own([2] * 6, name="bob~his@3")], [1.0, 2.0]).sha256


def test_of_a_stored_data_set_crops_of_every_digit_are_held_out(digits: Dataset) -> None:
    labels = [7] * 5 + [1] * 3 + [4] * 60
    mixed = mix([digits, own(labels)], [1.0, 1.0])

    places = choose_places(mixed, hold_out=True, learns=True)

    assert [len(part) for part in places.scaling] == [72, 1 + 0 + 3]
    assert mixed.train_labels[places.scaling[1]].bincount(minlength=10).tolist() == [0] * 4 + [
        3,
        0,
        0,
        1,
        0,
        0,
    ]
    everything = torch.cat(places.learned + places.scaling).sort().values
    assert torch.equal(everything, torch.arange(1437 + 68))
    assert torch.equal(places.scaling[0], choose_places(digits, hold_out=True, learns=True).scaling[0])


def test_where_nothing_is_held_out_everything_is_learned(digits: Dataset) -> None:
    places = choose_places(mix([digits, own([5] * 10)], [1.0, 1.0]), hold_out=False, learns=True)

    assert torch.equal(torch.cat(places.learned), torch.arange(1447))
    assert [len(part) for part in places.scaling] == [72, 1]


def test_where_nothing_is_learned_the_scale_is_fitted_on_all_stored_crops(digits: Dataset) -> None:
    places = choose_places(mix([digits, own([5] * 10)], [1.0, 1.0]), hold_out=True, learns=False)

    assert [len(part) for part in places.scaling] == [72, 10]


@pytest.mark.parametrize(("weight", "shown"), [(1.0, 30), (2.0, 60), (0.1, 3), (1.5, 45), (0.001, 1)])
def test_the_weight_says_how_often_each_crop_is_shown(weight: float, shown: int) -> None:
    learned = [torch.arange(30), torch.arange(30, 37)]

    order = draw_epoch(learned, [weight, 3.0], repeats=2)

    counts = order.bincount(minlength=37)
    assert crops_shown(30, weight) == shown
    assert (int(counts[:30].sum()), int(counts[30:].sum())) == (2 * shown, 2 * 21)
    assert int(counts[:30].max() - counts[:30].min()) <= 2
    assert counts[30:].tolist() == [6] * 7


def test_a_fraction_is_drawn_anew_in_each_epoch_and_the_parts_are_mixed() -> None:
    torch.manual_seed(3)
    learned = [torch.arange(200), torch.arange(200, 240)]

    first, second = (draw_epoch(learned, [0.2, 1.0], repeats=1) for _ in range(2))

    assert set(first.tolist()) != set(second.tolist())
    assert int(first[:40].max()) >= 200
    assert int(first[40:].min()) < 200


def test_one_data_set_is_drawn_as_it_was_before_there_were_mixtures() -> None:
    torch.manual_seed(8)
    places = torch.arange(5, 95)
    expected = places[torch.cat([torch.randperm(90) for _ in range(3)])].to(torch.int32)
    torch.manual_seed(8)

    assert torch.equal(draw_epoch([places], [1.0], repeats=3), expected)


def test_a_changed_weight_of_a_single_data_set_is_kept() -> None:
    mixed = mix([own([2] * 9)], [4.0])

    assert (mixed.name, mixed.parts[0].weight, len(mixed.train_labels)) == ("ada~mine@1", 4.0, 9)
    assert len(draw_epoch([torch.arange(9)], [4.0], repeats=1)) == 36

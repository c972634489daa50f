"""Several data sets in one training: mixed by weight, crops held out of each, tested apart."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import torch
from torch import Tensor

from worker.learning.datasets import HELD_OUT_PART, Dataset, held_out_order, split_held_out

_ENOUGH_TO_HOLD_OUT: Final = 4
"""Crops of a digit from which one of them is held out at least."""


def mix(datasets: Sequence[Dataset], weights: Sequence[float]) -> Dataset:
    """Put data sets together; one alone with weight 1 stays as it is.

    Args:
        datasets: At least one, none of them a mixture.
        weights: How often each training crop of a data set is shown in an epoch, > 0.
    """
    if len(datasets) == 1 and weights[0] == 1.0:
        return datasets[0]
    parts = tuple(
        replace(dataset.all_parts[0], weight=weight)
        for dataset, weight in zip(datasets, weights, strict=True)
    )
    if len(datasets) == 1:
        images = datasets[0]
    else:
        images = replace(
            datasets[0],
            train_images=torch.cat([dataset.train_images for dataset in datasets]),
            train_labels=torch.cat([dataset.train_labels for dataset in datasets]),
            test_images=torch.cat([dataset.test_images for dataset in datasets]),
            test_labels=torch.cat([dataset.test_labels for dataset in datasets]),
        )
    return replace(
        images,
        name=" + ".join(dataset.name for dataset in datasets),
        note=" ".join(dataset.note for dataset in datasets),
        sha256=hashlib.sha256(
            " ".join(f"{part.sha256}*{part.weight!r}" for part in parts).encode()
        ).hexdigest(),
        parts=parts,
    )


@dataclass(frozen=True, slots=True)
class Places:
    """The use of the training crops of each part: places in the data set, int64, ascending.

    Attributes:
        learned: Crops to learn from.
        scaling: Crops to fit the scale of the scores on, and to validate with.
    """

    learned: list[Tensor]
    scaling: list[Tensor]


def choose_places(dataset: Dataset, *, hold_out: bool, learns: bool) -> Places:
    """Choose the training crops of each part that are learned, and those that are held out.

    Of "mnist" and "digits" those are held out that `split_held_out` says; of a stored data set a twentieth of each
    digit, and one at least of a digit with four crops or more. The choice is always the same.

    Args:
        dataset: The data set.
        hold_out: Whether the crops held out are kept from being learned.
        learns: False: all crops of stored data sets are held out, and nothing is learned.
    """
    learned, scaling, start = [], [], 0
    for part in dataset.all_parts:
        labels = dataset.train_labels[start : start + part.train_crops]
        rest, held_out = _split_every_digit(labels) if part.is_stored else split_held_out(len(labels))
        everything = torch.arange(len(labels))
        learned.append((rest if hold_out else everything) + start)
        scaling.append((everything if part.is_stored and not learns else held_out) + start)
        start += part.train_crops
    return Places(learned, scaling)


def _split_every_digit(labels: Tensor) -> tuple[Tensor, Tensor]:
    order = held_out_order(len(labels))
    rest, chosen = [], []
    for digit in range(10):
        places = order[labels[order] == digit]
        count = held_out_of_digit(len(places))
        chosen.append(places[:count])
        rest.append(places[count:])
    return torch.cat(rest).sort().values, torch.cat(chosen).sort().values


def held_out_of_digit(crops: int) -> int:
    """Return how many of a stored data set's training crops of one digit are held out."""
    return max(round(crops * HELD_OUT_PART), int(crops >= _ENOUGH_TO_HOLD_OUT))


def crops_shown(crops: int, weight: float) -> int:
    """Return how many crops of a part are shown in an epoch, of `crops` to learn from."""
    return max(1, round(crops * weight)) if crops else 0


def draw_epoch(learned: Sequence[Tensor], weights: Sequence[float], repeats: int) -> Tensor:
    """Draw the order in which crops are shown in an epoch, from torch's global generator, `(shown,)` int32.

    Args:
        learned: For each part, the places of the crops to learn from.
        weights: For each part, how often each is shown; the random part of them that a fraction means is drawn anew.
        repeats: How often all of this is repeated.
    """
    drawn = []
    for _ in range(repeats):
        for places, weight in zip(learned, weights, strict=True):
            left = crops_shown(len(places), weight)
            while left > 0:
                drawn.append(places[torch.randperm(len(places))[:left]])
                left -= len(places)
    order = torch.cat(drawn)
    if len(learned) > 1:
        order = order[torch.randperm(len(order))]
    return order.to(torch.int32)


def number_parts(counts: Sequence[int]) -> Tensor:
    """Return the number of the part of each crop, `(crops,)` int64, where part i has `counts[i]` of them."""
    return torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))


def accuracies_of(dataset: Dataset, correct: Tensor) -> dict[str, float]:
    """Return the accuracy in each part of the test set, by name; a part without test crops has none.

    `correct` says of each crop of the test set whether it was read correctly, `(test,)` bool.
    """
    parts = dataset.all_parts
    counts = [part.test_crops for part in parts]
    right = torch.bincount(number_parts(counts)[correct], minlength=len(parts)).tolist()
    return {part.name: n / part.test_crops for part, n in zip(parts, right, strict=True) if part.test_crops}


def choose_watched(dataset: Dataset, among: int, most: int = 12) -> list[int]:
    """Return the places of a few crops of the test set whose readings are shown epoch by epoch, ascending.

    These are the first two of each digit until there are `most`, among the first `among` crops. Crops of stored data
    sets, which may be private, are not among them.
    """
    labels, parts = dataset.test_labels[:among].tolist(), dataset.all_parts
    numbers = number_parts([part.test_crops for part in parts])[:among].tolist()
    seen: Counter[int] = Counter()
    rounds: tuple[list[int], list[int]] = [], []
    for place, (label, part) in enumerate(zip(labels, numbers, strict=True)):
        if seen[label] < len(rounds) and not parts[part].is_stored:
            rounds[seen[label]].append(place)
            seen[label] += 1
    return sorted([*rounds[0], *rounds[1]][:most])


def is_stored_crop(dataset: Dataset, index: int) -> bool:
    """Return whether a crop of the test set is of a stored data set."""
    parts = dataset.all_parts
    return parts[int(number_parts([part.test_crops for part in parts])[index])].is_stored

"""The data sets of a job: what a user's references mean, and how many crops they are."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from services.datasets.files import DatasetStore
from services.datasets.manifest import BUILT_IN, DatasetManifest
from services.datasets.registry import DatasetRegistry
from services.errors import InvalidInputError
from services.jobs.params import MeasurementParams, StaircaseParams, TrainingParams
from services.jobs.recipes import RECIPES
from services.users.authentication import User

HELD_OUT_PART: Final = 0.05
_ENOUGH_TO_HOLD_OUT: Final = 4
_MOST_SHOWN: Final = 2_000_000
"""Crops in an epoch: the worker holds their order in memory."""
_ADAPT_FIRST_SHOWN: Final = 18_000
"""Crops of the version's first data set in an epoch of the recipe `adapt`. Source: docs/decisions/0039."""
_ADAPT_OWN_SHOWN: Final = 2000
"""The same of one's own, if there are as many or they reach it with the largest weight."""
_ADAPT_MOST_WEIGHT: Final = 40.0


@dataclass(frozen=True, slots=True)
class Crops:
    """The crops of a data set.

    Attributes:
        train: Of the training part.
        test: Of the test part.
        held_out: Of the training part, to fit the scale of the scores on.
        is_stored: Whether it is one of the service's data sets, not built in.
    """

    train: int
    test: int
    held_out: int
    is_stored: bool = False

    @classmethod
    def of(cls, manifest: DatasetManifest) -> "Crops":
        """Count those of a stored data set; the worker holds out the same (`worker/learning/mixtures.py`)."""
        train, test = manifest.counts.train, manifest.counts.test
        held_out = sum(
            max(round(count * HELD_OUT_PART), int(count >= _ENOUGH_TO_HOLD_OUT)) for count in train
        )
        return cls(sum(train), sum(test), held_out, is_stored=True)


def _built_in(train: int, test: int) -> Crops:
    return Crops(train, test, max(1, round(train * HELD_OUT_PART)))


BUILT_IN_CROPS: Final[Mapping[str, Crops]] = {
    "mnist": _built_in(60_000, 10_000),
    "digits": _built_in(1437, 360),
}

CropsOf = Callable[[str], Crops]
"""The crops of a stored data set, by its full name and version."""


def no_stored_crops(reference: str) -> Crops:
    """Count nothing: for callers without stored data sets."""
    raise InvalidInputError(f"{reference!r} is no built-in data set: {', '.join(sorted(BUILT_IN))}")


class StoredCrops:
    """Counts the crops of stored data sets; versions never change, so each is counted once."""

    def __init__(self, store: DatasetStore) -> None:
        self._store = store
        self._counted: dict[str, Crops] = {}

    def __call__(self, reference: str) -> Crops:
        """Return the crops of `owner~name@version`.

        Raises:
            DatasetNotFoundError: it was deleted before it was ever counted.
            DatasetDamagedError: its manifest is damaged.
        """
        if reference not in self._counted:
            name, _, version = reference.partition("@")
            self._counted[reference] = Crops.of(self._store.manifest(name, version))
        return self._counted[reference]


def weights_of(dataset: str | Mapping[str, float]) -> Mapping[str, float]:
    """Return a job's data sets with their weights."""
    return {dataset: 1.0} if isinstance(dataset, str) else dataset


def crops_of(
    dataset: str | Mapping[str, float], auto_dataset: str, stored: CropsOf
) -> list[tuple[Crops, float]]:
    """Return the crops of a job's data sets, with their weights; `auto` stands for `auto_dataset`."""
    named = [
        (auto_dataset if name == "auto" else name, weight) for name, weight in weights_of(dataset).items()
    ]
    return [
        (BUILT_IN_CROPS[name] if name in BUILT_IN_CROPS else stored(name), weight) for name, weight in named
    ]


def crops_shown(crops: int, weight: float) -> int:
    """Return how many crops of a data set an epoch shows, of `crops` to learn from; as the worker does."""
    return max(1, round(crops * weight)) if crops else 0


P = TypeVar("P", TrainingParams, MeasurementParams)


class DatasetReferences:
    """Resolves the data sets that a user names for a job."""

    def __init__(self, registry: DatasetRegistry) -> None:
        self._registry = registry

    def resolve(self, params: P, user: User, parents: str = "auto") -> P:
        """Return params that name versions by their full names: they mean the same crops for good.

        Args:
            params: of the job.
            user: who submits it.
            parents: the built-in data set of the version that a training continues; `adapt` mixes it in.

        Raises:
            DatasetNotFoundError: there is no such data set for the user.
            DatasetDamagedError: its manifest is damaged.
            InvalidInputError: the crops are too few or too many.
        """
        weights, counted = {}, []
        for reference, weight in weights_of(params.dataset).items():
            name, crops = self.find(user, reference)
            if name in weights:
                raise InvalidInputError(f"params.dataset: {name} is named twice; give it one weight")
            weights[name] = weight
            counted.append((crops, weight))
        learns = isinstance(params, TrainingParams) or (
            isinstance(params, StaircaseParams) and params.training is not None
        )
        _check(" + ".join(weights), counted, learns=learns)
        if isinstance(params.dataset, Mapping):
            return params.model_copy(update={"dataset": weights})
        if isinstance(params, TrainingParams) and RECIPES[params.recipe].adapts and parents not in weights:
            ((own, _),) = counted
            return params.model_copy(update={"dataset": _adapting(next(iter(weights)), own, parents)})
        return params.model_copy(update={"dataset": next(iter(weights))})

    def find(self, user: User, reference: str) -> tuple[str, Crops]:
        """Return the full name of a data set, and its crops; of `auto` those of MNIST.

        Raises:
            DatasetNotFoundError: there is no such data set for the user.
            DatasetDamagedError: its manifest is damaged.
        """
        if reference in BUILT_IN:
            return reference, BUILT_IN_CROPS.get(reference, BUILT_IN_CROPS["mnist"])
        manifest = self._registry.find(user, reference)
        return manifest.reference, Crops.of(manifest)


def _check(named: str, counted: Sequence[tuple[Crops, float]], *, learns: bool) -> None:
    """Check the crops of a job.

    Raises:
        InvalidInputError: they are too few or too many.
    """
    if not any(crops.test for crops, _ in counted):
        raise InvalidInputError(
            f"params.dataset: {named} has no test crops; add some, or mix in another data set that has"
        )
    if learns and not any(crops.train for crops, _ in counted):
        raise InvalidInputError(f"params.dataset: {named} has no training crops; add some")
    if learns and sum(crops_shown(crops.train, weight) for crops, weight in counted) > _MOST_SHOWN:
        raise InvalidInputError(
            f"params.dataset: an epoch shows more than {_MOST_SHOWN:,} crops of {named}; give smaller weights"
        )


def _adapting(name: str, own: Crops, parents: str) -> dict[str, float]:
    """Return the mixture of a version's first data set with one's own digits, of which few are shown often."""
    first = BUILT_IN_CROPS.get(parents, BUILT_IN_CROPS["mnist"])
    return {
        parents: min(1.0, round(_ADAPT_FIRST_SHOWN / first.train, 4)),
        name: min(_ADAPT_MOST_WEIGHT, round(_ADAPT_OWN_SHOWN / max(own.train, 1), 4)),
    }

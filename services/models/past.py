"""The accuracy to be expected of a training, from trainings of the past."""

from collections import OrderedDict
from dataclasses import dataclass
from statistics import median
from typing import Final

from services.errors import HxserveError
from services.jobs.recipes import RECIPES, RecipeName
from services.models.files import ModelStore
from services.models.manifest import Manifest
from services.models.registry import Registry
from services.users.authentication import User

_MOST_VERSIONS: Final = 200
_NEWEST_OF_EACH: Final = 20
_MOST_REMEMBERED: Final = 2000


@dataclass(frozen=True, slots=True)
class Trained:
    """A version that was trained to its end: how, and with which accuracy on its test set, 0..1."""

    recipe: str
    epochs: int
    chip_epochs: int
    dataset: str
    on_chip: bool
    accuracy: float
    created_at: float


@dataclass(frozen=True, slots=True)
class Expected:
    """The median accuracy, 0..1, of `trainings` trainings on a data set."""

    accuracy: float
    trainings: int
    dataset: str
    on_chip: bool


class PastTrainings:
    """Looks through the versions that a user may see; a version never changes, so each is read once."""

    def __init__(self, models: ModelStore, registry: Registry) -> None:
        self._models = models
        self._registry = registry
        self._known: OrderedDict[tuple[str, str], Trained | None] = OrderedDict()

    def expected(
        self, user: User, recipe: RecipeName, *, epochs: int, chip_epochs: int | None
    ) -> Expected | None:
        """Return the accuracy that a training with a built-in data set may reach, as the newest like it did.

        `chip_epochs` is None where there is no chip. None if there was no such training.
        """
        alike = [
            trained
            for trained in self._seen_by(user)
            if (trained.recipe, trained.epochs) == (recipe, epochs)
            and trained.on_chip == (chip_epochs is not None)
            and chip_epochs in {None, trained.chip_epochs}
        ]
        if not alike:
            return None
        newest = max(alike, key=lambda trained: trained.created_at)
        counted = [trained.accuracy for trained in alike if trained.dataset == newest.dataset]
        return Expected(median(counted), len(counted), newest.dataset, newest.on_chip)

    def _seen_by(self, user: User) -> list[Trained]:
        versions = [
            (view.name, version)
            for view in self._registry.views(user)
            for version in view.versions[-_NEWEST_OF_EACH:]
        ]
        found = (self._of(name, version, user) for name, version in versions[:_MOST_VERSIONS])
        return [trained for trained in found if trained is not None]

    def _of(self, name: str, version: str, user: User) -> Trained | None:
        reference = self._registry.find(user, name, version)
        key = (reference.model, reference.version)
        if key not in self._known:
            try:
                self._known[key] = _trained(self._models.manifest(*key))
            except HxserveError:  # damaged or just deleted
                return None
            if len(self._known) > _MOST_REMEMBERED:
                self._known.popitem(last=False)
        return self._known[key]


def _trained(manifest: Manifest) -> Trained | None:
    recipe, metrics = manifest.recipe, manifest.metrics
    is_whole = manifest.source == "training" and not manifest.partial and manifest.parent is None
    if not is_whole or recipe.get("name") not in RECIPES or not metrics.get("epochs"):
        return None
    if manifest.dataset["name"] not in {"mnist", "digits"} or not _has_recipes_network(manifest):
        return None
    return Trained(
        recipe["name"],
        recipe["epochs"],
        recipe["chip_epochs"],
        manifest.dataset["name"],
        metrics["epochs"][-1]["execution"] == "chip",
        metrics["accuracy"],
        manifest.created_at,
    )


def _has_recipes_network(manifest: Manifest) -> bool:
    hidden, usual = (
        short.hidden if (short := network.short()) else None
        for network in (manifest.network, RECIPES[manifest.recipe["name"]].network)
    )
    return hidden == usual

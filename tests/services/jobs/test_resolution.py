"""What the request of a staircase means: what is left out follows from the version."""

from collections.abc import Callable
from typing import Any

import pytest

from services.chips.affinity import Affinity
from services.chips.store import ChipStore
from services.datasets.files import DatasetStore
from services.datasets.registry import DatasetRegistry
from services.datasets.uploads import DatasetUploads
from services.errors import ChipElsewhereError, InvalidInputError, NotFoundError
from services.jobs.mixtures import DatasetReferences
from services.jobs.params import StaircaseParams, validate_params
from services.jobs.record import JobKind
from services.jobs.resolution import Resolution
from services.models.files import ModelStore
from services.models.registry import Registry
from services.users.authentication import ADMIN
from tests.services.samples import a_holder, an_origin

Resolve = Callable[..., tuple[StaircaseParams, str]]


@pytest.fixture
def resolve(models: ModelStore, chips: ChipStore) -> Resolve:
    """Resolves the params of a staircase of `digits`, beside the chips `chip-1` (hxone) and `chip-2` (hxtwo)."""
    for chip, identifier in (("chip-1", "hxone"), ("chip-2", "hxtwo")):
        chips.renew(chips.take(chip, a_holder(chip)), {"ready": True, "identifier": identifier})
    references = DatasetReferences(DatasetRegistry(DatasetStore(models.folder)))
    resolution = Resolution(
        Registry(models), chips, Affinity(models, chips), references, DatasetUploads(models.folder)
    )

    def resolve(**params: Any) -> tuple[StaircaseParams, str]:
        found = resolution.resolve(validate_params(JobKind.STAIRCASE, params), ADMIN, "digits")
        assert isinstance(found.params, StaircaseParams)
        return found.params, found.home

    return resolve


@pytest.mark.parametrize(
    ("of_version", "recipe", "chip_epochs"),
    [("notebook", "notebook", 1), ("strong", "strong", 3), ("adapt", "strong", 3), (None, "strong", 3)],
)
def test_what_learnt_in_the_mock_learns_in_the_loop_by_its_own_recipe(
    models: ModelStore, resolve: Resolve, of_version: str | None, recipe: str, chip_epochs: int
) -> None:
    models.publish(an_origin(recipe={"name": of_version} if of_version else {}), b"weights")

    params, home = resolve()

    assert (params.version, params.recipe, params.chip_epochs) == ("1", recipe, chip_epochs)
    assert params.training is not None
    assert params.training.chip_epochs == chip_epochs
    assert home == ""


def test_what_learnt_in_a_chips_loop_is_measured_there_and_learns_nothing(
    models: ModelStore, resolve: Resolve
) -> None:
    models.publish(an_origin(execution="mock-then-chip", identifier="hxone"), b"weights")

    params, home = resolve()

    assert (params.chip_epochs, params.training, home) == (0, None, "hxone")
    assert resolve(chip_epochs=2)[0].training is not None
    assert resolve(chip="chip-1")[1] == "hxone"
    assert resolve(chip="chip-2", allow_transfer=True)[1] == ""
    with pytest.raises(ChipElsewhereError, match=r"hxone, which is not chip-2; with allow_transfer"):
        resolve(chip="chip-2")


@pytest.mark.parametrize(("of_version", "expected"), [("digits", "digits"), ("ada~mine", "auto")])
def test_the_built_in_data_set_of_the_version_is_read(
    models: ModelStore, resolve: Resolve, of_version: str, expected: str
) -> None:
    models.publish(an_origin(dataset={"name": of_version, "sha256": "0"}), b"weights")

    assert resolve()[0].dataset == expected
    assert resolve(dataset={"digits": 1})[0].dataset == {"digits": 1}


def test_a_chip_that_is_not_there_is_named(models: ModelStore, resolve: Resolve) -> None:
    models.publish(an_origin(), b"weights")

    with pytest.raises(NotFoundError, match="no chip 'chip-9'; there are: chip-1, chip-2"):
        resolve(chip="chip-9")


def test_a_recipe_that_needs_a_data_set_of_ones_own_is_refused(resolve: Resolve) -> None:
    with pytest.raises(InvalidInputError, match=r"params\.recipe.*'adapt' learns digits of your own"):
        resolve(recipe="adapt")

"""The accuracy to be expected of a training, from those of the past."""

from itertools import count
from typing import Any

import pytest

from services.models.files import ModelStore
from services.models.past import Expected, PastTrainings
from services.models.registry import Registry
from services.networks.network import Network
from services.users.authentication import ADMIN, User
from tests.services.samples import an_origin

ADA = User("ada")
_NUMBERS = count()


@pytest.fixture
def past(models: ModelStore) -> PastTrainings:
    return PastTrainings(models, Registry(models))


def _publish(models: ModelStore, accuracy: float, name: str = "digits", **other: Any) -> None:
    recipe = {"name": "strong", "epochs": 8, "chip_epochs": 3} | other.pop("recipe", {})
    execution = other.pop("ended_on", "mock")
    metrics = {"accuracy": accuracy, "epochs": [{"execution": execution}]}
    facts = {"dataset": {"name": other.pop("dataset", "mnist")}, "network": Network.perceptron()} | other
    facts["job"] = f"job-{next(_NUMBERS)}"  # a job publishes once
    models.publish(an_origin(name=name, recipe=recipe, metrics=metrics, **facts), b"weights")


def _expected(past: PastTrainings, user: User = ADMIN, chip_epochs: int | None = None) -> Expected | None:
    return past.expected(user, "strong", epochs=8, chip_epochs=chip_epochs)


def test_it_is_the_median_of_trainings_with_the_same_recipe_and_epochs(
    models: ModelStore, past: PastTrainings
) -> None:
    for accuracy in (0.97, 0.99, 0.98):
        _publish(models, accuracy)
    _publish(models, 0.5, recipe={"epochs": 1})
    _publish(models, 0.5, recipe={"name": "notebook"})
    _publish(models, 0.5, dataset="mine")
    _publish(models, 0.5, partial=True)
    _publish(models, 0.5, parent="1")
    _publish(models, 0.5, network=Network.model_validate({"hidden": [20]}))

    assert _expected(past) == Expected(0.98, 3, "mnist", on_chip=False)


def test_it_is_measured_where_the_training_would_end(models: ModelStore, past: PastTrainings) -> None:
    _publish(models, 0.98)
    _publish(models, 0.96, ended_on="chip")
    _publish(models, 0.95, ended_on="chip", recipe={"chip_epochs": 1})

    assert _expected(past, chip_epochs=3) == Expected(0.96, 1, "mnist", on_chip=True)
    assert _expected(past, chip_epochs=2) is None


def test_it_is_of_versions_that_the_user_may_see(models: ModelStore, past: PastTrainings) -> None:
    _publish(models, 0.99, name="grace~digits", user="grace")
    assert _expected(past, ADA) is None

    _publish(models, 0.98, name="ada~digits", user="ada")

    assert _expected(past, ADA) == Expected(0.98, 1, "mnist", on_chip=False)
    assert _expected(past, ADMIN) == Expected(0.985, 2, "mnist", on_chip=False)


def test_without_trainings_there_is_no_expectation(past: PastTrainings) -> None:
    assert _expected(past) is None

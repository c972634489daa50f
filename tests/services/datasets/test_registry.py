"""Whose data sets are whose, what sharing changes, and what a reference means."""

from pathlib import Path

import pytest

from services.datasets.files import DatasetStore
from services.datasets.registry import DatasetRegistry
from services.errors import DatasetNotFoundError, ForbiddenError, InvalidInputError
from services.publication import MANIFEST
from services.users.authentication import ADMIN, User
from tests.services.datasets.crops import a_dataset_origin, some_labelled

ADA, GRACE = User("ada"), User("grace")


@pytest.fixture
def datasets(tmp_path: Path) -> DatasetStore:
    """Of the service `mine`; of ada `mine` with two versions, and `letters`."""
    datasets = DatasetStore(tmp_path)
    for name, counts in (("mine", [3]), ("ada~mine", [4, 5]), ("ada~letters", [6])):
        for count in counts:
            datasets.publish(a_dataset_origin(name), some_labelled(count), some_labelled(2))
    return datasets


@pytest.fixture
def registry(datasets: DatasetStore) -> DatasetRegistry:
    return DatasetRegistry(datasets)


def test_a_reference_means_the_newest_version_a_numbered_one_or_content(registry: DatasetRegistry) -> None:
    first = registry.find(ADA, "mine@1")

    assert (first.reference, registry.find(ADA, "mine").reference) == ("ada~mine@1", "ada~mine@2")
    assert registry.find(ADA, f"mine@{first.sha256[:8]}") == first
    assert registry.find(ADA, f"ada~mine@{first.sha256}") == first
    assert registry.find(GRACE, "mine").reference == registry.find(ADA, "service~mine").reference == "mine@1"


@pytest.mark.parametrize("asked", ["mine@3", "mine@abcdef01", "mine@", "mine@latest", "mine@1@1", "../mine"])
def test_what_is_not_there_is_not_found(registry: DatasetRegistry, asked: str) -> None:
    with pytest.raises(DatasetNotFoundError):
        registry.find(ADA, asked)


def test_a_private_data_set_looks_as_if_it_did_not_exist(registry: DatasetRegistry) -> None:
    with pytest.raises(DatasetNotFoundError, match="there are: mine, auto, digits, mnist"):
        registry.find(GRACE, "ada~letters")
    assert [view.name for view in registry.views(GRACE)] == ["mine"]
    assert [view.name for view in registry.views(ADA)] == ["ada~letters", "ada~mine", "mine"]


def test_a_shared_data_set_is_everyones_to_use_and_its_owners_to_change(registry: DatasetRegistry) -> None:
    assert registry.share(ADA, "letters").shared

    assert registry.find(GRACE, "ada~letters").version == "1"
    for change in (registry.share, registry.unshare, registry.delete):
        with pytest.raises(ForbiddenError):
            change(GRACE, "ada~letters")
    assert not registry.unshare(ADA, "letters").shared
    with pytest.raises(DatasetNotFoundError):
        registry.find(GRACE, "ada~letters")


def test_the_services_data_set_is_everyones_already(registry: DatasetRegistry) -> None:
    with pytest.raises(InvalidInputError, match="data set of the service"):
        registry.share(ADMIN, "mine")
    with pytest.raises(ForbiddenError, match="data set 'mine' belongs to the service"):
        registry.delete(GRACE, "mine")


def test_a_deleted_data_set_is_not_shared_when_its_name_is_used_again(
    registry: DatasetRegistry, datasets: DatasetStore
) -> None:
    registry.share(ADA, "letters")
    registry.delete(ADA, "letters")
    datasets.publish(a_dataset_origin("ada~letters"), some_labelled(9), some_labelled(2))

    assert registry.find(ADA, "letters").version == "2"
    with pytest.raises(DatasetNotFoundError):
        registry.find(GRACE, "ada~letters")


def test_a_version_is_deleted_alone(registry: DatasetRegistry) -> None:
    registry.delete_version(ADA, "mine", "2")

    assert registry.find(ADA, "mine").version == "1"
    with pytest.raises(DatasetNotFoundError):
        registry.delete_version(ADA, "mine", "2")


def test_the_names_of_what_the_service_brings_cannot_be_given(registry: DatasetRegistry) -> None:
    for name in ("mnist", "ada~digits", "service~auto"):
        with pytest.raises(InvalidInputError, match="the service brings"):
            registry.to_create(ADMIN, name)
    assert registry.to_create(ADA, "new") == "ada~new"
    assert registry.to_create(ADMIN, "new") == "new"
    with pytest.raises(ForbiddenError, match="send it under another name"):
        registry.to_create(GRACE, "ada~new")


def test_what_the_service_brings_is_not_stored(registry: DatasetRegistry) -> None:
    with pytest.raises(DatasetNotFoundError, match="'mnist' is not stored: the worker brings it"):
        registry.find(ADA, "mnist")


def test_a_damaged_version_does_not_hide_others(registry: DatasetRegistry, datasets: DatasetStore) -> None:
    first = registry.find(ADA, "mine@1")
    (datasets.folder / "ada~mine" / "2" / MANIFEST).write_text("{}")

    assert registry.find(ADA, f"mine@{first.sha256[:12]}") == first

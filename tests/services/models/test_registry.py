"""Whose models are whose, and what sharing changes."""

import pytest

from services.errors import ConflictError, ForbiddenError, InvalidInputError, ModelNotFoundError
from services.models.files import ModelStore
from services.models.registry import Reference, Registry
from services.users.authentication import ADMIN, User
from tests.services.samples import an_origin

ADA, GRACE = User("ada"), User("grace")


@pytest.fixture
def registry(models: ModelStore) -> Registry:
    """Of the service `digits`; of ada `digits` with two versions, and `letters`."""
    for name, jobs in (("digits", "a"), ("ada~digits", "bc"), ("ada~letters", "d")):
        for job in jobs:
            models.publish(an_origin(name=name, job=job), job.encode())
    return Registry(models)


def test_a_name_means_ones_own_model_before_the_services(registry: Registry) -> None:
    assert registry.find(ADA, "digits") == Reference("ada~digits", "2")
    assert registry.find(GRACE, "digits") == Reference("digits", "1")
    assert registry.find(ADMIN, "digits") == Reference("digits", "1")
    assert registry.find(ADA, "ada~digits", "1") == Reference("ada~digits", "1")
    assert registry.find(ADMIN, "ada~digits") == Reference("ada~digits", "2")


def test_the_services_model_has_a_name_of_its_own(registry: Registry) -> None:
    for user in (ADA, GRACE, ADMIN):
        assert registry.find(user, "service~digits") == Reference("digits", "1")
    assert registry.to_create(ADMIN, "service~digits") == "digits"
    assert [view.name for view in registry.views(ADA)] == ["ada~digits", "ada~letters", "digits"]
    assert [registry.name_for(user, "digits") for user in (ADA, GRACE, ADMIN)] == [
        "service~digits",
        "digits",
        "digits",
    ]
    with pytest.raises(ModelNotFoundError, match="there are: ada~digits, ada~letters, service~digits"):
        registry.find(ADA, "service~letters")
    with pytest.raises(ForbiddenError):
        registry.to_create(ADA, "service~digits")


def test_ones_own_model_hides_the_services_also_in_what_it_lacks(
    registry: Registry, models: ModelStore
) -> None:
    models.set_alias("digits", "production", "1")

    with pytest.raises(ModelNotFoundError, match=r"'ada~digits' has no version or alias 'production'.*1, 2"):
        registry.find(ADA, "digits", "production")

    assert registry.find(GRACE, "digits", "production").version == "1"


def test_every_user_lists_the_models_they_may_use(registry: Registry) -> None:
    assert registry.names(ADA) == ["ada~digits", "ada~letters", "digits"]
    assert registry.names(GRACE) == ["digits"]
    assert registry.names(ADMIN) == ["ada~digits", "ada~letters", "digits"]


def test_no_user_learns_the_names_of_others_models(registry: Registry) -> None:
    with pytest.raises(ModelNotFoundError) as refusal:
        registry.find(GRACE, "nothing")

    assert "there are: digits" in refusal.value.message
    assert "ada" not in refusal.value.message


@pytest.mark.parametrize(
    "name", ["ada~letters", "letters", "ada~../digits", "..", "~digits", "a~b~c", "", "ada~"]
)
def test_what_is_private_or_no_name_is_not_there(registry: Registry, name: str) -> None:
    for attempt in (
        lambda: registry.find(GRACE, name),
        lambda: registry.look(GRACE, name),
        lambda: registry.to_change(GRACE, name),
        lambda: registry.share(GRACE, name),
        lambda: registry.delete(GRACE, name),
    ):
        with pytest.raises(ModelNotFoundError):
            attempt()


def test_a_shared_model_is_for_all_to_use_and_only_its_owner_to_change(registry: Registry) -> None:
    assert registry.share(ADA, "digits").shared

    assert registry.find(GRACE, "ada~digits") == Reference("ada~digits", "2")
    assert registry.names(GRACE) == ["ada~digits", "digits"]
    for attempt in (
        lambda: registry.to_change(GRACE, "ada~digits"),
        lambda: registry.version_to_change(GRACE, "ada~digits", "1"),
        lambda: registry.share(GRACE, "ada~digits"),
        lambda: registry.unshare(GRACE, "ada~digits"),
        lambda: registry.delete(GRACE, "ada~digits"),
    ):
        with pytest.raises(ForbiddenError, match="belongs to ada"):
            attempt()
    with pytest.raises(ForbiddenError, match="the service"):
        registry.to_change(GRACE, "digits")


def test_versions_to_come_are_shared_with_the_model(registry: Registry, models: ModelStore) -> None:
    registry.share(ADA, "letters")

    models.publish(an_origin(name="ada~letters", job="e"), b"e")

    assert registry.look(GRACE, "ada~letters").versions == ["1", "2"]


def test_one_version_is_shared_alone(registry: Registry, models: ModelStore) -> None:
    models.set_alias("ada~digits", "first", "1")

    view = registry.share(ADA, "digits", "first")

    assert (view.shared, view.shared_versions) == (False, ["1"])
    seen = registry.look(GRACE, "ada~digits")
    assert (seen.versions, seen.aliases, seen.owner) == (["1"], {"first": "1"}, "ada")
    with pytest.raises(ModelNotFoundError, match=r"it has: 1, first$"):
        registry.find(GRACE, "ada~digits", "latest")


def test_what_is_unshared_is_private_again(registry: Registry) -> None:
    registry.share(ADA, "digits", "1")
    registry.share(ADA, "digits", "2")
    registry.unshare(ADA, "digits", "1")
    assert registry.look(GRACE, "ada~digits").versions == ["2"]

    registry.share(ADA, "digits")
    with pytest.raises(ConflictError, match="all versions"):
        registry.unshare(ADA, "digits", "2")
    registry.unshare(ADA, "digits")

    with pytest.raises(ModelNotFoundError):
        registry.look(GRACE, "ada~digits")


def test_a_model_deleted_and_made_anew_is_private(registry: Registry, models: ModelStore) -> None:
    registry.share(ADA, "letters")
    registry.delete(ADA, "letters")

    models.publish(an_origin(name="ada~letters", job="e"), b"e")

    assert registry.names(GRACE) == ["digits"]


def test_models_of_the_service_are_shared_and_stay_so(registry: Registry) -> None:
    with pytest.raises(InvalidInputError, match="everyone may use"):
        registry.unshare(ADMIN, "digits")

    assert registry.look(GRACE, "digits").shared


def test_a_training_makes_a_model_of_its_users_own(registry: Registry) -> None:
    assert registry.to_create(ADA, "digits") == registry.to_create(ADA, "ada~digits") == "ada~digits"
    assert registry.to_create(ADMIN, "digits") == "digits"
    assert registry.to_create(ADMIN, "ada~digits") == "ada~digits"
    for name in ("ada~digits", "ada~nothing"):
        with pytest.raises(ForbiddenError, match="train one of your own"):
            registry.to_create(GRACE, name)


def test_a_user_whose_name_begins_like_anothers_owns_nothing_of_theirs(registry: Registry) -> None:
    with pytest.raises(ModelNotFoundError):
        registry.find(User("ad"), "ada~letters")
    with pytest.raises(ModelNotFoundError):
        registry.find(User("a"), "da~letters")

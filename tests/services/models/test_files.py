"""The registry: a version is published whole or not at all, and its number never means two things."""

import json
import multiprocessing
import resource
import stat
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from services.errors import (
    CheckpointDamagedError,
    ConflictError,
    InvalidInputError,
    ModelNotFoundError,
    StorageError,
)
from services.models.files import LATEST, ModelStore
from services.models.registry import Registry
from services.networks.network import Network
from services.users.authentication import ADMIN
from tests.services.samples import an_origin

ESCAPES = ["..", "../digits", "a/b", "/etc", "", ".hidden", "A", "a" * 65, "a\n", "a b", "-a"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "models"


def _publish(models: ModelStore, *jobs: str, name: str = "digits") -> None:
    for job in jobs:
        models.publish(an_origin(name=name, job=job), f"weights of {job}".encode())


def _files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_published_version_is_read_back_as_it_was(models: ModelStore) -> None:
    origin = an_origin()

    manifest = models.publish(origin, b"weights")

    assert models.manifest("digits", manifest.version) == manifest
    assert models.weights("digits", manifest.version) == b"weights"
    assert origin.model_dump().items() <= manifest.model_dump().items()
    assert (manifest.version, manifest.weights_bytes) == ("1", 7)


def test_versions_are_counted_and_latest_moves(models: ModelStore) -> None:
    _publish(models, "a", "b", "c")

    assert models.versions("digits") == ["1", "2", "3"]
    assert models.find("digits", LATEST) == "3"


def test_the_tenth_version_comes_after_the_ninth(models: ModelStore) -> None:
    _publish(models, *"abcdefghij")

    assert models.versions("digits")[-2:] == ["9", "10"]
    assert models.find("digits", LATEST) == "10"


def test_a_job_publishes_once_however_often_it_tries(models: ModelStore) -> None:
    first = models.publish(an_origin(job="a"), b"weights")
    _publish(models, "b")

    again = models.publish(an_origin(job="a"), b"weights")

    assert again == first
    assert models.versions("digits") == ["1", "2"]
    assert models.find("digits", LATEST) == "2"


def test_a_partial_version_is_kept_but_latest_stays(models: ModelStore) -> None:
    _publish(models, "a")

    models.publish(an_origin(job="b", partial=True), b"half")

    assert models.versions("digits") == ["1", "2"]
    assert models.find("digits", LATEST) == "1"


def test_a_model_with_nothing_but_a_partial_version_has_no_latest(models: ModelStore) -> None:
    models.publish(an_origin(partial=True), b"half")

    assert models.aliases("digits") == {}
    with pytest.raises(ModelNotFoundError, match="it has: 1"):
        Registry(models).find(ADMIN, "digits", LATEST)


def test_models_are_listed_by_name(models: ModelStore) -> None:
    for name in ("zebra", "ant", "m.o-d_el"):
        _publish(models, "a", name=name)

    assert models.names() == ["ant", "m.o-d_el", "zebra"]


def test_an_empty_registry_has_no_models(models: ModelStore) -> None:
    assert models.names() == []
    assert models.versions("digits") == []
    assert models.aliases("digits") == {}


def test_what_does_not_belong_into_the_folder_is_no_model(models: ModelStore, folder: Path) -> None:
    _publish(models, "a")
    (folder / "Notes.txt").write_text("mine")
    (folder / "empty").mkdir()
    (folder / "file").write_text("mine")
    (folder / "digits" / "backup").mkdir()

    assert models.names() == ["digits"]
    assert models.versions("digits") == ["1"]


def test_an_alias_means_a_version_until_it_is_moved(models: ModelStore) -> None:
    _publish(models, "a", "b")
    models.set_alias("digits", "production", "1")
    before = models.find("digits", "production")

    models.set_alias("digits", "production", "2")

    assert (before, models.find("digits", "production")) == ("1", "2")
    assert models.aliases("digits") == {"latest": "2", "production": "2"}


def test_an_alias_cannot_name_a_missing_version(models: ModelStore) -> None:
    _publish(models, "a")

    with pytest.raises(ModelNotFoundError, match="'7'"):
        models.set_alias("digits", "production", "7")

    assert models.aliases("digits") == {"latest": "1"}


def test_a_removed_alias_means_nothing_and_its_version_stays(models: ModelStore) -> None:
    _publish(models, "a")
    models.set_alias("digits", "production", "1")

    models.delete_alias("digits", "production")

    assert models.versions("digits") == ["1"]
    with pytest.raises(ModelNotFoundError, match="production"):
        Registry(models).find(ADMIN, "digits", "production")


def test_an_alias_that_is_not_there_cannot_be_removed(models: ModelStore) -> None:
    _publish(models, "a")

    with pytest.raises(ModelNotFoundError, match="no alias 'production'"):
        models.delete_alias("digits", "production")


def test_a_missing_version_is_refused_with_the_existing_ones(models: ModelStore) -> None:
    _publish(models, "a")

    with pytest.raises(ModelNotFoundError, match="no model 'letters'; there are: digits"):
        Registry(models).find(ADMIN, "letters", LATEST)
    with pytest.raises(ModelNotFoundError, match="'9'; it has: 1, latest"):
        Registry(models).find(ADMIN, "digits", "9")


def test_a_deleted_version_is_gone_and_its_number_never_given_again(models: ModelStore) -> None:
    _publish(models, "a", "b")

    models.delete_version("digits", "2")
    _publish(models, "c")

    assert models.versions("digits") == ["1", "3"]
    with pytest.raises(ModelNotFoundError):
        models.weights("digits", "2")


def test_latest_moves_back_when_its_version_is_deleted(models: ModelStore) -> None:
    _publish(models, "a", "b")

    models.delete_version("digits", "2")

    assert models.find("digits", LATEST) == "1"


def test_latest_does_not_move_to_a_partial_version_when_its_own_is_deleted(models: ModelStore) -> None:
    _publish(models, "a", "b")
    models.publish(an_origin(job="c", partial=True), b"half")

    models.delete_version("digits", "2")

    assert models.find("digits", LATEST) == "1"


def test_a_version_that_an_alias_means_is_not_deleted(models: ModelStore) -> None:
    _publish(models, "a", "b")
    models.set_alias("digits", "production", "1")

    with pytest.raises(ConflictError, match="production"):
        models.delete_version("digits", "1")

    assert models.weights("digits", "1") == b"weights of a"


def test_a_deleted_model_is_gone_with_its_files_and_its_numbers_stay_used(
    models: ModelStore, folder: Path
) -> None:
    _publish(models, "a", "b")
    models.set_alias("digits", "production", "1")

    models.delete_model("digits")

    assert models.names() == []
    assert _files(folder) == set()
    _publish(models, "c")
    assert models.versions("digits") == ["3"]


def test_deleting_a_model_that_is_not_there_says_so(models: ModelStore) -> None:
    with pytest.raises(ModelNotFoundError, match="no model 'digits'"):
        models.delete_model("digits")


@pytest.mark.parametrize("name", ESCAPES)
def test_a_name_never_leaves_the_folder(models: ModelStore, tmp_path: Path, name: str) -> None:
    _publish(models, "a")
    secret = tmp_path / "aliases" / "production"
    secret.parent.mkdir()
    secret.write_text("1")

    assert models.versions(name) == []
    assert models.aliases(name) == {}
    with pytest.raises(ModelNotFoundError):
        Registry(models).find(ADMIN, name, LATEST)
    with pytest.raises(ModelNotFoundError):
        Registry(models).find(ADMIN, "digits", name)
    with pytest.raises(ModelNotFoundError):
        models.delete_model(name)
    with pytest.raises(ModelNotFoundError):
        models.delete_alias(name, "production")
    assert secret.read_text() == "1"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not one of hxserve"),
        (b"not JSON", "not one of hxserve"),
        (b"[]", "not one of hxserve"),
        (b'{"format": 1}', "Field required"),
        (b'{"format": 2}', "format"),
        (b"\xff\xfe", "not one of hxserve"),
    ],
)
def test_a_manifest_that_is_not_ours_is_refused(
    models: ModelStore, folder: Path, content: bytes, said: str
) -> None:
    _publish(models, "a", "b")
    (folder / "digits/1/manifest.json").write_bytes(content)

    with pytest.raises(CheckpointDamagedError, match=said):
        models.manifest("digits", "1")

    assert models.weights("digits", "2") == b"weights of b"


def test_a_manifest_with_more_than_ours_has_is_refused_and_the_field_named(
    models: ModelStore, folder: Path
) -> None:
    _publish(models, "a")
    path = folder / "digits/1/manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"surprise": 1}))

    with pytest.raises(CheckpointDamagedError, match="surprise: unknown field"):
        models.manifest("digits", "1")


@pytest.mark.parametrize(
    ("network", "said"),
    [
        ({"hidden": [0], "shift": 1, "num_sends": [1, 1]}, r"network\.hidden\.0"),
        ({"hidden": [5], "shift": 9, "num_sends": [1, 1]}, r"network\.shift"),
        ({"hidden": [5], "shift": 1, "num_sends": [1]}, "num_sends has 1 numbers; give one per layer, 2"),
    ],
)
def test_a_manifest_of_an_impossible_network_is_refused(
    models: ModelStore, folder: Path, network: dict[str, object], said: str
) -> None:
    _publish(models, "a")
    path = folder / "digits/1/manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"network": network}))

    with pytest.raises(CheckpointDamagedError, match=said):
        models.manifest("digits", "1")


def test_a_manifest_from_before_networks_were_lists_of_layers_is_read(
    models: ModelStore, folder: Path
) -> None:
    _publish(models, "a")
    network = {"inputs": 784, "hidden": [256, 256], "outputs": 10, "shift": 1, "num_sends": [3, 5, 5]}
    path = folder / "digits/1/manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"network": network}))

    manifest = models.manifest("digits", "1")

    assert manifest.network == Network.perceptron((256, 256), 1, (3, 5, 5))
    assert manifest.model_dump(mode="json")["network"] == network


def test_a_manifest_that_is_a_folder_is_refused(models: ModelStore, folder: Path) -> None:
    (folder / "digits/1/manifest.json").mkdir(parents=True)

    with pytest.raises(CheckpointDamagedError, match="cannot be read"):
        models.manifest("digits", "1")


@pytest.mark.parametrize("content", [b"", b"weights of A", b"weights of a "])
def test_weights_that_are_not_those_published_are_refused(
    models: ModelStore, folder: Path, content: bytes
) -> None:
    _publish(models, "a")
    (folder / "digits/1/weights.safetensors").write_bytes(content)

    with pytest.raises(CheckpointDamagedError, match=r"digits@1 are damaged: sha256"):
        models.weights("digits", "1")


def test_weights_that_are_gone_are_refused(models: ModelStore, folder: Path) -> None:
    _publish(models, "a")
    (folder / "digits/1/weights.safetensors").unlink()

    with pytest.raises(CheckpointDamagedError, match="cannot be read"):
        models.weights("digits", "1")


def test_a_damaged_version_does_not_keep_others_from_being_published(
    models: ModelStore, folder: Path
) -> None:
    _publish(models, "a")
    (folder / "digits/1/manifest.json").write_bytes(b"damaged")

    _publish(models, "b")

    latest = models.find("digits", LATEST)
    assert latest is not None
    assert models.weights("digits", latest) == b"weights of b"


def test_a_damaged_version_can_be_deleted(models: ModelStore, folder: Path) -> None:
    _publish(models, "a", "b")
    (folder / "digits/1/manifest.json").write_bytes(b"damaged")

    models.delete_version("digits", "1")

    assert models.versions("digits") == ["2"]


def _publish_many(folder: Path, worker: int) -> list[str]:
    models = ModelStore(folder)
    return [
        models.publish(an_origin(job=f"{worker}-{n}"), f"{worker}-{n}".encode()).version for n in range(10)
    ]


def test_two_processes_publishing_at_once_get_different_numbers(models: ModelStore, folder: Path) -> None:
    spawning = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=spawning) as pool:
        published = list(pool.map(_publish_many, [folder, folder], [0, 1]))

    assert sorted(int(v) for versions in published for v in versions) == list(range(1, 21))
    for worker, versions in enumerate(published):
        assert [models.weights("digits", v) for v in versions] == [
            f"{worker}-{n}".encode() for n in range(10)
        ]
    assert not [name for name in _files(folder) if "unpublished" in name]


@pytest.mark.parametrize("alias", ["", "3", "..", "../../x", "Best", "a/b", "a\n", "a" * 65])
def test_what_cannot_be_an_alias_is_refused(models: ModelStore, folder: Path, alias: str) -> None:
    _publish(models, "a")
    before = _files(folder)

    with pytest.raises(InvalidInputError, match="cannot be an alias"):
        models.set_alias("digits", alias, "1")

    assert _files(folder) == before


def test_a_full_disk_leaves_nothing_half_made(models: ModelStore, folder: Path) -> None:
    _publish(models, "a")
    before = _files(folder)
    _, hard = limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))

    try:
        with pytest.raises(StorageError, match="free disk space"):
            models.publish(an_origin(job="b"), bytes(100_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    assert _files(folder) == before
    assert models.versions("digits") == ["1"]
    assert models.find("digits", LATEST) == "1"


def test_a_folder_that_is_a_file_is_a_storage_error(models: ModelStore, folder: Path) -> None:
    folder.parent.mkdir(exist_ok=True)
    folder.write_text("in the way")

    with pytest.raises(StorageError, match="cannot be written"):
        _publish(models, "a")


def test_a_published_version_can_be_read_by_others(models: ModelStore, folder: Path) -> None:
    _publish(models, "a")

    mode = (folder / "digits/1/manifest.json").stat().st_mode

    assert stat.S_IMODE(mode) & stat.S_IRUSR
    assert not stat.S_IMODE(mode) & stat.S_IWOTH


def test_what_a_crashed_publication_left_is_no_version(models: ModelStore, folder: Path) -> None:
    _publish(models, "a")
    left = folder / "digits" / ".unpublished-0123abcd"
    left.mkdir()
    (left / "weights.safetensors").write_bytes(b"half")

    assert models.versions("digits") == ["1"]
    assert models.names() == ["digits"]


def test_a_publication_cut_off_before_latest_moved_moves_it_when_tried_again(models: ModelStore) -> None:
    _publish(models, "a", "b")
    models.set_alias("digits", LATEST, "1")

    _publish(models, "b")

    assert models.aliases("digits")[LATEST] == "2"
    assert models.versions("digits") == ["1", "2"]

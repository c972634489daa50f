"""Files of calibrations: found in every layout, recorded with links resolved, published whole or not at all."""

import hashlib
import os
from pathlib import Path

import pytest

from services.errors import ChipUnavailableError, StorageError
from worker.chip import calibrations
from worker.chip.calibrations import find_calibration, publish_calibration, read_reference
from worker.chip.canary import CanaryReference

REFERENCE = CanaryReference(gain=0.0021, score_lsb=2.5)


class Trims:
    """A calibration that can be written, or cannot."""

    def __init__(self, content: bytes = b"trims", error: OSError | None = None) -> None:
        self._content = content
        self._error = error

    def write(self, path: Path) -> str:
        """Write the content, or fail after a part of it."""
        path.write_bytes(self._content)
        if self._error:
            raise self._error
        return hashlib.sha256(self._content).hexdigest()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder laid out like that of nightly calibrations, with `latest` on the second night."""
    stable = tmp_path / "hwdb" / "chip67" / "stable"
    for night in ("2026-03-01", "2026-03-02"):
        (stable / night).mkdir(parents=True)
        (stable / night / "hagen_cocolist.pbin").write_bytes(night.encode())
    (stable / "latest").symlink_to("2026-03-02")
    return tmp_path / "hwdb"


def test_a_file_is_recorded_with_its_hash_and_time(tmp_path: Path) -> None:
    path = tmp_path / "some.pbin"
    path.write_bytes(b"trims")
    os.utime(path, (1e9, 1e9))

    record = find_calibration(path, "chip67")

    assert record.path == path
    assert record.sha256 == hashlib.sha256(b"trims").hexdigest()
    assert record.made_at == 1e9
    assert record.describe()["age_s"] > 1e6


@pytest.mark.parametrize("given", [".", "chip67", "chip67/stable/latest"])
def test_the_latest_calibration_is_found_from_any_level_of_the_tree(tree: Path, given: str) -> None:
    record = find_calibration(tree / given, "chip67")

    assert record.path == (tree / "chip67/stable/2026-03-02/hagen_cocolist.pbin").resolve()
    assert record.link.name == "latest"


def test_a_record_stays_unchanged_when_latest_moves_on(tree: Path) -> None:
    record = find_calibration(tree, "chip67")

    stable = tree / "chip67" / "stable"
    (stable / "latest").unlink()
    (stable / "latest").symlink_to("2026-03-01")

    assert record.path.parent.name == "2026-03-02"
    assert find_calibration(tree, "chip67").path.parent.name == "2026-03-01"


def test_of_several_formats_hxtorch_s_usual_one_is_taken(tree: Path) -> None:
    night = tree / "chip67" / "stable" / "2026-03-02"
    (night / "hagen_cocolist.json.gz").write_bytes(b"other")

    assert find_calibration(night, "chip67").path.suffix == ".pbin"


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ("nowhere", "cannot be read .No such file"),
        ("empty", r"holds 0 calibrations hagen_cocolist"),
        ("chip67/stable", r"holds 0 calibrations hagen_cocolist"),
        ("dangling", "cannot be read"),
    ],
)
def test_a_path_without_a_calibration_is_refused_with_the_expected_paths(
    tree: Path, given: str, wrong: str
) -> None:
    (tree / "empty").mkdir()
    (tree / "dangling").symlink_to("gone")

    with pytest.raises(ChipUnavailableError, match=wrong) as raised:
        find_calibration(tree / given, "chip67")

    assert "give a file, a folder with one" in raised.value.message


def test_what_is_published_becomes_the_latest(tmp_path: Path) -> None:
    publish_calibration(tmp_path, "a", Trims(b"old"), REFERENCE)
    latest = publish_calibration(tmp_path, "a", Trims(b"new"), REFERENCE)

    record = find_calibration(latest, "a")
    assert record.path.read_bytes() == b"new"
    assert record.path.name == "hagen_cocolist.json"
    assert record.path.parent.parent == (tmp_path / "a" / "stable").resolve()
    assert record.path.parent.name.endswith("Z")
    assert len(list((tmp_path / "a" / "stable").glob("20*"))) == 2


def test_what_the_canary_showed_is_kept_beside_the_calibration(tmp_path: Path) -> None:
    latest = publish_calibration(tmp_path, "a", Trims(), REFERENCE)

    assert read_reference(find_calibration(latest, "a").path) == REFERENCE


@pytest.mark.parametrize("content", [None, "", "[]", "{}", '{"gain": "x", "score_lsb": 1}'])
def test_a_calibration_from_outside_has_no_reference(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "canary.json").write_text(content)

    assert read_reference(tmp_path / "hagen_cocolist.pbin") is None


def test_what_cannot_be_written_leaves_the_latest_and_no_rest(tmp_path: Path) -> None:
    latest = publish_calibration(tmp_path, "a", Trims(b"old"), REFERENCE)

    with pytest.raises(StorageError, match="No space left"):
        publish_calibration(
            tmp_path, "a", Trims(b"new", error=OSError(28, "No space left on device")), REFERENCE
        )

    assert find_calibration(latest, "a").path.read_bytes() == b"old"
    assert len(list((tmp_path / "a" / "stable").iterdir())) == 2  # the old one and the link


def test_a_folder_that_cannot_be_made_is_a_failure_of_the_storage(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("in the way")

    with pytest.raises(StorageError):
        publish_calibration(tmp_path, "a", Trims(), REFERENCE)


def test_only_the_newest_of_those_made_here_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibrations, "KEPT", 2)
    stable = tmp_path / "chip67" / "stable"
    (stable / "2026-03-01Z").mkdir(parents=True)  # not made here

    made = [
        publish_calibration(tmp_path, "chip67", Trims(content), REFERENCE).resolve()
        for content in (b"1", b"2", b"3")
    ]

    left = {path.name for path in stable.iterdir()}
    assert left == {"2026-03-01Z", "latest", made[1].name, made[2].name}
    assert (stable / "latest").resolve() == made[2]

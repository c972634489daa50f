"""The pictures of a handwriting: found in their folders, and divided."""

from pathlib import Path

import pytest

from hxserve.errors import InvalidDatasetError
from hxserve.teaching import divide, find_written


def _write(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"a picture")


def test_pictures_are_found_in_the_folders_of_their_digits(tmp_path: Path) -> None:
    _write(tmp_path, "3/a.png", "3/b.JPG", "7/a.png", "notes.txt")

    found = find_written([tmp_path])

    assert [(one.path.name, one.digit) for one in found] == [("a.png", 3), ("b.JPG", 3), ("a.png", 7)]


def test_single_files_have_the_digit_of_the_innermost_folder(tmp_path: Path) -> None:
    _write(tmp_path, "1/5/a.png")

    assert [one.digit for one in find_written([tmp_path / "1" / "5" / "a.png"])] == [5]


def test_every_second_picture_of_each_digit_is_held_back(tmp_path: Path) -> None:
    _write(tmp_path, "3/a.png", "3/b.png", "3/c.png", "7/a.png", "7/b.png", "9/a.png")

    learnt, held_back = divide(find_written([tmp_path]))

    assert [(one.digit, one.path.stem) for one in learnt] == [(3, "a"), (3, "c"), (7, "a"), (9, "a")]
    assert [(one.digit, one.path.stem) for one in held_back] == [(3, "b"), (7, "b")]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["letters/a.png"], "is in no folder 0 to 9"),
        (["3/notes.txt"], "there are no pictures"),
        (["3/a.png", "4/a.png"], "no digit is there twice"),
    ],
)
def test_pictures_that_cannot_be_divided_are_refused(tmp_path: Path, names: list[str], said: str) -> None:
    _write(tmp_path, *names)

    with pytest.raises(InvalidDatasetError, match=said):
        divide(find_written([tmp_path]))

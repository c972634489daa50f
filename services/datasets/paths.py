"""Names of files in uploads and archives."""

from collections.abc import Sequence
from typing import Final

from services.errors import InvalidInputError

MOST_FILES: Final = 1000
"""Of one upload."""
MOST_NAME: Final = 255
"""Characters."""
PICTURES: Final = frozenset({".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff"})
"""The ends of the names of pictures."""


def check_names(names: Sequence[str]) -> None:
    """Check the names of the files of an upload.

    Raises:
        InvalidInputError: there are none or too many, or a name is used twice or leaves its folder.
    """
    if not 1 <= len(names) <= MOST_FILES:
        raise InvalidInputError(
            f"an upload has 1 to {MOST_FILES} files, not {len(names)}; send many as one zip"
        )
    for name in names:
        check_path(name)
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidInputError(f"there are several files of the name {twice!r}; send each once")


def check_path(name: str) -> None:
    """Check a path that a user or an archive gives a file.

    Raises:
        InvalidInputError: it is absolute, climbs, or could mean another file on another system.
    """
    parts = name.split("/")
    if len(name) > MOST_NAME or not name.isprintable() or "\\" in name or ":" in parts[0]:
        raise InvalidInputError(
            f"{name[:MOST_NAME]!r} cannot be the name of a file; use up to {MOST_NAME} printable characters "
            "without '\\' and without a drive"
        )
    if any(part in {"", ".", ".."} for part in parts):
        raise InvalidInputError(
            f"the path {name!r} leaves its folder or is not plain; use paths like 7/one.png"
        )

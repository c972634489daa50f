"""What some tests need beside this repository: a browser, curl, ../shared. A missing one fails the tests in CI only."""

import os
from pathlib import Path
from typing import TypeVar

import pytest

Found = TypeVar("Found")


def needed(found: Found | None, missing: str) -> Found:
    """Give what was found; without it, skip the test at a desk and fail it where `CI=true`."""
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    return found


def shared_folder(name: str) -> Path:
    """Give the folder `../shared/name` beside the repository."""
    folder = Path(__file__).resolve().parents[2] / "shared" / name
    return needed(folder if folder.is_dir() else None, f"there is no ../shared/{name} beside the repository")

"""The files of a deployment, read as what reads them in earnest would."""

from pathlib import Path
from typing import Any, Final

import pytest
import yaml

ROOT: Final = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def compose() -> dict[str, Any]:
    """`docker-compose.yml` with its anchors resolved and its variables as they stand."""
    read: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
    return read


@pytest.fixture(scope="session")
def services(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The services in it."""
    found: dict[str, dict[str, Any]] = compose["services"]
    return found

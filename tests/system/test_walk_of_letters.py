"""From letters that could not be read to a better model: docs/own-digits.md, on MNIST and with fewer letters.

The gain itself is measured with more letters than a test has time for; its figures are in docs/own-digits.md.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.local import Local, running
from services.settings import load_settings
from tests.needs import shared_folder

pytestmark = [pytest.mark.long, pytest.mark.system, pytest.mark.timeout(900)]

Run = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    """A service with MNIST."""
    settings = load_settings(
        data_dir=tmp_path_factory.mktemp("walk"), mnist=shared_folder("mnist"), chip="mock", port=0
    )
    with running(settings) as local:
        yield local


@pytest.fixture
def run(service: Local, tmp_path: Path) -> Run:
    """Runs a command as a user would, and returns what it says as JSON."""

    def run(*arguments: str) -> dict[str, Any]:
        command = [str(Path(sys.executable).with_name("hxserve")), "--json", *arguments]
        access = {"HXSERVE_URL": service.url, "HXSERVE_TOKEN": service.token}
        done = subprocess.run(command, cwd=tmp_path, env=access, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        said: dict[str, Any] = json.loads(done.stdout)
        return said

    return run


def test_rejected_letters_are_keyed_learnt_from_and_read_better(run: Run) -> None:
    first = run("train", "--model", "digits", "--epochs", "3", "--seed", "1")
    run("models", "alias", "digits", "production", "1")

    sorted_letters = run(
        *("letters", "--desk", "--coder", "simulated", "--flat-out", "--letters", "900", "--seed", "7"),
        *("--version", "production", "--threshold", "0.9"),
    )
    desk = sorted_letters["desk"]
    assert desk["sent"] == desk["keyed"] == round(900 * sorted_letters["reject_rate"])
    assert desk["left"] == desk["unreadable"] == 0
    assert desk["routed_rate"] == 1.0

    closed = run("corrections", "close", "rejects")
    assert 100 < closed["closed"] <= 5 * desk["sent"]

    second = run(
        *("train", "--model", "digits", "--recipe", "adapt", "--dataset", "rejects"),
        *("--start-from", "production"),
    )
    forgotten = first["result"]["accuracy"] - second["result"]["accuracies"]["mnist"]
    assert forgotten < 0.01

    run(
        *("models", "promote", "digits", "2", "--alias", "production", "--dataset", "mnist"),
        *("--margin", "0.01", "--why", "learnt the rejects"),
    )
    history = run("models", "history", "digits", "--alias", "production")
    newest = history["changes"][0]
    assert (history["version"], history["earlier"]) == ("2", ["1"])
    assert (newest["action"], newest["before"], newest["why"]) == ("promoted", "1", "learnt the rejects")
    assert newest["figures"]["verdict"] in {"better", "not_worse"}

    after = run(
        *("letters", "--flat-out", "--letters", "900", "--version", "production", "--against", "1"),
        *("--threshold", "0.9"),
    )
    rates = after["against"]
    assert (after["version"], rates["version"]) == ("2", "1")
    low, high = rates["gain_interval"]
    assert low <= rates["gain"] <= high
    assert high > 0, rates

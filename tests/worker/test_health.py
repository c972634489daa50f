"""A worker is healthy when it holds its chip from here and serves."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from services.chips.store import ChipStore, Lease
from tests.services.samples import CHIP, a_holder
from worker.health import lacks, main
from worker.leasing import this_process

READY: dict[str, Any] = {"ready": True}


@pytest.fixture
def held_here(chips: ChipStore) -> Lease:
    """The lease of a worker of this machine."""
    return chips.take(CHIP, this_process())


def test_a_worker_that_serves_lacks_nothing(chips: ChipStore, held_here: Lease) -> None:
    chips.renew(held_here, READY)

    assert lacks(chips.record(CHIP)) == ""


def test_a_chip_without_a_worker_is_reported(chips: ChipStore) -> None:
    assert lacks(chips.record(CHIP)) == f"no worker holds chip {CHIP}"


def test_a_worker_of_another_container_does_not_count(chips: ChipStore) -> None:
    chips.renew(chips.take(CHIP, a_holder()), READY)

    assert "is held by a worker on" in lacks(chips.record(CHIP))


@pytest.mark.parametrize(
    ("status", "state"), [({"ready": False}, "starting"), ({"ready": True, "connected": False}, "lost")]
)
def test_a_worker_whose_chip_does_not_serve_is_reported(
    chips: ChipStore, held_here: Lease, status: dict[str, Any], state: str
) -> None:
    chips.renew(held_here, status)

    assert lacks(chips.record(CHIP)) == f"chip {CHIP} is {state}"


def test_a_drifted_chip_serves(chips: ChipStore, held_here: Lease) -> None:
    chips.renew(held_here, READY | {"drifted": True})

    assert lacks(chips.record(CHIP)) == ""


@pytest.mark.usefixtures("connection")
def test_the_exit_status_is_for_the_supervisor(
    chips: ChipStore, redis_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HXSERVE_REDIS_URL", redis_url)
    monkeypatch.setenv("HXSERVE_CHIP_ID", CHIP)

    without = main()
    chips.renew(chips.take(CHIP, this_process()), READY)
    serving = main()

    assert (without, serving) == (1, 0)
    assert capsys.readouterr().out == f"no worker holds chip {CHIP}\nchip {CHIP} is ready\n"


def test_a_redis_that_does_not_answer_is_reported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("HXSERVE_REDIS_URL", f"unix://{tmp_path}/none.sock")

    assert main() == 1
    assert "Redis does not answer" in capsys.readouterr().err


def test_asking_imports_no_torch() -> None:
    program = "import sys, worker.health; sys.exit('torch' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0

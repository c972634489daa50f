"""The units of a host: systemd takes them, they wait for the worker's own word, and give processes few rights."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from deploy.redis_server import REWRITTEN_AT
from services.settings import PREFIX, Settings
from tests.deploy.conftest import ROOT

UNITS: Final = ROOT / "deploy/systemd"
LONGEST_RENEWAL_S: Final = 15.0
"""The most that the heartbeat thread lets pass between two signs of life: a quarter of the longest lease, `lease_s`."""
REDIS_TIMEOUT_S: Final = 10.0

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd is not installed here"
)


def _values(unit: str, name: str) -> list[str]:
    """What a unit's file gives a directive, each time."""
    text = (UNITS / unit).read_text("utf-8").replace("\\\n", " ")
    return re.findall(rf"^{name}=(.*)$", text, re.MULTILINE)


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The units as they are on a host where the project is installed, with this Python in its place."""
    for unit in [*UNITS.glob("*.service"), *UNITS.glob("*.target")]:
        text = unit.read_text("utf-8").replace("/opt/hxserve/bin/python", sys.executable)
        instance = {
            "hxserve-api@.service": "@8080.",
            "hxserve-grpc@.service": "@8001.",
            "hxserve-worker@.service": "@chip-1.",
        }
        (tmp_path / unit.name.replace("@.", instance.get(unit.name, "@."))).write_text(text)
    return tmp_path


@needs_systemd
def test_systemd_finds_nothing_wrong_with_the_units(installed: Path) -> None:
    units = sorted(str(unit) for unit in installed.iterdir())

    done = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True, check=False)

    assert not [line for line in done.stderr.splitlines() if "hxserve" in line], done.stderr
    assert done.returncode == 0


@needs_systemd
@pytest.mark.parametrize(
    "unit", ["hxserve-api@8080.service", "hxserve-grpc@8001.service", "hxserve-worker@chip-1.service"]
)
def test_systemd_rates_what_the_processes_are_exposed_to_as_ok(installed: Path, unit: str) -> None:
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=20", str(installed / unit)]

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout[-400:]


def test_every_setting_of_the_units_and_examples_is_one_that_the_service_knows() -> None:
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    for file in UNITS.iterdir():
        assert set(re.findall(rf"\b{PREFIX}[A-Z_]+", file.read_text("utf-8"))) <= known, file.name


@pytest.mark.parametrize("unit", ["hxserve-api@.service", "hxserve-grpc@.service", "hxserve-worker@.service"])
def test_processes_are_started_again_for_ever_and_secrets_are_files(unit: str) -> None:
    assert _values(unit, "Restart") == ["always"]
    assert _values(unit, "StartLimitIntervalSec") == ["0"]
    assert all("/etc/hxserve/" in given for given in _values(unit, "LoadCredential"))
    assert _values(unit, "LoadCredential")
    named = [given.split("=")[0] for given in _values(unit, "Environment")]
    assert not [name for name in named if re.search(r"PASSWORD|TOKEN", name) and not name.endswith("_FILE")]


def test_the_watchdog_waits_longer_than_the_worker_ever_is_silent() -> None:
    [watchdog] = _values("hxserve-worker@.service", "WatchdogSec")

    assert _values("hxserve-worker@.service", "Type") == ["notify"]
    assert float(watchdog.removesuffix("s")) > 2 * (LONGEST_RENEWAL_S + REDIS_TIMEOUT_S)
    longest = next(fact.le for fact in Settings.model_fields["lease_s"].metadata if hasattr(fact, "le"))
    assert longest / 4 == LONGEST_RENEWAL_S


def test_redis_answers_when_the_disk_has_confirmed() -> None:
    command = _values("redis-server.conf", "ExecStart")[-1]

    assert "--appendonly yes --appendfsync always" in command
    assert " ".join(REWRITTEN_AT) in command
    assert '--save "" --maxmemory-policy noeviction' in command

"""Alerts: each has its entry in the runbook, and comes when it should (as Prometheus' own tool says)."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

ALERTS: Final = Path("deploy/prometheus/alerts.yml")
TESTS: Final = Path("deploy/prometheus/alerts_test.yml")
RUNBOOK: Final = Path("docs/runbook.md")


def _rules() -> list[dict[str, Any]]:
    [group] = yaml.safe_load(ALERTS.read_text("utf-8"))["groups"]
    return list(group["rules"])


def _promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    tool = shutil.which("promtool")
    if tool is None:
        if os.environ.get("CI") == "true" and os.geteuid() == 0 and shutil.which("apt-get"):
            pytest.fail("promtool is missing, which .ci/run installs")
        pytest.skip("promtool is missing; Debian's package prometheus has it")
    return subprocess.run([tool, *map(str, arguments)], capture_output=True, text=True, check=False)


def test_every_alert_has_its_entry_in_the_runbook_and_every_entry_its_alert() -> None:
    headings = re.findall(r"^## (\w+)$", RUNBOOK.read_text("utf-8"), re.MULTILINE)

    assert headings == [rule["alert"] for rule in _rules()]


def test_every_alert_says_how_grave_it_is_what_is_wrong_and_where_to_read_on() -> None:
    for rule in _rules():
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["runbook"] == f"{RUNBOOK}#{rule['alert'].lower()}"


def test_every_alert_is_tested() -> None:
    cases = yaml.safe_load(TESTS.read_text("utf-8"))["tests"]

    tried = [
        (check["alertname"], bool(check["exp_alerts"])) for case in cases for check in case["alert_rule_test"]
    ]

    assert sorted(tried) == sorted((rule["alert"], comes) for rule in _rules() for comes in (False, True))


def test_prometheus_takes_the_rules() -> None:
    checked = _promtool("check", "rules", ALERTS)

    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_alert_comes_when_it_should_and_not_before() -> None:
    tested = _promtool("test", "rules", TESTS)

    assert tested.returncode == 0, tested.stdout + tested.stderr

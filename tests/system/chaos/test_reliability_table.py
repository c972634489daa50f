"""The table of faults and promises names tests that exist."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_each_test_that_the_table_names_exists_and_each_row_names_one() -> None:
    table = (ROOT / "docs" / "reliability.md").read_text("utf-8")
    tests = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text("utf-8"), re.MULTILINE)
    }
    promises = table.partition("## How faults are made")[0]
    rows = [line for line in promises.splitlines() if line.startswith("| ")][2:]

    named = [re.findall(r"`(test_\w+)`", row) for row in rows]

    assert len(rows) >= 10
    assert [row for row, names in zip(rows, named, strict=True) if not names] == []
    assert {name for names in named for name in names} - tests == set()


def test_each_chaos_test_that_disturbs_processes_is_in_the_table() -> None:
    table = (ROOT / "docs" / "reliability.md").read_text("utf-8")
    folder = ROOT / "tests" / "system" / "chaos"
    elsewhere = {"test_reliability_table.py", "test_celery_transport.py"}

    missing = [
        name
        for path in folder.glob("test_*.py")
        if path.name not in elsewhere
        for name in re.findall(r"^def (test_\w+)", path.read_text("utf-8"), re.MULTILINE)
        if name not in table
    ]

    assert missing == []

"""What docs/security.md says is held by tests is held by tests."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_every_test_that_the_security_page_names_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", (ROOT / "docs/security.md").read_text("utf-8")))
    sources = [path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py")]

    existing = set(re.findall(r"def (test_\w+)\(", "\n".join(sources)))

    assert len(named) > 20
    assert named - existing == set()

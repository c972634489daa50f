"""What the tests of the documentation tell at their end."""

import pytest
from _pytest.terminal import TerminalReporter

from tests.docs.blocks import blocks_of, documents

RUNS = "test_the_commands_of_a_document_work_one_after_the_other"


def pytest_terminal_summary(terminalreporter: TerminalReporter, config: pytest.Config) -> None:
    """Says which blocks were run and which cannot be, when the pages were run."""
    reports = [report for outcome in ("passed", "failed") for report in terminalreporter.getreports(outcome)]
    if not any(RUNS in report.nodeid for report in reports) or config.option.verbose < -1:
        return
    blocks = [block for path in documents() for block in blocks_of(path)]
    terminalreporter.section("documentation")
    terminalreporter.line(f"{sum(block.is_run for block in blocks)} blocks are run; these are not:")
    for block in blocks:
        if block.not_run is not None:
            terminalreporter.line(f"  {block.place}: {block.not_run}")

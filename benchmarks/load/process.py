"""Load generators in a process of their own, so that they never share an interpreter with what they measure."""

import subprocess
import sys
from pathlib import Path
from typing import Final

from benchmarks.load.plan import LoadPlan
from benchmarks.load.report import LoadReport

_ROOT: Final = Path(__file__).parents[2]
_GRACE_S: Final = 60.0


class LoadError(Exception):
    """The load could not be applied."""


class LoadProcess:
    """A module that reads a plan from standard input and writes a report to standard output.

    Args:
        module: Its name.
        plan: One line of text.
        seconds: Expected duration.
    """

    def __init__(self, module: str, plan: str, seconds: float) -> None:
        self._limit_s = seconds + _GRACE_S
        self._process = subprocess.Popen(
            [sys.executable, "-m", module],
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdin is not None
        self._process.stdin.write(plan + "\n")
        self._process.stdin.close()
        self._process.stdin = None

    def await_line(self) -> None:
        """Return when the process has written a line, or has ended."""
        assert self._process.stdout is not None
        self._process.stdout.readline()

    def wait(self) -> str:
        """Return the report, when the process has ended.

        Raises:
            LoadError: the process failed; the message holds its last line.
        """
        try:
            output, errors = self._process.communicate(timeout=self._limit_s)
        except subprocess.TimeoutExpired as error:
            self._process.kill()
            self._process.communicate()
            raise LoadError(f"the load did not end within {self._limit_s:.0f} s") from error
        if self._process.returncode:
            raise LoadError(f"the load failed: {errors.strip().splitlines()[-1:]}")
        return output


def start_load(plan: LoadPlan) -> LoadProcess:
    """Start a run and return at once; `LoadReport.from_json` reads its report."""
    return LoadProcess("benchmarks.load", plan.to_json(), plan.warmup_s + plan.seconds)


def apply_load(plan: LoadPlan) -> LoadReport:
    """Carry out a run and return its report.

    Raises:
        LoadError: the run failed.
    """
    return LoadReport.from_json(start_load(plan).wait())

"""Starting a run in a process of its own, so that it never shares an interpreter with what it measures."""

import subprocess
import sys
from pathlib import Path

from benchmarks.load.plan import LoadPlan
from benchmarks.load.report import LoadReport

_ROOT = Path(__file__).parents[2]
_GRACE_S = 60.0


class LoadError(Exception):
    """The load could not be applied."""


class RunningLoad:
    """A run that goes on beside whatever the caller does."""

    def __init__(self, plan: LoadPlan) -> None:
        self._limit_s = plan.warmup_s + plan.seconds + _GRACE_S
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.load"],
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdin is not None
        self._process.stdin.write(plan.to_json() + "\n")
        self._process.stdin.close()
        self._process.stdin = None

    def wait(self) -> LoadReport:
        """The report, when the run is over.

        Raises:
            LoadError: when the run failed, with what its process said.
        """
        try:
            said, complaint = self._process.communicate(timeout=self._limit_s)
        except subprocess.TimeoutExpired as error:
            self._process.kill()
            self._process.communicate()
            raise LoadError(f"the load did not end within {self._limit_s:.0f} s") from error
        if self._process.returncode:
            raise LoadError(f"the load failed: {complaint.strip().splitlines()[-1:]}")
        return LoadReport.from_json(said)


def start_load(plan: LoadPlan) -> RunningLoad:
    """Starts a run and returns at once."""
    return RunningLoad(plan)


def apply_load(plan: LoadPlan) -> LoadReport:
    """Carries out a run and gives its report.

    Raises:
        LoadError: when the run failed.
    """
    return start_load(plan).wait()

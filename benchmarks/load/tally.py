"""Counting answers: which were right, which were not, and how long each took."""

import re
from dataclasses import dataclass, field

from benchmarks.load.messages import Response
from benchmarks.load.plan import LoadPlan
from benchmarks.load.report import LoadReport, percentile


@dataclass(slots=True)
class Tally:
    """What has been counted so far."""

    answered: int = 0
    latencies_s: list[float] = field(default_factory=list)
    errors: int = 0
    wrong: int = 0
    checked: int = 0
    first_error: str = ""

    def add_error(self, reason: str) -> None:
        """Counts something that is no answer; the first reason is kept."""
        self.errors += 1
        self.first_error = self.first_error or reason

    def report(self, *, seconds: float, client_cpu: float) -> LoadReport:
        """The figures over `seconds` of counting."""
        ordered = sorted(1000 * latency_s for latency_s in self.latencies_s)
        return LoadReport(
            requests=len(ordered),
            answered=self.answered,
            seconds=seconds,
            requests_per_s=len(ordered) / seconds,
            p50_ms=percentile(ordered, 0.5),
            p90_ms=percentile(ordered, 0.9),
            p99_ms=percentile(ordered, 0.99),
            errors=self.errors,
            wrong=self.wrong,
            checked=self.checked,
            client_cpu=client_cpu,
            first_error=self.first_error,
        )


class Examiner:
    """Knows what a right answer is."""

    def __init__(self, plan: LoadPlan) -> None:
        self._status = plan.status
        self._check_every = plan.check_every
        self._pattern = re.compile(plan.answer_pattern.encode()) if plan.answer_pattern else None
        self._answers = [[part.encode() for part in answer] for answer in plan.answers]

    def refuse(self, response: Response) -> str:
        """Why this is no answer at all; empty when it is one."""
        if response.status == self._status:
            return ""
        return f"status {response.status}, not {self._status}: {response.body[:200]!r}"

    def check(self, response: Response, *, place: int, count: int, tally: Tally) -> None:
        """Looks at every so-manieth answer and counts its wrong parts; all are if there are too few or too many."""
        if self._pattern is None or count % self._check_every:
            return
        right, found = self._answers[place], self._pattern.findall(response.body)
        tally.checked += len(right)
        if len(found) == len(right):
            tally.wrong += sum(one != other for one, other in zip(found, right, strict=True))
        else:
            tally.wrong += len(right)

"""The report of a load run: throughput, latency, errors and wrong answers."""

import json
import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Self

from benchmarks.load.messages import Response
from benchmarks.load.plan import LoadPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadReport:
    """The figures of one run; latencies in milliseconds, of the requests answered after the warm-up.

    Attributes:
        requests: Answered after the warm-up.
        answered: The same, and those of the warm-up.
        errors: Responses of another status, lost connections and stalled requests; no part of `requests`.
        wrong: Answers that are not the expected ones; a request with 64 crops has 64 answers.
        checked: Answers that were compared.
        client_cpu: Share of one core that the generator used.
    """

    requests: int
    answered: int
    seconds: float
    requests_per_s: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    errors: int
    wrong: int
    checked: int
    client_cpu: float
    first_error: str = ""

    @property
    def wrong_share(self) -> float:
        """The share of wrong answers, 0 when none was checked."""
        return self.wrong / self.checked if self.checked else 0.0

    def to_json(self) -> str:
        """Return the report as one line of text."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read the report that `to_json` wrote."""
        return cls(**json.loads(text))


@dataclass(slots=True)
class Tally:
    """The counts of a run that goes on."""

    plan: LoadPlan
    answered: int = 0
    latencies_s: list[float] = field(default_factory=list)
    errors: int = 0
    wrong: int = 0
    checked: int = 0
    first_error: str = ""
    _pattern: re.Pattern[bytes] = field(init=False)

    def __post_init__(self) -> None:
        """Compile the pattern once."""
        self._pattern = re.compile(self.plan.answer_pattern.encode())

    def add_error(self, reason: str) -> None:
        """Count an error; the first reason is reported."""
        self.errors += 1
        self.first_error = self.first_error or reason

    def add_response(self, response: Response, place: int) -> bool:
        """Count the response to the request at `place`; return False if it is an error."""
        if response.status != self.plan.status:
            self.add_error(f"status {response.status}, not {self.plan.status}: {response.body[:200]!r}")
            return False
        self.answered += 1
        if self.plan.answer_pattern:
            right, found = self.plan.answers[place], self._pattern.findall(response.body)
            self.checked += len(right)
            if len(found) == len(right):
                self.wrong += sum(one != other.encode() for one, other in zip(found, right, strict=True))
            else:
                self.wrong += len(right)
        return True

    def report(self, client_cpu: float) -> LoadReport:
        """Return the figures over the plan's seconds."""
        ordered = sorted(1000 * latency_s for latency_s in self.latencies_s)
        return LoadReport(
            requests=len(ordered),
            answered=self.answered,
            seconds=self.plan.seconds,
            requests_per_s=len(ordered) / self.plan.seconds,
            p50_ms=percentile(ordered, 0.5),
            p90_ms=percentile(ordered, 0.9),
            p99_ms=percentile(ordered, 0.99),
            errors=self.errors,
            wrong=self.wrong,
            checked=self.checked,
            client_cpu=client_cpu,
            first_error=self.first_error,
        )


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the smallest of `ordered` (ascending) that at least `share` of them do not exceed; NaN when empty.

    Source: the nearest-rank definition, which gives only values that were measured.
    """
    if not ordered:
        return math.nan
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]

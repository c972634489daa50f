"""What a load run found: throughput, latency, errors and wrong answers."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadReport:
    """The outcome of one run; latencies in milliseconds, over the requests answered after the warm-up.

    `errors` counts responses of another status, lost connections and stalled requests, `wrong` counts the parts
    of checked answers (a request with 64 crops is answered with 64 digits) that were not the expected ones;
    neither is part of `requests` or the latencies, except that a wrong answer was still an answer. `answered`
    counts the warm-up too. `client_cpu` is the generator's own use of one core.
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
        """The share of checked parts of answers that were wrong, 0 when none was checked."""
        return self.wrong / self.checked if self.checked else 0.0

    def to_json(self) -> str:
        """The report as one line of text."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "LoadReport":
        """The report that `to_json` wrote."""
        return cls(**json.loads(text))


def percentile(ordered: Sequence[float], share: float) -> float:
    """The smallest of `ordered` (ascending) that at least `share` of them do not exceed; NaN when empty.

    Source: the nearest-rank definition, which never invents a value nobody measured.
    """
    if not ordered:
        return math.nan
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]

"""Cost model of long work, learned from measurements: the arithmetic, and the paces kept in Redis.

A mini-batch has a reference time (`services/jobs/workloads.py`). Its time on a chip is the reference times a *pace*,
which is learned per kind of work (backend, execution, recipe, data set, batch, network) and, for work of a kind not
seen yet, per backend and execution. See docs/decisions/0016-honest-waiting.md.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from services.jobs.workloads import Workload
from services.store import keys
from services.store.connection import Connection

Z: Final = 1.2816
"""Standard deviations from the median to the 10th and to the 90th percentile of a normal distribution."""

MEMORY_S: Final = 60.0
"""Measurements older than this many seconds of such work have little weight."""

_PRIOR_STD: Final = 0.7
"""Spread of the logarithm of a pace of which nothing is known: a factor of 2.5 either way."""
_PRIOR_WEIGHT_S: Final = 0.3
"""The amount of measured work that weighs as much as the reference alone."""
_OTHER_SHAPE_STD: Final = 0.25
_LEAST_STD: Final = 0.06


_MOST: Final = 1000
"""Kinds of work that are remembered; users choose shapes, so there may be any number."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Measured time over reference: the mean and variance of its logarithm, recent work counting most.

    `weight_s` is how much measured work it rests on, at most `MEMORY_S`.
    """

    log_mean: float
    log_variance: float
    weight_s: float

    def __post_init__(self) -> None:
        """Refuse values that are not finite numbers.

        Raises:
            ValueError: a part of it is not finite, or negative where it must not be.
        """
        if not math.isfinite(self.log_mean + self.log_variance + self.weight_s):
            raise ValueError(f"a pace is made of finite numbers, not {self}")
        if self.log_variance < 0 or self.weight_s < 0:
            raise ValueError(f"variance and weight of a pace are not negative, as in {self}")


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of the chip: the 10th, 50th and 90th percentile."""

    low_s: float
    median_s: float
    high_s: float

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.low_s + other.low_s, self.median_s + other.median_s, self.high_s + other.high_s)


NOTHING: Final = Cost(0.0, 0.0, 0.0)


def learn(known: Pace | None, measured_s: float, reference_s: float, *, weight_s: float) -> Pace:
    """Return the pace after one more measurement.

    Args:
        known: the pace before the measurement.
        measured_s: how long the work took, > 0.
        reference_s: its reference, > 0.
        weight_s: how much it counts, in seconds of work.
    """
    found = math.log(measured_s / reference_s)
    if known is None:
        return Pace(found, 0.0, weight_s)
    part = weight_s / (known.weight_s + weight_s)
    surprise = found - known.log_mean
    return Pace(
        known.log_mean + part * surprise,
        (1 - part) * (known.log_variance + part * surprise**2),
        min(known.weight_s + weight_s, MEMORY_S),
    )


def cost_of(workload: Workload, paces: Mapping[str, Pace]) -> Cost:
    """Estimate the cost of work from measurements of its kind, else of wider kinds, else from the reference.

    All its mini-batches are taken to be slow or fast together: the range is as wide as the pace is uncertain.
    """
    total = _spread(workload.fixed_s, paces.get(workload.fixed_kind), 0.0)
    for phase in workload.phases:
        exact, wider = paces.get(phase.kind), paces.get(phase.wider_kind)
        if exact is not None:
            total += _spread(phase.steps * phase.reference_s, exact, 0.0)
        else:
            total += _spread(phase.steps * phase.reference_s, wider, _OTHER_SHAPE_STD)
    return total


def _spread(reference_s: float, pace: Pace | None, more_std: float) -> Cost:
    if pace is None:
        mean, variance, weight_s = 0.0, 0.0, 0.0
    else:
        mean, variance, weight_s = pace.log_mean, pace.log_variance, pace.weight_s
    little_known = _PRIOR_STD**2 * _PRIOR_WEIGHT_S / (_PRIOR_WEIGHT_S + weight_s)
    std = math.sqrt(variance + little_known + more_std**2 + _LEAST_STD**2)
    median_s = reference_s * math.exp(mean)
    return Cost(median_s * math.exp(-Z * std), median_s, median_s * math.exp(Z * std))


class CostStore:
    """Reads and writes paces by kind of work."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def paces(self) -> dict[str, Pace]:
        """Return all paces except unreadable ones, which will be measured again."""
        stored: Any = self._connection.client.hgetall(keys.PACES)
        found = {}
        for kind, text in stored.items():
            try:
                found[kind.decode()] = Pace(*json.loads(text))
            except (ValueError, TypeError):
                continue
        return found

    def keep(self, paces: Mapping[str, Pace]) -> None:
        """Store paces; beyond a limit, arbitrary others are deleted."""
        fields: Any = {
            kind: json.dumps([pace.log_mean, pace.log_variance, pace.weight_s])
            for kind, pace in paces.items()
        }
        with self._connection.client.pipeline(transaction=False) as pipeline:
            pipeline.hset(keys.PACES, mapping=fields)
            pipeline.hlen(keys.PACES)
            _, count = pipeline.execute()
            if count > _MOST:
                picked: Any = self._connection.client.hrandfield(keys.PACES, count - _MOST)
                forgotten = [kind for kind in picked if kind.decode() not in paces]
                if forgotten:
                    self._connection.client.hdel(keys.PACES, *forgotten)

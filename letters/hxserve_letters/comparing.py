"""Two versions on the same letters: their read rates at the same error rate, and how sure the difference is.

The threshold of a run leaves a margin, so that the error rates of two runs differ, and their read rates do not compare.
Here each version has the threshold at which just the error rate asked for is reached on these letters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hxserve_letters.decisions import Decision

_RESAMPLES: Final = 1000
_AT_A_TIME: Final = 50
_INTERVAL: Final = (2.5, 97.5)
_SEED: Final = 0

Shares = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ReadRates:
    """Read rates 0..1 at one error rate.

    Attributes:
        error_rate: at which both are taken.
        read_rate: of the version.
        read_rate_against: of the other one.
        gain: their difference.
        gain_interval: 95 %, by a bootstrap over the letters (percentiles; Efron, Annals of Statistics 7, 1979).
    """

    error_rate: float
    read_rate: float
    read_rate_against: float
    gain: float
    gain_interval: tuple[float, float]


def compare_read_rates(
    decisions: Sequence[Decision], against: Sequence[Decision], error_rate: float
) -> ReadRates:
    """Compare two versions' decisions on the same letters, in the same order.

    Args:
        decisions: of the version, with their readings.
        against: of the other version.
        error_rate: share of wrong ones among the routed, 0..1.
    """
    count = len(decisions)
    once = np.ones((1, count))
    versions = _Ranked.of(decisions), _Ranked.of(against)
    rate, other = (float(version.read_rates(once, error_rate)[0]) for version in versions)
    random = np.random.default_rng(_SEED)
    gains = []
    for _ in range(_RESAMPLES // _AT_A_TIME):
        drawn = random.multinomial(count, np.full(count, 1 / count), _AT_A_TIME).astype(np.float64)
        rates = [version.read_rates(drawn, error_rate) for version in versions]
        gains.append(rates[0] - rates[1])
    low, high = (round(float(end), 6) for end in np.percentile(np.concatenate(gains), _INTERVAL))
    return ReadRates(error_rate, round(rate, 6), round(other, 6), round(rate - other, 6), (low, high))


@dataclass(frozen=True, slots=True)
class _Ranked:
    """The letters of a version that were read, the surest first: their places, and 1.0 for each that is wrong."""

    places: NDArray[np.int64]
    wrong: Shares

    @classmethod
    def of(cls, decisions: Sequence[Decision]) -> _Ranked:
        read = [(d.reading, d.written, place) for place, d in enumerate(decisions) if d.reading is not None]
        read.sort(key=lambda letter: -letter[0].confidence)
        wrong = [reading.postcode[:2] != written[:2] for reading, written, _ in read]
        return cls(np.array([place for *_, place in read], np.int64), np.array(wrong, np.float64))

    def read_rates(self, drawn: Shares, error_rate: float) -> Shares:
        """Return the read rate of each resample; `drawn` is how often each letter is in it, (resamples, letters)."""
        counts = drawn[:, self.places]
        routed = counts.cumsum(1)
        is_kept = (counts * self.wrong).cumsum(1) <= error_rate * routed
        rates: Shares = np.where(is_kept, routed, 0.0).max(1, initial=0.0) / drawn.sum(1)
        return rates

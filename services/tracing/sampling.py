"""Which requests are traced: decided before a span is made, so that the others cost a random number."""

import math
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from services.errors import SettingsError

TRACEPARENT: Final = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?"
)
"""The header of a client with a trace: the ids of trace and span, and flags. Source: W3C Trace Context, 3.2."""
_WITH_RATIO: Final = frozenset({"traceidratio", "parentbased_traceidratio"})
_SAMPLERS: Final[Mapping[str, float]] = {
    "always_on": 1.0,
    "always_off": 0.0,
    "traceidratio": 1.0,
    "parentbased_always_on": 1.0,
    "parentbased_always_off": 0.0,
    "parentbased_traceidratio": 1.0,
}
_LOW_BITS: Final = 2**64 - 1


@dataclass(frozen=True, slots=True)
class Sampling:
    """The share of requests that are traced, 0..1; with `follows_clients`, clients that send a trace decide."""

    ratio: float = 1.0
    follows_clients: bool = True

    @classmethod
    def of_environment(cls, environment: Mapping[str, str]) -> Self:
        """Return what OTEL_TRACES_SAMPLER and OTEL_TRACES_SAMPLER_ARG ask for.

        Raises:
            SettingsError: there is no such sampler, or the argument is no ratio.
        """
        name = environment.get("OTEL_TRACES_SAMPLER") or "parentbased_always_on"
        if name not in _SAMPLERS:
            raise SettingsError(f"OTEL_TRACES_SAMPLER is {name!r}; known are {', '.join(_SAMPLERS)}")
        argument = environment.get("OTEL_TRACES_SAMPLER_ARG", "") if name in _WITH_RATIO else ""
        return cls(_ratio(argument) if argument else _SAMPLERS[name], name.startswith("parentbased_"))

    def takes(self, traceparent: str | None) -> bool:
        """Return whether a request with this header is traced."""
        if traceparent is None:
            return random.random() < self.ratio
        sent = TRACEPARENT.fullmatch(traceparent)
        if sent is None:
            return random.random() < self.ratio
        if self.follows_clients:
            return bool(int(sent[3], 16) & 1)
        # By the id, so that every service on the way with this ratio decides the same.
        return (int(sent[1], 16) & _LOW_BITS) < self.ratio * (_LOW_BITS + 1)


def _ratio(text: str) -> float:
    try:
        ratio = float(text)
    except ValueError:
        ratio = math.nan
    if not 0.0 <= ratio <= 1.0:
        raise SettingsError(f"OTEL_TRACES_SAMPLER_ARG is {text!r}; expected a ratio from 0 to 1")
    return ratio

"""The times at which a delivery is tried."""

from typing import Final

PAUSES_S: Final = (5.0, 30.0, 120.0, 600.0, 1800.0, 3600.0, 7200.0, 14400.0, 28800.0)
"""Seconds between a try that failed and the next one: ten tries within about 16 hours."""
LONGEST_ASKED_S: Final = 3600.0
"""The longest pause that a receiver may ask for."""
OFF_AFTER_S: Final = 3 * 86_400.0
"""A webhook of which every try failed for this time is switched off."""

_JITTER: Final = 0.2


def pause_s(tries: int, draw: float, asked_s: float = 0.0) -> float | None:
    """Return the seconds until the next try, None if there is none.

    Args:
        tries: number of tries that failed, from 1.
        draw: a random number from 0 to 1, which moves the pause by up to a fifth to either side, so that deliveries
            that failed together do not come back together.
        asked_s: the pause that the receiver asked for.
    """
    if tries > len(PAUSES_S):
        return None
    return max(PAUSES_S[tries - 1] * (1 + _JITTER * (2 * draw - 1)), min(asked_s, LONGEST_ASKED_S))

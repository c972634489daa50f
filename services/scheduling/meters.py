"""Meters of a chip's time: the shares of long work and of all that goes before it."""


class ShareMeter:
    """The recent share of long work in the chip's time: two decaying sums of seconds."""

    def __init__(self, half_life_s: float = 1.0) -> None:
        self._half_life_s = half_life_s
        self._long_s = 0.0
        self._other_s = 0.0

    def note(self, seconds: float, *, is_long: bool) -> None:
        """Record a unit that took `seconds`."""
        keep = 0.5 ** (seconds / self._half_life_s)
        self._long_s *= keep
        self._other_s *= keep
        if is_long:
            self._long_s += seconds
        else:
            self._other_s += seconds

    @property
    def long_share(self) -> float:
        """The share, 0..1; 1 before the first record, so that an idle chip answers crops at once."""
        total = self._long_s + self._other_s
        return self._long_s / total if total > 0 else 1.0


class BusyMeter:
    """The recent share of time not available to long work: a decaying mean over time, not over units."""

    def __init__(self, half_life_s: float = 20.0) -> None:
        self._half_life_s = half_life_s
        self._share = 0.0

    def note(self, seconds: float, busy_s: float) -> None:
        """Record a span of time, `busy_s` of which went to crops, maintenance or looking for work."""
        if seconds > 0:
            keep = 0.5 ** (seconds / self._half_life_s)
            self._share = keep * self._share + (1 - keep) * min(busy_s / seconds, 1.0)

    def after(self, free_s: float) -> float:
        """Return the share, 0..1, after `free_s` idle seconds since the last span."""
        return float(self._share * 0.5 ** (free_s / self._half_life_s))

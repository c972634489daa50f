"""Lanes: where crops wait for a chip."""

from dataclasses import dataclass
from typing import Final

PART_CROPS: Final = 64
"""The most crops of one entry of a lane, so that batches can be shared; `prelude.lua` knows it too."""


@dataclass(frozen=True, slots=True)
class Lane:
    """Where crops of one sender wait for one version of a model.

    `home` is the hardware's name of the only chip that may read them; any may when it is empty.
    """

    model: str
    version: str
    user: str
    home: str = ""

    def __str__(self) -> str:
        """Return the lane's name in Redis; its parts contain neither separator."""
        return f"{self.reference}:{self.user}"

    @property
    def reference(self) -> str:
        """The lane without its user: crops of equal references may share a batch."""
        return f"{self.model}@{self.version}" + (f"@{self.home}" if self.home else "")

    @classmethod
    def parse(cls, name: str) -> "Lane":
        """Return the lane of a name made by `str`."""
        reference, user = name.rsplit(":", 1)
        model, version, *home = reference.split("@")
        return cls(model, version, user, *home)


@dataclass(slots=True)
class Span:
    """The crops of one request within an entry: `count` of them, beginning with number `first`."""

    first: int
    count: int


def read_waiting(text: bytes) -> tuple[int, int, float]:
    """Return what waits in a lane as it is stored: crops, entries, and the Unix time the oldest came."""
    crops, entries, oldest_ms = text.split()
    return int(crops), int(entries), int(oldest_ms) / 1000

"""Crops that wait, in simulated time: parts of requests in lanes, one for each version and sender, as in Redis."""

import heapq
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from services.scheduling.policy import WaitingCrops

ANY: Final = -1
"""Home of crops that any chip may read."""


@dataclass(slots=True)
class Request:
    """Crops that were sent together.

    Attributes:
        user: Their sender.
        reference: Which version is to read them.
        home: Number of the only chip that may, or `ANY`.
        crops: How many.
        sent_at: When the service accepted them, simulated seconds.
        answered: Called when all are answered.
        parts_left: Parts not answered yet.
        begun_at: When the last part to begin was begun.
    """

    user: str
    reference: str
    home: int
    crops: int
    sent_at: float
    answered: "Callable[[Request], None]"
    parts_left: int = 0
    begun_at: float = 0.0


@dataclass(slots=True)
class Part:
    """A part of a request, which a chip claims as a whole."""

    request: Request
    crops: int
    at: float


def batches_of(parts: Sequence[Part], most: int) -> Iterator[list[Part]]:
    """Divide parts into batches of at most `most` crops, or of one part."""
    batch: list[Part] = []
    crops = 0
    for part in parts:
        if batch and crops + part.crops > most:
            yield batch
            batch, crops = [], 0
        batch.append(part)
        crops += part.crops
    yield batch


@dataclass(slots=True)
class _Version:
    """The lanes of one version, by sender, and how many crops wait in each."""

    lanes: dict[str, deque[Part]] = field(default_factory=dict)
    crops: dict[str, int] = field(default_factory=dict)


class CropLanes:
    """All crops that wait.

    A situation needs no more than the versions that can win, the oldest and the one on the chip: `waiting_for` gives
    those, and a test holds that the policy chooses the same from them as from all.
    """

    def __init__(self, part_crops: int) -> None:
        self._part_crops = part_crops
        self._versions: dict[tuple[int, str], _Version] = {}
        self._by_age: dict[int, list[tuple[float, str]]] = {}
        self.crops = 0
        self.crops_of: dict[str, int] = {}
        self.crops_at: dict[int, int] = {}
        """Crops by the chip that may read them."""

    def add(self, request: Request) -> None:
        """Take in a request, in parts."""
        key = request.home, request.reference
        version = self._versions.get(key)
        if version is None:
            version = self._versions[key] = _Version()
        lane = version.lanes.get(request.user)
        if lane is None:
            lane = version.lanes[request.user] = deque()
            self._note_age(request.home, request.sent_at, request.reference)
        left = request.crops
        while left > 0:
            crops = min(left, self._part_crops)
            lane.append(Part(request, crops, request.sent_at))
            request.parts_left += 1
            left -= crops
        self._count(request.home, version, request.user, request.crops)

    def waiting_for(self, chip: int, on_chip: str | None) -> list[WaitingCrops]:
        """Return the lanes that this chip may read and the policy may choose."""
        found: dict[tuple[int, str], None] = {}
        for home in (ANY, chip):
            oldest = self._oldest(home)
            if oldest is not None:
                found[home, oldest] = None
            if on_chip is not None and (home, on_chip) in self._versions:
                found[home, on_chip] = None
        return [each for key in found for each in self._waiting(key)]

    def all_waiting_for(self, chip: int) -> list[WaitingCrops]:
        """Return all crops that this chip may read."""
        return [each for key in self._versions if key[0] in {ANY, chip} for each in self._waiting(key)]

    def readable(self, chip: int) -> int:
        """Return the number of waiting crops that this chip may read."""
        return self.crops_at.get(ANY, 0) + self.crops_at.get(chip, 0)

    def claim(self, chip: int, reference: str, grants: Mapping[str, int]) -> list[Part]:
        """Take parts out of their lanes; of each lane the last may go beyond the grant. Source: claim_crops.lua."""
        home = chip if (chip, reference) in self._versions else ANY
        version = self._versions[home, reference]
        claimed: list[Part] = []
        for user, grant in grants.items():
            lane, left = version.lanes[user], grant
            while left > 0 and lane:
                part = lane.popleft()
                left -= part.crops
                claimed.append(part)
            self._count(home, version, user, left - grant)
            if lane:
                self._note_age(home, lane[0].at, reference)
            else:
                del version.lanes[user], version.crops[user]
        if not version.lanes:
            del self._versions[home, reference]
        return claimed

    def delay(self, seconds: float) -> None:
        """Make all crops younger, because no time has passed for them."""
        requests: dict[int, Request] = {}
        for version in self._versions.values():
            for lane in version.lanes.values():
                for part in lane:
                    part.at += seconds
                    requests[id(part.request)] = part.request
        for request in requests.values():
            request.sent_at += seconds
        for home, ages in self._by_age.items():
            self._by_age[home] = [(at + seconds, reference) for at, reference in ages]

    def _waiting(self, key: tuple[int, str]) -> Iterator[WaitingCrops]:
        version = self._versions[key]
        for user, lane in version.lanes.items():
            yield WaitingCrops(key[1], user, version.crops[user], lane[0].at)

    def _oldest(self, home: int) -> str | None:
        ages = self._by_age.get(home)
        while ages:
            at, reference = ages[0]
            version = self._versions.get((home, reference))
            if version is not None and any(lane[0].at == at for lane in version.lanes.values()):
                return reference
            heapq.heappop(ages)
        return None

    def _note_age(self, home: int, at: float, reference: str) -> None:
        heapq.heappush(self._by_age.setdefault(home, []), (at, reference))

    def _count(self, home: int, version: _Version, user: str, crops: int) -> None:
        version.crops[user] = version.crops.get(user, 0) + crops
        self.crops += crops
        self.crops_at[home] = self.crops_at.get(home, 0) + crops
        left = self.crops_of.get(user, 0) + crops
        if left:
            self.crops_of[user] = left
        else:
            del self.crops_of[user]

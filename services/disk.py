"""How much room the data folder has, and the floor below which no new training is taken in."""

import os
from dataclasses import dataclass
from pathlib import Path

from services.errors import DiskLowError


@dataclass(frozen=True, slots=True)
class Room:
    """Of a file system: its size, and what is free of it for this process, in bytes."""

    size_bytes: int
    free_bytes: int


class Disk:
    """The file system of a folder, which need not exist yet."""

    def __init__(self, folder: Path, floor_bytes: int) -> None:
        self._folder = folder.absolute()
        self.floor_bytes = floor_bytes

    def room(self) -> Room:
        """Its size and what is free now."""
        there = next(path for path in (self._folder, *self._folder.parents) if path.exists())
        facts = os.statvfs(there)
        return Room(facts.f_blocks * facts.f_frsize, facts.f_bavail * facts.f_frsize)

    def check(self) -> None:
        """Does nothing while there is room for another training.

        Raises:
            DiskLowError: less is free than the floor.
        """
        free_bytes = self.room().free_bytes
        if free_bytes < self.floor_bytes:
            raise DiskLowError(
                f"the service's disk has {free_bytes / 2**20:.0f} MiB free, less than the "
                f"{self.floor_bytes / 2**20:.0f} MiB below which no training is taken in; what was taken in goes on "
                "and crops are read. Delete models that nobody needs, or ask the operator for room"
            )

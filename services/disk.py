"""The free space of the data folder, and the limit below which new trainings and uploads are refused."""

import shutil
from pathlib import Path

from services.errors import DiskLowError


class Disk:
    """The file system of a folder, which need not exist yet.

    Attributes:
        floor_bytes: Free space that trainings must leave.
    """

    def __init__(self, folder: Path, floor_bytes: int) -> None:
        self._folder = folder.absolute()
        self.floor_bytes = floor_bytes

    def size_and_free_bytes(self) -> tuple[int, int]:
        """Return the size and the free space of the file system."""
        existing = next(path for path in (self._folder, *self._folder.parents) if path.exists())
        usage = shutil.disk_usage(existing)
        return usage.total, usage.free

    def check(self, needed_bytes: int = 0) -> None:
        """Raise DiskLowError if less than `floor_bytes` is free once `needed_bytes` are written."""
        _, free_bytes = self.size_and_free_bytes()
        if free_bytes - needed_bytes < self.floor_bytes:
            needed = f", {needed_bytes / 2**20:.0f} MiB are to be written" if needed_bytes else ""
            raise DiskLowError(
                f"the service's disk has {free_bytes / 2**20:.0f} MiB free{needed}, less than the "
                f"{self.floor_bytes / 2**20:.0f} MiB below which new trainings and uploads are refused; accepted ones "
                "continue and crops are read. Delete models that nobody needs, or ask the operator for disk space"
            )

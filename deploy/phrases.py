"""What a backup is said to hold."""

from datetime import UTC, datetime
from typing import Final

from deploy.archive import BackupManifest

_NAMES: Final = {
    "users": "users",
    "models": "models",
    "versions": "versions",
    "jobs": "jobs",
    "unfinished_jobs": "unfinished long jobs",
    "saves": "saves",
    "waiting_parts_of_crops": "waiting parts of crops",
    "calibrations": "calibrations",
}


def described(manifest: BackupManifest) -> str:
    """A backup in a sentence: when it was taken, by what, and what it holds."""
    taken = datetime.fromtimestamp(manifest.taken_at, UTC)
    held = ", ".join(f"{name} {manifest.counts.get(count, 0)}" for count, name in _NAMES.items())
    return f"the service as it was at {taken:%Y-%m-%d %H:%M:%S} UTC (hxserve {manifest.hxserve}): {held}"

"""Publication of a version: whole or not at all, under a number that was never used before."""

import errno
import hashlib
import secrets
import shutil
import time
from itertools import count
from pathlib import Path
from typing import Final

from services.files import storage_errors, sync_folder, write_durably
from services.models.manifest import Manifest, Origin

WEIGHTS: Final = "weights.safetensors"
MANIFEST: Final = "manifest.json"


def publish_next(folder: Path, origin: Origin, weights: bytes) -> Manifest:
    """Publish the next version in the folder of a model.

    Raises:
        StorageError: the folder cannot be written; nothing is published.
    """
    with storage_errors(folder):
        (folder / "aliases").mkdir(parents=True, exist_ok=True)
        first = max(numbers_in(folder) | numbers_in(folder / ".deleted"), default=0) + 1
        return next(filter(None, (_publish_as(n, folder, origin, weights) for n in count(first))))


def _publish_as(number: int, folder: Path, origin: Origin, weights: bytes) -> Manifest | None:
    """Return the published manifest, or None when another worker has just taken the number."""
    manifest = Manifest(
        **origin.model_dump(),
        version=str(number),
        created_at=time.time(),
        weights_bytes=len(weights),
        weights_sha256=hashlib.sha256(weights).hexdigest(),
    )
    unpublished = folder / f".unpublished-{secrets.token_hex(4)}"
    unpublished.mkdir()
    try:
        write_durably(unpublished / WEIGHTS, weights)
        write_durably(unpublished / MANIFEST, manifest.model_dump_json(indent=2).encode())
        unpublished.rename(folder / manifest.version)
    except OSError as error:
        if error.errno in {errno.ENOTEMPTY, errno.EEXIST}:
            return None
        raise
    finally:
        shutil.rmtree(unpublished, ignore_errors=True)
    sync_folder(folder)
    return manifest


def numbers_in(folder: Path) -> set[int]:
    """Return the numbers of the versions in a folder."""
    if not folder.is_dir():
        return set()
    return {int(path.name) for path in folder.iterdir() if path.name.isdecimal()}

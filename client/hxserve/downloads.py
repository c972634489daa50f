"""Versions fetched: checked, and as files whole or not there at all."""

import hashlib
import os
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hxserve.errors import DownloadDamagedError
from hxserve.transport import Transport, segment


def fetch_version(transport: Transport, name: str, version: str) -> tuple[dict[str, Any], bytes]:
    """Return a version's manifest and its weights, a safetensors file; `version` is a number or an alias.

    Raises:
        DownloadDamagedError: the weights arrived with another sha256 than the service published.
    """
    model = f"/v1/models/{segment(name)}/versions"
    manifest = transport.call_json("GET", f"{model}/{segment(version)}")
    # By its number: an alias may have moved on since.
    number = str(manifest["version"])
    weights = transport.call("GET", f"{model}/{segment(number)}/weights").data
    if hashlib.sha256(weights).hexdigest() != manifest["weights_sha256"]:
        raise DownloadDamagedError(
            f"the weights of {name} version {number} arrived with another sha256 than published "
            f"({len(weights)} bytes came); download them again, and tell the operator if it stays so"
        )
    return manifest, weights


def download_weights(transport: Transport, name: str, version: str, path: Path) -> Path:
    """Download a version's weights to a file; return its path.

    `version` is a number or an alias; `path` is the file, or a folder for `<name>-<version>.safetensors`.

    Raises:
        DownloadDamagedError: the file arrived with another sha256 than the service published.
        OSError: the file cannot be written; an older one is untouched.
    """
    manifest, weights = fetch_version(transport, name, version)
    target = path / f"{name}-{manifest['version']}.safetensors" if path.is_dir() else path
    write_whole(target, weights)
    return target


def write_whole(path: Path, content: bytes) -> None:
    """Replace the content of a file.

    Raises:
        OSError: it cannot be written; an older one is untouched.
    """
    write_pieces(path, [content])


def write_pieces(path: Path, pieces: Iterable[bytes]) -> None:
    """Replace the content of a file by pieces that come one after the other.

    Raises:
        OSError: it cannot be written; an older one is untouched, also if the pieces end with an exception.
    """
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with unfinished.open("xb") as file:
            for piece in pieces:
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)

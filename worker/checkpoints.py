"""Weights and training states as safetensors bytes: never pickle."""

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Final

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from services.errors import CheckpointDamagedError
from services.files import storage_errors, write_durably
from services.models.description import Description
from services.models.files import ModelStore
from services.models.manifest import Manifest
from worker.learning.training_state import TrainerState

_FACTS: Final = "facts"
_SHA256: Final = "sha256"
_log = logging.getLogger(__name__)


def pack_weights(weights: Mapping[str, Tensor], description: Description | None = None) -> bytes:
    """Return weights as the bytes of a safetensors file, with the description of their network."""
    metadata = description.metadata() if description else None
    packed: bytes = save({name: tensor.contiguous() for name, tensor in weights.items()}, metadata)
    return packed


def read_weights(packed: bytes, name: str) -> dict[str, Tensor]:
    """Read weights from the bytes of a safetensors file.

    Raises:
        CheckpointDamagedError: the bytes are not a safetensors file.
    """
    try:
        weights: dict[str, Tensor] = load(packed)
    except SafetensorError as error:
        raise CheckpointDamagedError(f"the weights of {name} are not a safetensors file: {error}") from None
    return weights


@dataclass(frozen=True, slots=True)
class Version:
    """A version as it was published."""

    manifest: Manifest
    weights: dict[str, Tensor]


def read_version(models: ModelStore, model: str, version: str) -> Version:
    """Return a version's manifest and its checked weights.

    Raises:
        ModelNotFoundError: it was deleted.
        CheckpointDamagedError: its files differ from the published ones.
    """
    manifest = models.manifest(model, version)
    return Version(manifest, read_weights(models.weights(model, version), f"{model}@{version}"))


def software_versions() -> dict[str, str]:
    """Return the versions of libraries on which the numbers depend."""
    others = {name: metadata.version(name) for name in ("torch", "torchvision", "numpy")}
    return {"hxserve": metadata.version("hxserve-server"), **others}


def _digest(tensors: dict[str, Tensor], facts: str) -> str:
    """Return the checksum of a save: of names, shapes and numbers, and of the facts."""
    return hashlib.sha256(save(tensors) + facts.encode()).hexdigest()


def _unpack_state(packed: bytes) -> TrainerState:
    """Return the inverse of packing in `Saves.write`.

    Raises:
        SafetensorError, ValueError, KeyError, TypeError: these are not the bytes of a save.
    """
    header_bytes = int.from_bytes(packed[:8], "little")
    kept = json.loads(packed[8 : 8 + header_bytes])["__metadata__"]
    tensors: dict[str, Tensor] = load(packed)
    if _digest(tensors, kept[_FACTS]) != kept[_SHA256]:
        raise ValueError("its checksum is not that of its content")
    return TrainerState(tensors=tensors, facts=json.loads(kept[_FACTS]))


class Saves:
    """Unfinished trainings on disk, one file per job, so that the next worker process goes on from there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, job_id: str, state: TrainerState) -> None:
        """Save a state; the one before it is there until this one is.

        Raises:
            StorageError: it cannot be written; the one before it is still there.
        """
        tensors = {name: tensor.contiguous() for name, tensor in state.tensors.items()}
        facts = json.dumps(state.facts)
        packed = save(tensors, metadata={_FACTS: facts, _SHA256: _digest(tensors, facts)})
        with storage_errors(self._path(job_id)):
            self.folder.mkdir(parents=True, exist_ok=True)
            write_durably(self._path(job_id), packed)

    def read(self, job_id: str) -> TrainerState | None:
        """Return the newest state, or None if none can be read."""
        try:
            return _unpack_state(self._path(job_id).read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
            _log.exception("the save of job %s is damaged, it starts again: %s", job_id, error)
            return None

    def step_of(self, job_id: str) -> int:
        """Return the step of the newest state, -1 without one."""
        state = self.read(job_id)
        return int(state.facts["step_count"]) if state else -1

    def job_ids(self) -> set[str]:
        """Return the jobs whose states are kept."""
        return {path.stem for path in self.folder.glob("*.safetensors")}

    def flush(self, job_id: str) -> None:
        """Do nothing: states are on disk once written."""

    def delete(self, job_id: str) -> None:
        """Delete the state of a job, if there is one."""
        self._path(job_id).unlink(missing_ok=True)

    def _path(self, job_id: str) -> Path:
        return self.folder / f"{job_id}.safetensors"

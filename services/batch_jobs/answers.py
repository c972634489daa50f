"""The answers of batch jobs, in parts that are written whole and never again.

batches/<job>/<first>.safetensors    the answers from crop `first` on, and the chip calls that gave them

A part begins where the one before it ends. A worker that lost its chip and goes on writing cannot replace what its
successor wrote: a part that exists stays as it is.
"""

import json
import os
import secrets
import shutil
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load, save

from services.errors import BatchDamagedError, LeaseLostError
from services.files import storage_errors, sync_folder

UNREADABLE: Final = 255
"""In the place of the digit of a crop that could not be read."""
_FACTS: Final = "facts"
_LEAST_AGE_S: Final = 120.0
"""A folder is made a moment before its job's state is recorded."""


class Source(BaseModel):
    """Where chip calls were made: the same for most of a job."""

    model_config = ConfigDict(frozen=True)

    model: str
    version: str
    chip: str
    backend: str
    calibration: dict[str, Any] | None
    transferred: bool
    repeats: int


@dataclass(slots=True)
class Totals:
    """Sums over answers."""

    crops: int = 0
    calls: int = 0
    unreadable: int = 0
    chip_s: float = 0.0
    confidence: float = 0.0
    digits: list[int] = field(default_factory=lambda: [0] * 10)

    def plus(self, other: "Totals") -> "Totals":
        """Return the sums of both."""
        return Totals(
            self.crops + other.crops,
            self.calls + other.calls,
            self.unreadable + other.unreadable,
            self.chip_s + other.chip_s,
            self.confidence + other.confidence,
            [one + more for one, more in zip(self.digits, other.digits, strict=True)],
        )


class Facts(BaseModel):
    """What a part says besides its arrays.

    Attributes:
        first_call: number of its first chip call among those of the job.
        sources: of its calls.
        names: of its crops, by their place in the part, where they were pictures.
        problems: why crops could not be read, by their place in the part.
        totals: of its answers.
    """

    model_config = ConfigDict(frozen=True)

    first_call: int = 0
    sources: list[Source] = []
    names: dict[int, str] = {}
    problems: dict[int, str] = {}
    totals: Totals = Totals()


@dataclass(frozen=True, slots=True)
class Part:
    """Answers to crops that follow each other.

    Attributes:
        first: number of the first crop among those of the job.
        digits: (n,) uint8, 0..9 or `UNREADABLE`.
        scores: (n, 10) int8, in LSB of the chip's ADC.
        confidences: (n,) float32, 0..1.
        calls: (n,) uint32, the number of the chip call that read each crop.
        call_s: (calls,) float32, seconds that each call took.
        called_at: (calls,) float64, Unix seconds.
        call_source: (calls,) uint16, place in `facts.sources`.
        facts: the rest.
    """

    first: int
    digits: NDArray[np.uint8]
    scores: NDArray[np.int8]
    confidences: NDArray[np.float32]
    calls: NDArray[np.uint32]
    call_s: NDArray[np.float32]
    called_at: NDArray[np.float64]
    call_source: NDArray[np.uint16]
    facts: Facts

    def packed(self) -> bytes:
        """Return the bytes of its file."""
        arrays = {name: getattr(self, name) for name in ARRAYS}
        packed: bytes = save(arrays, {_FACTS: self.facts.model_dump_json()})
        return packed

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return the part of a file.

        Raises:
            BatchDamagedError: it is none.
        """
        try:
            content = path.read_bytes()
            return cls(
                int(path.stem), **load(content), facts=_facts_of(content[: 8 + _header_bytes(content)])
            )
        except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
            raise _damaged(path, error) from None


ARRAYS: Final[Mapping[str, tuple[type[np.generic], tuple[int, ...]]]] = {
    "digits": (np.uint8, ()),
    "scores": (np.int8, (10,)),
    "confidences": (np.float32, ()),
    "calls": (np.uint32, ()),
    "call_s": (np.float32, ()),
    "called_at": (np.float64, ()),
    "call_source": (np.uint16, ()),
}
"""The arrays of a part: their types, and their shapes without the first axis."""


class BatchStore:
    """The answers of all batch jobs, in a folder that API and worker share."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def totals(self, job_id: str) -> Totals:
        """Return the sums over all answers of a job.

        Raises:
            BatchDamagedError: a part cannot be read.
        """
        sums = Totals()
        for path in self.paths(job_id):
            sums = sums.plus(facts_in(path).totals)
        return sums

    def paths(self, job_id: str) -> list[Path]:
        """Return the files of a job's parts, each from where the one before it ends.

        Raises:
            BatchDamagedError: a part cannot be read.
        """
        found, end = [], 0
        for path in sorted(self._of(job_id).glob("[0-9]*.safetensors")):
            if int(path.stem) != end:
                break
            end += facts_in(path).totals.crops
            found.append(path)
        return found

    def keep(self, job_id: str, part: Part) -> None:
        """Write the next part of a job; it is on the disk when this returns.

        Raises:
            LeaseLostError: another worker has written these answers.
            StorageError: it cannot be written.
        """
        folder = self._of(job_id)
        path, packed = folder / f"{part.first:08d}.safetensors", part.packed()
        unfinished = folder / f".{secrets.token_hex(8)}"
        with storage_errors(path):
            folder.mkdir(parents=True, exist_ok=True)
            try:
                with unfinished.open("xb") as file:
                    file.write(packed)
                    file.flush()
                    os.fsync(file.fileno())
                os.link(unfinished, path)
            except FileExistsError:
                if path.read_bytes() != packed:
                    raise LeaseLostError(
                        f"another worker has read the crops of job {job_id} from {part.first} on"
                    ) from None
            finally:
                unfinished.unlink(missing_ok=True)
            sync_folder(folder)

    def delete(self, job_id: str) -> None:
        """Delete the answers of a job, if there are any."""
        shutil.rmtree(self._of(job_id), ignore_errors=True)

    def job_ids(self) -> list[str]:
        """Return the jobs whose answers are kept."""
        with suppress(FileNotFoundError):
            return [path.name for path in self._folder.iterdir() if path.is_dir()]
        return []

    def discard_forgotten(self, known: Callable[[Collection[str]], Collection[str]]) -> None:
        """Delete the answers of jobs whose records have expired; `known` returns those of given ids that have not."""
        ids = [job_id for job_id in self.job_ids() if self._age_s(job_id) > _LEAST_AGE_S]
        kept = set(known(ids)) if ids else set()
        for job_id in ids:
            if job_id not in kept:
                self.delete(job_id)

    def _age_s(self, job_id: str) -> float:
        with suppress(FileNotFoundError):
            return time.time() - self._of(job_id).stat().st_mtime
        return 0.0

    def _of(self, job_id: str) -> Path:
        return self._folder / job_id


def parts_of(paths: Collection[Path]) -> Iterator[Part]:
    """Return the parts in files, one after the other.

    Raises:
        BatchDamagedError: one cannot be read.
    """
    return map(Part.read, paths)


def facts_in(path: Path) -> Facts:
    """Return the facts of a part, without its arrays.

    Raises:
        BatchDamagedError: they cannot be read.
    """
    try:
        with path.open("rb") as file:
            head = file.read(8)
            return _facts_of(head + file.read(_header_bytes(head)))
    except (OSError, ValueError, KeyError) as error:
        raise _damaged(path, error) from None


def _header_bytes(content: bytes) -> int:
    return int.from_bytes(content[:8], "little")


def _facts_of(header: bytes) -> Facts:
    return Facts.model_validate_json(json.loads(header[8:])["__metadata__"][_FACTS])


def _damaged(path: Path, error: Exception) -> BatchDamagedError:
    reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
    return BatchDamagedError(
        f"the answers {path.name} of job {path.parent.name} are damaged ({reason}); submit the job again"
    )

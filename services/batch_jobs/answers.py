"""The answers of batch jobs, in parts that are written whole and never again.

batches/<job>/<first>.safetensors    the answers from crop `first` on, and the chip calls that gave them

A part begins where the one before it ends. A worker that lost its chip and goes on writing cannot replace what its
successor wrote: a part that exists stays as it is.
"""

import os
import secrets
import shutil
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path

from services.batch_jobs.parts import Part, Totals, facts_in
from services.errors import LeaseLostError
from services.files import storage_errors, sync_folder


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

    def discard_forgotten(
        self, known: Callable[[Collection[str]], Collection[str]], keep_jobs_s: float
    ) -> None:
        """Delete the answers of jobs whose records have expired.

        `known` returns those of given ids that have not; it is asked about answers older than `keep_jobs_s`, since a
        record is kept for that time after its job has ended.
        """
        ids = [job_id for job_id in self.job_ids() if self._age_s(job_id) > keep_jobs_s]
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

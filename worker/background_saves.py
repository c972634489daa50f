"""Saves of trainings while the chip works on: a state is handed over, and written by a thread."""

import threading

from services.errors import StorageError
from worker.checkpoints import Saves
from worker.learning.training_state import TrainerState


class BackgroundSaves(Saves):
    """Saves whose `write` returns at once; of several states of one job the newest is written.

    A state that is not written yet is lost with the process, as if it had been saved a little later. `flush` waits.
    """

    _thread: threading.Thread | None = None

    def __init__(self, saves: Saves) -> None:
        super().__init__(saves.folder)
        self._changed = threading.Condition()
        self._waiting: dict[str, TrainerState] = {}
        self._writing: str | None = None
        self._failures: dict[str, StorageError] = {}

    def write(self, job_id: str, state: TrainerState) -> None:
        """Let a state be kept soon; the one before it is there until this one is.

        Raises:
            StorageError: the state handed over before could not be written; this one is not tried.
        """
        with self._changed:
            failure = self._failures.pop(job_id, None)
            if failure:
                raise failure
            self._waiting[job_id] = state
            if self._thread is None:
                self._thread = threading.Thread(target=self._write_all, name="saves", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def flush(self, job_id: str) -> None:
        """Return when the state of a job that was handed over last is on disk.

        Raises:
            StorageError: it cannot be written.
        """
        with self._changed:
            self._changed.wait_for(lambda: job_id not in self._waiting and job_id != self._writing)
            failure = self._failures.pop(job_id, None)
            if failure:
                raise failure

    def read(self, job_id: str) -> TrainerState | None:
        """Return the newest state handed over, or None if none can be read."""
        with self._changed:
            self._changed.wait_for(lambda: job_id not in self._waiting and job_id != self._writing)
        return super().read(job_id)

    def delete(self, job_id: str) -> None:
        """Delete the state of a job, also one that waits to be written."""
        with self._changed:
            self._waiting.pop(job_id, None)
            self._failures.pop(job_id, None)
            self._changed.wait_for(lambda: job_id != self._writing)
        super().delete(job_id)

    def _write_all(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                job_id, state = next(iter(self._waiting.items()))
                del self._waiting[job_id]
                self._writing = job_id
            failure = self._try_write(job_id, state)
            with self._changed:
                self._writing = None
                if failure:
                    self._failures[job_id] = failure
                self._changed.notify_all()

    def _try_write(self, job_id: str, state: TrainerState) -> StorageError | None:
        try:
            super().write(job_id, state)
        except StorageError as error:
            return error
        except Exception as error:  # noqa: BLE001 any failure must reach the thread that waits for this save
            return StorageError(f"the save of job {job_id} failed ({type(error).__name__}: {error})")
        return None

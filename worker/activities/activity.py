"""The interface of long jobs to the worker."""

from typing import Any, Protocol

from services.errors import InvalidInputError
from services.settings import CHIPLESS
from worker.chip import ChipSession


class Activity(Protocol):
    """A long job in this worker's memory."""

    @property
    def finished(self) -> bool:
        """Whether no step is left."""

    @property
    def steps_done(self) -> int:
        """Mini-batches run."""

    @property
    def steps_total(self) -> int:
        """Mini-batches in all."""

    @property
    def execution(self) -> str:
        """Where the next mini-batch is computed."""

    @property
    def in_the_loop(self) -> bool:
        """Whether it learns in this chip's loop, so that no other chip may continue it."""

    def step(self) -> None:
        """Run one mini-batch."""

    def metrics(self) -> dict[str, Any]:
        """Return the metrics for the job's record while it runs."""

    def save(self) -> None:
        """Keep the state for another process.

        Raises:
            StorageError: it cannot be written.
        """

    def complete(self) -> dict[str, Any]:
        """Return the job's result, once finished.

        Raises:
            StorageError: it cannot be published.
        """

    def keep_part(self) -> dict[str, Any] | None:
        """Return the partial result of a cancelled job, if there is one."""


def need_chip(session: ChipSession, execution: str) -> None:
    """Raise unless the chip can run this job.

    Raises:
        InvalidInputError: the execution needs a chip, and there is none.
    """
    if "chip" in execution and session.backend in CHIPLESS:
        raise InvalidInputError(
            f"execution {execution!r} needs a chip, and {session.chip} is a {session.backend}; start the worker with "
            "`--chip emulator` or `--chip hxtorch`, or choose another execution"
        )

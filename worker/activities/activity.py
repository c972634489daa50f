"""What every long job offers to the worker."""

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
        """Whether it learns from what this very chip computes, so that no other may go on with it."""

    def step(self) -> None:
        """Runs one mini-batch."""

    def metrics(self) -> dict[str, Any]:
        """What the job's record says while it runs."""

    def save(self) -> None:
        """Keeps the state for another process.

        Raises:
            StorageError: it cannot be written.
        """

    def complete(self) -> dict[str, Any]:
        """The job's result, once finished.

        Raises:
            StorageError: it cannot be published.
        """

    def keep_part(self) -> dict[str, Any] | None:
        """What is kept of a cancelled job, if anything."""


def need_chip(session: ChipSession, execution: str) -> None:
    """Does nothing if the chip can do this.

    Raises:
        InvalidInputError: the execution needs a chip, and there is none.
    """
    if "chip" in execution and session.backend in CHIPLESS:
        raise InvalidInputError(
            f"execution {execution!r} needs a chip, and {session.chip} is a {session.backend}; start the worker with "
            "`--chip emulator` or `--chip hxtorch`, or choose another execution"
        )

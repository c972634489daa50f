"""The interface of long jobs to the worker, and what several of them need."""

import base64
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import asdict
from io import BytesIO
from typing import Any

from PIL import Image
from torch import Tensor

from services.errors import InvalidInputError
from services.settings import CHIPLESS
from worker.chip import ChipSession
from worker.learning.comparison import Difference
from worker.learning.mistakes import Mistake


class Activity(ABC):
    """A long job in this worker's memory; one that saves nothing starts again after a crash.

    Attributes:
        steps_total: Mini-batches in all.
        in_the_loop: True if it learns in this chip's loop, so that no other chip may continue it.
        looks_every_s: Seconds of work after which it looks whether crops wait; 0 for each mini-batch.
    """

    steps_total: int
    in_the_loop: bool = False
    looks_every_s: float = 0.0

    @property
    @abstractmethod
    def steps_done(self) -> int:
        """Mini-batches run."""

    @property
    def finished(self) -> bool:
        """True if no step is left."""
        return self.steps_done >= self.steps_total

    @property
    def execution(self) -> str:
        """Where the next mini-batch is computed."""
        return "chip"

    @abstractmethod
    def step(self) -> None:
        """Run one mini-batch."""

    def metrics(self) -> dict[str, Any]:
        """Return the metrics for the job's record while it runs."""
        return {"step": self.steps_done, "steps_total": self.steps_total}

    def save(self) -> None:  # noqa: B027 most activities are short
        """Save the state for another process.

        Raises:
            StorageError: it cannot be written.
        """

    @abstractmethod
    def complete(self) -> dict[str, Any]:
        """Return the job's result, once finished.

        Raises:
            StorageError: it cannot be published.
        """

    def keep_part(self) -> dict[str, Any] | None:
        """Return the partial result of a cancelled job, if there is one."""
        return None


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


def measured_on(session: ChipSession, execution: str) -> dict[str, str]:
    """Return where a result was measured, by the keys of results."""
    is_on_chip = execution == "chip"
    return {
        "execution": execution,
        "backend": session.backend if is_on_chip else "mock",
        "chip": session.chip,
    }


def with_pictures(found: Iterable[Mistake | Difference], images: Tensor) -> list[dict[str, Any]]:
    """Return crops that were found in a test set as JSON, each with its picture as `png`, in base64.

    `images` is the test set, `(test, 28, 28)` uint8.
    """
    return [{**asdict(each), "png": as_png(images[each.index])} for each in found]


def as_png(crop: Tensor) -> str:
    """Return a crop, `(28, 28)` uint8, as a PNG file in base64."""
    file = BytesIO()
    Image.fromarray(crop.numpy()).save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode()

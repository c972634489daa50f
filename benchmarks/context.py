"""The options of a run, as every measurement gets them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory


class MeasurementError(Exception):
    """A measurement could not be made."""


@dataclass(frozen=True, slots=True)
class Context:
    """The options of a run.

    Attributes:
        seconds: Counted length of each load.
        mnist: Folder that holds MNIST; None: the digits inside scikit-learn are used instead.
    """

    seconds: float
    mnist: Path | None

    @property
    def dataset(self) -> str:
        """Name of the data set for trainings."""
        return "mnist" if self.mnist else "digits"

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """Make a temporary folder for the length of a `with` block."""
        with TemporaryDirectory(prefix="hxserve-bench-", ignore_cleanup_errors=True) as name:
            yield Path(name)


def say(text: str) -> None:
    """Print progress."""
    print(f"  {text}", flush=True)

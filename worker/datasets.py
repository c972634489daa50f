"""The data sets of this worker, read once."""

import logging
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

from services.chips.samples import Samples
from services.errors import DatasetMissingError
from worker.learning.datasets import Dataset, DatasetChoice, load_dataset
from worker.learning.errors import LearningError

_OF_EACH: Final = 40
_log = logging.getLogger(__name__)


class Datasets:
    """Data sets by name; `auto` is decided once, so that a job means the same data from start to end."""

    def __init__(self, mnist: Path | None, download_to: Path) -> None:
        self._mnist = mnist
        self._download_to = download_to
        self._loaded: dict[str, Dataset] = {}
        self._loading = threading.Lock()

    def prepare(self) -> None:
        """Load the data set that most trainings use.

        A configured folder is read at once, so that a wrong one stops the start; without one, loading is done in
        the background, because crops need no data set and loading is the slowest part of the start.

        Raises:
            DatasetMissingError: the folder holds no MNIST.
        """
        if self._mnist is not None:
            self.get("auto")
        else:
            threading.Thread(target=self._try_to_get, name="data set", daemon=True).start()

    def _try_to_get(self) -> None:
        with suppress(DatasetMissingError):  # the training that needs it reports it
            self.get("auto")

    def get(self, choice: DatasetChoice) -> Dataset:
        """Return a data set; `auto` is MNIST where it is found, else the digits inside scikit-learn, said aloud.

        Raises:
            DatasetMissingError: it is not there or damaged.
        """
        with self._loading:
            if choice not in self._loaded:
                try:
                    dataset = load_dataset(choice, self._mnist, self._download_to)
                except LearningError as error:
                    raise DatasetMissingError(str(error)) from None
                _log.info("data set %s: %s", choice, dataset.note)
                self._loaded[choice] = self._loaded.setdefault(dataset.name, dataset)
            return self._loaded[choice]


def pick_samples(dataset: Dataset) -> dict[int, Samples]:
    """Return the first crops of each digit in the test set, as many as there are up to 40."""
    picked = {}
    for digit in range(10):
        chosen = dataset.test_images[dataset.test_labels == digit][:_OF_EACH]
        if len(chosen):
            picked[digit] = Samples(dataset.name, [bytes(crop.numpy().data) for crop in chosen])
    return picked

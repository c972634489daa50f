"""The data sets this worker learns from, read once and kept."""

import logging
from pathlib import Path

from services.errors import DatasetMissingError
from worker.learning.datasets import Dataset, DatasetChoice, load_dataset
from worker.learning.errors import LearningError

_log = logging.getLogger(__name__)


class Datasets:
    """Data sets by name; `auto` is decided once, so that a job means the same data from start to end."""

    def __init__(self, mnist: Path | None, download_to: Path) -> None:
        self._mnist = mnist
        self._download_to = download_to
        self._loaded: dict[str, Dataset] = {}

    def get(self, choice: DatasetChoice) -> Dataset:
        """A data set; `auto` is MNIST where it is found, else the digits inside scikit-learn, said aloud.

        Raises:
            DatasetMissingError: it is not there or damaged.
        """
        if choice not in self._loaded:
            try:
                dataset = load_dataset(choice, self._mnist, self._download_to)
            except LearningError as error:
                raise DatasetMissingError(str(error)) from None
            _log.info("data set %s: %s", choice, dataset.note)
            self._loaded[choice] = self._loaded.setdefault(dataset.name, dataset)
        return self._loaded[choice]

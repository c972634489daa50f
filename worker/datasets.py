"""The data sets of this worker: built-in ones, read once, and the service's, of which the last used are kept."""

import logging
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import torch

from services.chips.samples import Samples
from services.datasets.files import DatasetStore
from services.datasets.manifest import DatasetManifest
from services.errors import DatasetMissingError, DatasetNotFoundError
from services.jobs.mixtures import StoredCrops, weights_of
from worker.learning.datasets import Dataset, DatasetChoice, Part, load_dataset
from worker.learning.errors import LearningError
from worker.learning.mixtures import mix

_OF_EACH: Final = 40
_MOST_STORED_BYTES: Final = 200 * 2**20
"""Of stored data sets in memory; the last used one stays however large it is."""
_BUILT_IN: Final[tuple[DatasetChoice, ...]] = ("auto", "mnist", "digits")
_log = logging.getLogger(__name__)


class Datasets:
    """Data sets by name; `auto` is decided once, so that a job means the same data from start to end."""

    def __init__(self, mnist: Path | None, folder: Path) -> None:
        """Remember the places.

        Args:
            mnist: a folder of MNIST.
            folder: the stored data sets; without `mnist`, MNIST is downloaded into it.
        """
        self._mnist = mnist
        self._download_to = folder
        self._store = DatasetStore(folder)
        self.crops_of = StoredCrops(self._store)
        self._loaded: dict[str, Dataset] = {}
        self._stored: dict[str, Dataset] = {}
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

    def get(self, choice: str) -> Dataset:
        """Return a data set; `auto` is MNIST where it is found, else the digits inside scikit-learn, said aloud.

        Args:
            choice: "auto", "mnist", "digits", or `owner~name@version`.

        Raises:
            DatasetMissingError: a built-in one is not there or damaged.
            DatasetNotFoundError: a stored one was deleted.
            DatasetDamagedError: the files of a stored one are damaged.
        """
        with self._loading:
            if choice not in _BUILT_IN:
                return self._get_stored(choice)
            if choice not in self._loaded:
                try:
                    dataset = load_dataset(choice, self._mnist, self._download_to)
                except LearningError as error:
                    raise DatasetMissingError(str(error)) from None
                _log.info("data set %s: %s", choice, dataset.note)
                self._loaded[choice] = self._loaded.setdefault(dataset.name, dataset)
            return self._loaded[choice]

    def get_mixture(self, dataset: str | Mapping[str, float]) -> Dataset:
        """Return the data set of a job, which may be several with weights.

        Raises:
            DatasetMissingError: a built-in one is not there or damaged.
            DatasetNotFoundError: a stored one was deleted.
            DatasetDamagedError: the files of a stored one are damaged.
        """
        weights = weights_of(dataset)
        return mix([self.get(name) for name in weights], list(weights.values()))

    def _get_stored(self, reference: str) -> Dataset:
        manifest = self._manifest(reference)
        found = self._stored.pop(reference, None) or self._load(reference, manifest)
        self._stored[reference] = found  # the last used one is the last
        while len(self._stored) > 1 and sum(map(_bytes_of, self._stored.values())) > _MOST_STORED_BYTES:
            del self._stored[next(iter(self._stored))]
        return found

    def _manifest(self, reference: str) -> DatasetManifest:
        name, _, version = reference.partition("@")
        try:
            return self._store.manifest(name, version)
        except DatasetNotFoundError:
            raise DatasetNotFoundError(
                f"the data set {reference} was deleted after the job was submitted; send it again, and submit the job "
                "with the new one"
            ) from None

    def _load(self, reference: str, manifest: DatasetManifest) -> Dataset:
        self.crops_of(reference)
        train, test = self._store.crops(manifest.name, manifest.version)
        return Dataset(
            reference,
            torch.from_numpy(train.images),
            torch.from_numpy(train.labels).long(),
            torch.from_numpy(test.images),
            torch.from_numpy(test.labels).long(),
            f"The data set {reference}.",
            manifest.sha256,
            (Part(reference, manifest.sha256, 1.0, len(train), len(test), is_stored=True),),
        )


def _bytes_of(dataset: Dataset) -> int:
    return dataset.train_images.nbytes + dataset.test_images.nbytes


def describe_dataset(dataset: Dataset) -> dict[str, Any]:
    """Return the exact data of a training, for the manifest of its version."""
    described: dict[str, Any] = {"name": dataset.name, "sha256": dataset.sha256}
    if dataset.parts:
        described["parts"] = [_describe_part(part) for part in dataset.parts]
    return described


def _describe_part(part: Part) -> dict[str, Any]:
    name, at, version = part.name.partition("@")
    return {
        "name": name,
        **({"version": version} if at else {}),
        "sha256": part.sha256,
        "weight": part.weight,
    }


def pick_samples(dataset: Dataset) -> dict[int, Samples]:
    """Return the first crops of each digit in the test set, as many as there are up to 40."""
    picked = {}
    for digit in range(10):
        chosen = dataset.test_images[dataset.test_labels == digit][:_OF_EACH]
        if len(chosen):
            picked[digit] = Samples(dataset.name, [bytes(crop.numpy().data) for crop in chosen])
    return picked

"""The data sets of a worker: read once, in the background where that is allowed."""

from pathlib import Path

import pytest

from services.errors import DatasetMissingError
from worker.datasets import Datasets


def test_a_configured_folder_without_mnist_is_refused_at_once(tmp_path: Path) -> None:
    datasets = Datasets(tmp_path, tmp_path / "downloads")

    with pytest.raises(DatasetMissingError):
        datasets.prepare()


def test_a_training_gets_the_data_set_prepared_in_the_background(tmp_path: Path) -> None:
    datasets = Datasets(None, tmp_path / "file")
    (tmp_path / "file").write_text("no folder, so that nothing is downloaded into it")

    datasets.prepare()
    dataset = datasets.get("auto")

    assert datasets.get("auto") is dataset

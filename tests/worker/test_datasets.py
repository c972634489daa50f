"""The data sets of a worker: read once, in the background where that is allowed."""

from pathlib import Path

import pytest

from services.errors import DatasetMissingError
from worker.datasets import Datasets


def test_a_named_folder_without_mnist_is_told_at_once(tmp_path: Path) -> None:
    datasets = Datasets(tmp_path, tmp_path / "downloads")

    with pytest.raises(DatasetMissingError):
        datasets.prepare()


def test_what_is_prepared_in_the_background_is_what_a_training_gets(tmp_path: Path) -> None:
    datasets = Datasets(None, tmp_path / "file")
    (tmp_path / "file").write_text("no folder, so that nothing is downloaded into it")

    datasets.prepare()
    dataset = datasets.get("auto")

    assert datasets.get("auto") is dataset

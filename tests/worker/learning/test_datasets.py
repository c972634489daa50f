import http.server
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor

from hxtorch_emulator.vision import load_torchvision
from worker.learning import datasets
from worker.learning.datasets import Dataset, load_dataset
from worker.learning.errors import DatasetDamagedError, DatasetUnavailableError
from worker.learning.mnist_files import MIRRORS, PACKED_MD5, download_mnist


@pytest.fixture
def small_mnist(tmp_path: Path) -> Path:
    """Files laid out as MNIST's, with 5 training crops and 3 test crops."""
    folder = tmp_path / "small"
    folder.mkdir()
    for part, count in (("train", 5), ("t10k", 3)):
        images = torch.arange(count * 784).remainder(256).to(torch.uint8)
        write_idx(folder / f"{part}-images-idx3-ubyte", images.reshape(count, 28, 28))
        write_idx(folder / f"{part}-labels-idx1-ubyte", torch.arange(count, dtype=torch.uint8))
    return folder


@pytest.fixture
def mirror_of_rubbish() -> Iterator[str]:
    """The address of a server that answers every request with the same few bytes."""

    class Rubbish(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"rubbish")

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    with http.server.HTTPServer(("127.0.0.1", 0), Rubbish) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def write_idx(path: Path, values: Tensor) -> None:
    header = struct.pack(f">BBBB{values.dim()}I", 0, 0, 8, values.dim(), *values.shape)
    path.write_bytes(header + values.numpy().tobytes())


def test_a_folder_with_mnist_gives_mnist(mnist_folder: Path) -> None:
    dataset = load_dataset("auto", mnist_folder)

    assert dataset.name == "mnist"
    assert dataset.train_images.shape == (60_000, 28, 28)
    assert dataset.test_images.shape == (10_000, 28, 28)
    assert dataset.train_images.dtype == torch.uint8
    assert dataset.test_labels.dtype == torch.int64
    assert dataset.test_labels[:5].tolist() == [7, 2, 1, 0, 4]
    assert "differs" not in dataset.note


@pytest.mark.parametrize("place", [".", "raw", "MNIST/raw"])
def test_the_files_are_found_in_the_folder_or_where_torchvision_keeps_them(
    small_mnist: Path, tmp_path: Path, place: str
) -> None:
    target = tmp_path / "root" / place
    target.mkdir(parents=True)
    for file in small_mnist.iterdir():
        file.rename(target / file.name)

    dataset = load_dataset("mnist", tmp_path / "root")

    assert dataset.train_images.shape == (5, 28, 28)
    assert dataset.test_labels.tolist() == [0, 1, 2]


def test_content_that_is_not_the_published_mnist_is_said_aloud(small_mnist: Path) -> None:
    dataset = load_dataset("mnist", small_mnist)

    assert "differs from the published MNIST" in dataset.note


@pytest.mark.parametrize("choice", ["auto", "mnist"])
def test_a_folder_without_mnist_is_an_error_and_never_replaced(tmp_path: Path, choice: str) -> None:
    with pytest.raises(DatasetUnavailableError, match="holds no MNIST; expected train-images"):
        load_dataset(choice, tmp_path)  # type: ignore[arg-type] # parametrised


def test_a_truncated_file_is_an_error(small_mnist: Path) -> None:
    images = small_mnist / "train-images-idx3-ubyte"
    images.write_bytes(images.read_bytes()[:-100])

    with pytest.raises(DatasetDamagedError, match="cannot be read as MNIST"):
        load_dataset("mnist", small_mnist)


def test_an_empty_file_is_an_error(small_mnist: Path) -> None:
    (small_mnist / "t10k-labels-idx1-ubyte").write_bytes(b"")

    with pytest.raises(DatasetDamagedError, match="cannot be read as MNIST"):
        load_dataset("mnist", small_mnist)


def test_images_of_another_size_are_an_error(small_mnist: Path) -> None:
    write_idx(small_mnist / "train-images-idx3-ubyte", torch.zeros(5, 27, 29, dtype=torch.uint8))

    with pytest.raises(DatasetDamagedError, match=r"hold images \(5, 27, 29\)"):
        load_dataset("mnist", small_mnist)


def test_a_label_that_is_no_digit_is_an_error(small_mnist: Path) -> None:
    write_idx(small_mnist / "train-labels-idx1-ubyte", torch.tensor([1, 2, 3, 4, 10], dtype=torch.uint8))

    with pytest.raises(DatasetDamagedError, match=r"labels in .* reach 10; expected 0\.\.9"):
        load_dataset("mnist", small_mnist)


def test_the_digits_of_scikit_learn_look_like_mnist(digits: Dataset) -> None:
    assert digits.train_images.shape == (1437, 28, 28)
    assert digits.test_images.shape == (360, 28, 28)
    assert digits.train_images.dtype == torch.uint8
    assert digits.train_labels.dtype == torch.int64
    assert int(digits.train_images[:, :4].max()) == 0
    assert 0.1 < float((digits.train_images >= 128).float().mean()) < 0.3
    assert int(digits.test_labels.bincount().min()) >= 35


def test_the_digits_are_those_of_scikit_learn_split_the_same_way_every_time(digits: Dataset) -> None:
    bunch = load_digits()
    train, test = train_test_split(
        range(len(bunch.target)), test_size=360, stratify=bunch.target, random_state=0
    )

    with np.load(Path(datasets.__file__).with_name("digits.npz")) as kept:
        assert np.array_equal(kept["images"], bunch.images[[*train, *test]])
        assert np.array_equal(kept["labels"], bunch.target[[*train, *test]])
    assert digits.test_labels.tolist() == bunch.target[test].tolist()
    assert digits.sha256 == "8c24ce93029a48bd1ba4b0d91310783731a1dd191a357829534ea5f4014daa06"


def test_without_a_place_for_mnist_auto_takes_the_digits_and_says_so() -> None:
    dataset = load_dataset("auto")

    assert dataset.name == "digits"
    assert dataset.note.startswith("Not MNIST but the 1,797 digits inside scikit-learn")


def test_without_a_place_for_mnist_insisting_on_it_is_an_error() -> None:
    with pytest.raises(DatasetUnavailableError, match="no place of MNIST was given"):
        load_dataset("mnist")


def test_mnist_is_fetched_from_where_torchvision_fetches_it() -> None:
    mnist = load_torchvision().datasets.MNIST

    assert list(MIRRORS) == mnist.mirrors
    assert [(f"{name}.gz", md5) for name, md5 in PACKED_MD5.items()] == mnist.resources


def test_a_download_without_a_network_gives_up_and_leaves_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    with pytest.raises(DatasetUnavailableError, match="could not be downloaded"):
        download_mnist(tmp_path, mirrors=[f"http://127.0.0.1:{port}/"])

    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")


def test_a_download_with_the_wrong_content_is_refused(tmp_path: Path, mirror_of_rubbish: str) -> None:
    with pytest.raises(DatasetUnavailableError, match="wrong checksum"):
        download_mnist(tmp_path, mirrors=[mirror_of_rubbish])

    assert list(tmp_path.iterdir()) == []


def test_files_already_downloaded_are_not_fetched_again(small_mnist: Path, tmp_path: Path) -> None:
    raw = tmp_path / "kept" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for file in small_mnist.iterdir():
        file.rename(raw / file.name)

    dataset = load_dataset("mnist", download_to=tmp_path / "kept")

    assert len(dataset.train_labels) == 5

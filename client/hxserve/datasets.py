"""Data sets of one's own digits."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hxserve.dataset_files import read_files
from hxserve.dataset_uploads import OnProgress, send_dataset
from hxserve.downloads import write_whole
from hxserve.transport import Transport, segment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from hxserve.jobs import Job

AnyPath = str | os.PathLike[str]


class Datasets:
    """Data sets: `client.datasets`. Those that are described are dictionaries, as `GET /v1/datasets` gives them."""

    def __init__(self, transport: Transport, own: Callable[[Job], Job], patience_s: float) -> None:
        self._transport = transport
        self._own = own
        self._patience_s = patience_s

    def list(self) -> list[dict[str, Any]]:
        """Return the data sets that one may use, without those that the service brings."""
        datasets: list[dict[str, Any]] = self._transport.call_json("GET", "/v1/datasets")["datasets"]
        return datasets

    def show(self, name: str, version: str | int | None = None) -> dict[str, Any]:
        """Return a data set with the manifests of its versions, or the manifest of one version.

        `version` is a number, or at least 8 hex digits of the sha256.
        """
        path = _path(name) if version is None else _version_path(name, version)
        return self._transport.call_json("GET", path)

    def add(
        self,
        name: str,
        paths: AnyPath | Iterable[AnyPath],
        *,
        test_fraction: float = 0.2,
        centre: bool = False,
        wait: bool = False,
        on_progress: OnProgress | None = None,
    ) -> Job:
        """Upload a version of a data set of yours; return the job that imports it.

        The same call goes on where an earlier one was interrupted, in this process or another one. A connection that is
        lost meanwhile is made again.

        Args:
            name: of the data set, made if it is new.
            paths: files in one of the forms that the service reads, such as the four files of MNIST; a folder, which
                has pictures in folders `0` to `9`, for instance, is sent as a zip.
            test_fraction: share of each digit that becomes the test part where the files name none.
            centre: scale and centre crops of 28 x 28 as MNIST's digits are; larger pictures always are.
            wait: return only when the version is published; the job's `result` has its number.
            on_progress: called with the bytes that were received, and those of all files.

        Raises:
            InvalidDatasetError: the paths cannot be sent.
            JobFailedError: waited for, it was not published; the message names files and entries.
            OSError: a file cannot be read.
        """
        given = [paths] if isinstance(paths, str | os.PathLike) else paths
        files = read_files([Path(path) for path in given])
        options = {"test_fraction": test_fraction, "centre": centre}
        job = self._own(send_dataset(self._transport, name, files, options, self._patience_s, on_progress))
        return job.wait().expect_success() if wait else job

    def share(self, name: str) -> dict[str, Any]:
        """Let everyone use a data set of yours with all its versions, also those to come; return the data set."""
        return self._transport.call_json("PUT", f"{_path(name)}/share")

    def unshare(self, name: str) -> dict[str, Any]:
        """Make a data set private again; earlier downloads remain with their users."""
        return self._transport.call_json("DELETE", f"{_path(name)}/share")

    def delete(self, name: str, version: str | int | None = None) -> None:
        """Delete a data set with all its versions, or one version, for good; models trained on it stay."""
        self._transport.delete(_path(name) if version is None else _version_path(name, version))

    def download(self, name: str, version: str | int | None = None, path: AnyPath = ".") -> Path:
        """Download the crops of a version, the newest if none is given, as .npz; return the file.

        It has `x_train`, `y_train`, `x_test` and `y_test`, as Keras ships MNIST, and can be uploaded again.

        Args:
            name: of the data set.
            version: a number, or at least 8 hex digits of the sha256.
            path: the file, or a folder for `<name>-<version>.npz`.

        Raises:
            DownloadDamagedError: the crops arrived otherwise than the service published them.
            OSError: the file cannot be written; an older one is untouched.
        """
        from hxserve.dataset_crops import npz_of  # noqa: PLC0415 numpy is slow to import

        manifest = self._manifest(name, version)
        number = manifest["version"]
        crops = self._transport.call("GET", f"{_version_path(name, number)}/crops").data
        target = Path(path)
        if target.is_dir():
            target /= f"{name}-{number}.npz"
        write_whole(target, npz_of(crops, manifest["sha256"]))
        return target

    def sheet(self, name: str, version: str | int | None = None, part: str = "train") -> bytes:
        """Return a PNG with up to 20 crops of each digit of a version, the newest if none is given.

        `part` is `train` or `test`.
        """
        path = _version_path(name, version or self._newest(name))
        return self._transport.call("GET", f"{path}/sheet", query={"part": part}).data

    def _manifest(self, name: str, version: str | int | None) -> dict[str, Any]:
        return self.show(name, version or self._newest(name))

    def _newest(self, name: str) -> str:
        newest: str = self.show(name)["versions"][-1]["version"]
        return newest


def _path(name: str) -> str:
    return f"/v1/datasets/{segment(name)}"


def _version_path(name: str, version: str | int) -> str:
    return f"{_path(name)}/versions/{segment(str(version))}"

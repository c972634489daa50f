"""Batch jobs: files of crops read by one version, and their answers as files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from urllib3.exceptions import HTTPError

from hxserve.dataset_files import read_files
from hxserve.dataset_uploads import OnProgress, send_files
from hxserve.downloads import write_pieces
from hxserve.errors import DownloadDamagedError
from hxserve.job_states import JobState
from hxserve.transport import Transport, segment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from hxserve.jobs import Job

AnyPath = str | os.PathLike[str]
AnswerFormat = Literal["npz", "csv", "parquet", "jsonl"]

_PIECE_BYTES: Final = 2**20


class Batches:
    """Batch jobs: `client.batches`."""

    def __init__(self, transport: Transport, submit: Callable[..., Job], patience_s: float) -> None:
        self._transport = transport
        self._submit = submit
        self._patience_s = patience_s

    def submit(
        self,
        /,
        paths: AnyPath | Iterable[AnyPath] | None = None,
        model: str = "digits",
        version: str | int = "latest",
        *,
        dataset: str | None = None,
        part: Literal["all", "train", "test"] | None = None,
        repeats: int | None = None,
        max_chip_s: float | None = None,
        allow_transfer: bool | None = None,
        centre: bool | None = None,
        wait: bool = False,
        on_progress: OnProgress | None = None,
        **params: Any,
    ) -> Job:
        """Send files of up to ten million crops, or name a data set, and have all of them read by one version.

        The crops wait as files and are read where the chip has time beside requests. The same call goes on where an
        earlier one was interrupted, in this process or another one.

        Args:
            paths: IDX images as of MNIST, `.npy` or `.npz` of images, CSV with pixel0 to pixel783, Parquet with
                pictures, pictures, or a zip or a folder of these.
            model: its name.
            version: a number or an alias.
            dataset: instead of files, a data set, or `name@version`.
            part: of the data set; None is all of it.
            repeats: how often each crop is read; the mean of its scores counts. None is once.
            max_chip_s: seconds of chip time after which the job ends with the answers so far.
            allow_transfer: on any chip, also when the version learnt in the loop of another one.
            centre: scale and centre crops of 28 x 28 as MNIST's digits are; larger pictures always are.
            wait: return only when it has succeeded.
            on_progress: called with the bytes that were received, and those of all files.
            **params: others that the service knows.

        Raises:
            InvalidDatasetError: the paths cannot be sent.
            JobFailedError: waited for, it ended without a result; the answers until then can be downloaded.
            OSError: a file cannot be read.
        """
        given: dict[str, Any] = {
            "version": str(version),
            "dataset": dataset,
            "part": part,
            "repeats": repeats,
            "max_chip_s": max_chip_s,
            "allow_transfer": allow_transfer,
            "centre": centre,
            **params,
        }
        if paths is not None:
            files = read_files(
                [Path(path) for path in ([paths] if isinstance(paths, str | os.PathLike) else paths)]
            )
            purpose = f"{model} {sorted((name, value) for name, value in given.items() if value is not None)}"
            given["upload"] = send_files(
                self._transport, "/v1/uploads", files, {}, purpose, self._patience_s, on_progress
            )
        return self._submit("batch", model, given, wait)

    def download(self, job: JobState | str, path: AnyPath = ".", form: AnswerFormat | None = None) -> Path:
        """Download the answers of a batch job, all that there are by now; return the file.

        Args:
            job: the job or its id.
            path: the file, or a folder for `<job>.<format>`.
            form: `csv`, `jsonl` and `parquet` have a row for each crop, `npz` has arrays (docs/batch-jobs.md). None:
                what the path's ending says, else `npz`.

        Raises:
            DownloadDamagedError: not all of it arrived.
            OSError: the file cannot be written; an older one is untouched.
        """
        job_id = job if isinstance(job, str) else job.id
        target = Path(path)
        by_ending: dict[str, AnswerFormat] = {f".{known}": known for known in get_args(AnswerFormat)}
        form = form or by_ending.get(target.suffix.lower(), "npz")
        if target.is_dir():
            target /= f"{job_id}.{form}"
        answer = self._transport.call(
            "GET", f"/v1/jobs/{segment(job_id)}/answers", query={"format": form}, stream=True
        )
        try:
            write_pieces(target, answer.stream(_PIECE_BYTES))
        except HTTPError as error:
            raise DownloadDamagedError(
                f"the answers of job {job_id} did not arrive whole ({error}); download them again"
            ) from None
        finally:
            answer.release_conn()
        return target

"""Files of data sets, right and wrong, and the import of them."""

import gzip
import io
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

from services.datasets.files import DatasetStore, LabelledCrops
from services.datasets.manifest import DatasetManifest
from services.datasets.uploads import DatasetUploads, DeclaredFile, ImportOptions
from services.jobs.params import ImportParams
from services.jobs.record import Job, JobKind
from services.jobs.submission import new_job
from services.users.authentication import User
from worker.activities import ImportActivity

ADA = User("ada")
NAME = "ada~mine"


@dataclass
class Desk:
    """A worker's part in imports."""

    datasets: DatasetStore
    uploads: DatasetUploads

    def accept(self, files: Mapping[str, bytes], *, most_bytes: int | None = None, **options: Any) -> Job:
        """The job of uploaded files."""
        declared = [DeclaredFile(name=name, bytes=len(content)) for name, content in files.items()]
        upload = self.uploads.begin(NAME, ADA, declared, ImportOptions(**options))
        for index, content in enumerate(files.values()):
            self.uploads.path(upload.id, index).write_bytes(content)
        params = ImportParams(
            upload=upload.id, dataset=NAME, bytes=upload.bytes, most_bytes=most_bytes, **options
        )
        return new_job(JobKind.IMPORT, ADA, "", params.model_dump())

    def take_up(self, job: Job) -> ImportActivity:
        """The activity of a worker that was just started."""
        return ImportActivity(job, self.datasets, self.uploads)

    def run(self, job: Job) -> dict[str, Any]:
        """The result of a job that nothing disturbs."""
        activity = self.take_up(job)
        while not activity.finished:
            activity.step()
        assert activity.steps_done == activity.steps_total
        return activity.complete()

    def bring(
        self, files: Mapping[str, bytes], **options: Any
    ) -> tuple[DatasetManifest, LabelledCrops, LabelledCrops]:
        """The version that files become: manifest, training part and test part."""
        result = self.run(self.accept(files, **options))
        manifest = self.datasets.manifest(result["dataset"], result["version"])
        return manifest, *self.datasets.crops(manifest.name, manifest.version)


def desk_in(folder: Path) -> Desk:
    """A desk with a folder of its own."""
    return Desk(DatasetStore(folder), DatasetUploads(folder))


def digits(count: int, seed: int = 0) -> LabelledCrops:
    """Crops that are bright on dark in the middle, of digits that follow each other."""
    images = np.zeros((count, 28, 28), np.uint8)
    images[:, 5:23, 8:20] = np.random.default_rng(seed).integers(0, 2, (count, 18, 12)) * 255
    images[:, 5:23, 12:15] = 255
    return LabelledCrops(images, (np.arange(count) % 10).astype(np.uint8))


def idx(array: NDArray[np.uint8]) -> bytes:
    """An array as IDX."""
    return struct.pack(f">I{array.ndim}I", 0x800 + array.ndim, *array.shape) + array.tobytes()


def npy(array: NDArray[Any]) -> bytes:
    """An array as a .npy file."""
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def npz(**arrays: NDArray[Any]) -> bytes:
    """Arrays as a .npz file."""
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=False, **arrays)
    return file.getvalue()


def png(pixels: NDArray[np.uint8]) -> bytes:
    """An array as a picture."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def zipped(entries: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Entries as a zip file."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return file.getvalue()


def gzipped(content: bytes) -> bytes:
    """A file as gzip packs it."""
    return gzip.compress(content, 1)


def table(crops: LabelledCrops, *, names: bool = True, end: str = "\n") -> bytes:
    """Crops as Kaggle's train.csv."""
    lines = [",".join(["label", *(f"pixel{place}" for place in range(784))])] if names else []
    for image, label in zip(crops.images, crops.labels, strict=True):
        lines.append(",".join(map(str, [label, *image.reshape(-1)])))
    return (end.join(lines) + end).encode()


def parquet(crops: LabelledCrops) -> bytes:
    """Crops as the Hugging Face hub ships MNIST."""
    images = [{"bytes": png(image), "path": None} for image in crops.images]
    file = io.BytesIO()
    pq.write_table(pa.table({"image": images, "label": crops.labels.tolist()}), file)
    return file.getvalue()


def folders(crops: LabelledCrops, prefix: str = "") -> dict[str, bytes]:
    """Crops as pictures in folders of their digits."""
    return {
        f"{prefix}{label}/{place}.png": png(image)
        for place, (image, label) in enumerate(zip(crops.images, crops.labels, strict=True))
    }

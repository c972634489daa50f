"""Teaching a network a handwriting: half of some digits are learnt, the other half shows what that brought."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hxserve.errors import InvalidDatasetError

if TYPE_CHECKING:
    from hxserve.client import Client
    from hxserve.jobs import Job

_DIGITS: Final = frozenset("0123456789")
_SUFFIXES: Final = frozenset({".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff"})


@dataclass(frozen=True, slots=True)
class Written:
    """A picture of a handwritten digit."""

    path: Path
    digit: int


@dataclass(frozen=True, slots=True)
class Lesson:
    """What teaching has brought.

    Attributes:
        teacher: the version that learning started from, `model@version`.
        model: the model that has learnt.
        version: its new version.
        dataset: the data set of the digits, `name@version`.
        held_back: the pictures that were not learnt from.
        before: the digits that the teacher reads in them.
        after: the digits that the new version reads in them.
        first: the data set that the teacher learnt first.
        accuracy_before: of the teacher on the test part of `first`.
        accuracy_after: of the new version there.
        training: the job.
    """

    teacher: str
    model: str
    version: str
    dataset: str
    held_back: tuple[Written, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]
    first: str
    accuracy_before: float
    accuracy_after: float
    training: Job

    def right(self, read: Sequence[int], digit: int | None = None) -> int:
        """Return how many of the pictures, or of those of one digit, are read right."""
        pairs = zip(self.held_back, read, strict=True)
        return sum(answer == of.digit for of, answer in pairs if digit in {None, of.digit})


def find_written(paths: Iterable[str | os.PathLike[str]]) -> list[Written]:
    """Return the pictures at these paths and in folders below them; each has a folder 0 to 9 around it.

    Raises:
        InvalidDatasetError: a picture has no such folder, or there is none.
    """
    found = []
    for given in map(Path, paths):
        inside = sorted(given.rglob("*")) if given.is_dir() else [given]
        for path in inside:
            if path.suffix.lower() not in _SUFFIXES and path != given:
                continue
            digit = next((part for part in reversed(path.absolute().parent.parts) if part in _DIGITS), None)
            if digit is None:
                raise InvalidDatasetError(f"{path} is in no folder 0 to 9, which would name its digit")
            if not path.is_dir():
                found.append(Written(path, int(digit)))
    if not found:
        raise InvalidDatasetError("there are no pictures; give folders 0 to 9 with pictures of these digits")
    return found


def divide(written: Iterable[Written]) -> tuple[list[Written], list[Written]]:
    """Return the pictures to learn from, and those held back: of each digit every second one.

    Raises:
        InvalidDatasetError: no digit was written twice.
    """
    learnt: list[Written] = []
    held_back: list[Written] = []
    seen: dict[int, int] = defaultdict(int)
    for one in written:
        (held_back if seen[one.digit] % 2 else learnt).append(one)
        seen[one.digit] += 1
    if not held_back:
        raise InvalidDatasetError(
            "no digit is there twice, so none can be held back; write each digit at least twice"
        )
    return learnt, held_back


def teach(
    client: Client,
    paths: Iterable[str | os.PathLike[str]],
    model: str,
    version: str | int,
    name: str,
    follow: Callable[[Job], Job],
) -> Lesson:
    """Teach a copy of a version the digits in some pictures; see `Client.teach`."""
    learnt, held_back = divide(find_written(paths))
    number = client.model(model, version)["version"]
    with tempfile.TemporaryDirectory() as folder:
        for part, pictures in (("train", learnt), ("test", held_back)):
            for place, one in enumerate(pictures):
                kept = Path(folder, part, str(one.digit), f"{place}{one.path.suffix}")
                kept.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(one.path, kept)
        job = client.datasets.add(name, [Path(folder, part) for part in ("train", "test")])
    saved = follow(job).expect_success().result
    dataset = f"{saved['dataset']}@{saved['version']}"
    files = [one.path for one in held_back]
    before = client.classify(files, model, number)
    training = client.train(name, recipe="adapt", start_from=f"{model}@{number}", dataset=dataset)
    training = follow(training).expect_success()
    result = training.result
    after = client.classify(files, name, result["version"])
    first = next(of for of in training.params["dataset"] if of != dataset)
    measured = follow(client.evaluate(model, number, dataset=first)).expect_success().result
    return Lesson(
        teacher=f"{model}@{number}",
        model=name,
        version=result["version"],
        dataset=dataset,
        held_back=tuple(held_back),
        before=tuple(p.digit for p in before),
        after=tuple(p.digit for p in after),
        first=measured["dataset"],
        accuracy_before=measured["accuracy"],
        accuracy_after=next(a for of, a in result["accuracies"].items() if of != dataset),
        training=training,
    )

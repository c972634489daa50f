"""`make demo`: the main job from end to end, on the embedded default, told so that a person can follow it."""

import argparse
import json
import logging
import os
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from deploy.local import running
from hxserve import Client
from hxserve.cli.progress import JobProgress
from hxserve.errors import ClientError
from hxserve.jobs import Job
from hxserve_letters.belts import Pace
from hxserve_letters.centre import Centre, Effort
from hxserve_letters.directory import invent_directory
from hxserve_letters.eyes import Post
from hxserve_letters.report import summarise
from services.errors import HxserveError
from services.settings import CHIP_CHOICES, Settings, load_settings
from worker.datasets import Datasets
from worker.learning.datasets import Dataset

MODEL: Final = "digits"
_NEARBY_MNIST: Final = Path("../shared/mnist")
_CROPS_PER_REQUEST: Final = 50
_THREADS: Final = 8
_LETTERS: Final = 1500
_THRESHOLD_LETTERS: Final = 1000
_BELTS: Final = Pace(machines=10, rate=40_000, deadline_s=2.0, buffer=20)
_MOST_ERROR: Final = 0.006
"""Below the 1 % that is aimed for, as a thousand letters tell an error rate to a third of a percent only."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What came of reading the test set: (crops,) digits and how long it took."""

    digits: NDArray[np.int64]
    elapsed_s: float
    backend: str


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the demo; the exit status."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _interrupt)
    options = _parser().parse_args(arguments)
    try:
        with tempfile.TemporaryDirectory(prefix="hxserve-demo-") as folder:
            summary = _demonstrate(Path(options.data_dir or folder), _find_mnist(options.mnist), options.chip)
    except (HxserveError, ClientError) as error:
        print(f"demo: {error}", file=sys.stderr)  # noqa: T201 the terminal
        return 1
    except KeyboardInterrupt:
        print("demo: interrupted; everything is stopped", file=sys.stderr)  # noqa: T201 the terminal
        return 130
    print(json.dumps(summary))  # noqa: T201 the last line is for machines
    return 0


def _demonstrate(data_dir: Path, mnist: Path | None, chip: str | None) -> dict[str, Any]:
    settings = load_settings(data_dir=data_dir, mnist=mnist, chip=chip, port=0)
    _say("Looking for MNIST ...")
    dataset = Datasets(settings.mnist, settings.data_dir / "datasets").get("auto")
    _say(dataset.note)
    _say("Starting Redis, a worker and the API ...")
    started = time.monotonic()
    with running(settings, use_redis=False) as local, Client(local.url, local.token) as client:
        _say(f"Ready after {time.monotonic() - started:.1f} s: {local.url}?token={local.token}")
        _say(f"Training {MODEL!r} with the recipe `strong` through the API ...")
        training, train_s = _train(client)
        _say(f"Reading the {len(dataset.test_labels):,} test digits through the API ...")
        reading = _read(client, dataset)
        _say(f"Sorting {_LETTERS:,} letters on {_BELTS.machines} belts by their handwritten postcodes ...")
        letters = _sort(local.url, local.token, _folder_of(dataset, settings))
    accuracy = float((reading.digits == dataset.test_labels.numpy()).mean())
    summary = {
        "dataset": dataset.name,
        "model": f"{MODEL}@{(training.result or {})['version']}",
        "backend": reading.backend,
        "accuracy": round(accuracy, 4),
        "train_s": round(train_s, 2),
        "classified": len(reading.digits),
        "digits_per_s": round(len(reading.digits) / reading.elapsed_s, 1),
        "letters": letters,
    }
    _say("")
    _say(f"  data set        {dataset.name}, {len(dataset.train_labels):,} digits to learn from")
    _say(
        f"  trained         {summary['model']} in {train_s:.1f} s, {training.chip_time_s:.1f} s of chip time"
    )
    _say(f"  read correctly  {accuracy:.2%} of {len(reading.digits):,} test digits, through the API")
    _say(f"  speed           {summary['digits_per_s']:,.0f} digits/s, from {_THREADS} clients")
    _say(
        f"  letters         {letters['read_rate']:.1%} routed, {letters['error_rate']:.2%} of these to a wrong "
        f"region, {letters['letters_per_s']:,.0f} letters/s, {letters['missed_deadlines']} too late"
    )
    _say(f"  backend         {reading.backend}")
    _say("")
    return summary


def _train(client: Client) -> tuple[Job, float]:
    started = time.monotonic()
    job = client.train(MODEL, recipe="strong")
    with JobProgress() as progress:
        job = client.wait(job, on_change=progress.update).expect_success()
    return job, time.monotonic() - started


def _read(client: Client, dataset: Dataset) -> Reading:
    crops = dataset.test_images.numpy()
    starts = range(0, len(crops), _CROPS_PER_REQUEST)

    def read_from(start: int) -> tuple[list[int], str]:
        predictions = client.classify(crops[start : start + _CROPS_PER_REQUEST], MODEL)
        return predictions.digits, predictions.backend

    started = time.monotonic()
    with ThreadPoolExecutor(_THREADS) as pool:
        parts = list(
            tqdm(pool.map(read_from, starts), "reading", len(starts), unit="request", file=sys.stderr)
        )
    elapsed_s = time.monotonic() - started
    digits = np.concatenate([np.array(part, np.int64) for part, _ in parts])
    return Reading(digits, elapsed_s, parts[0][1])


def _sort(url: str, token: str, mnist: Path | None) -> dict[str, Any]:
    """What came of a letter centre, in the terms of `hxserve letters`."""
    post = Post(seed=0, directory=invent_directory(), mnist=mnist)
    # The centre itself sees to repetitions, so that it knows how often the service had no room.
    with (
        Client(url, token, retries=0) as client,
        tqdm(desc="sorting", total=_THRESHOLD_LETTERS + _LETTERS, unit="letter", file=sys.stderr) as bar,
    ):
        centre = Centre(client, MODEL, "latest", Effort())
        threshold = centre.find_threshold(post, _THRESHOLD_LETTERS, _MOST_ERROR, lambda _: bar.update())
        run = centre.sort(post, _LETTERS, _BELTS, threshold=threshold, on_decision=lambda _: bar.update())
    report = summarise(run, _BELTS)
    kept = (
        "count",
        "read_rate",
        "error_rate",
        "postcode_error_rate",
        "letters_per_s",
        "missed_deadlines",
        "threshold",
    )
    return {name: report[name] for name in kept}


def _folder_of(dataset: Dataset, settings: Settings) -> Path | None:
    """Where MNIST is, if it is what was learnt from."""
    if dataset.name != "mnist":
        return None
    return settings.mnist or settings.data_dir / "datasets"


def _find_mnist(given: Path | None) -> Path | None:
    """The folder given, or the one of the environment, or one beside the project; None to look elsewhere."""
    if given is not None or "HXSERVE_MNIST" in os.environ:
        return given
    return _NEARBY_MNIST if _NEARBY_MNIST.is_dir() else None


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 the demo tells what it does


def _interrupt(number: int, frame: object) -> NoReturn:
    del number, frame
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("make demo", description="Train on the emulated chip, then read digits.")
    parser.add_argument("--mnist", type=Path, help="folder that holds MNIST in torchvision's layout")
    parser.add_argument("--data-dir", type=Path, help="keep the data here instead of in a temporary folder")
    parser.add_argument("--chip", choices=CHIP_CHOICES, help="what executes")
    return parser


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    sys.exit(main())

"""`make demo`: train, classify and sort letters with a service of its own, with one line for each step."""

import argparse
import json
import logging
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from deploy.command import run_command
from deploy.local import running
from hxserve import Client
from hxserve.errors import ClientError
from hxserve.jobs import Job
from hxserve.progress import job_progress, progress_bar
from hxserve_letters.belts import Pace
from hxserve_letters.camera_pool import LetterSource
from hxserve_letters.centre import Centre, Effort
from hxserve_letters.directory import invent_directory
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
"""Below the intended 1 %, because a thousand letters show an error rate to a third of a percent only."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; return the exit status."""
    options = _parser().parse_args(arguments)

    def demonstrate() -> None:
        with tempfile.TemporaryDirectory(prefix="hxserve-demo-") as folder:
            data_dir, mnist = Path(options.data_dir or folder), _find_mnist(options.mnist)
            try:
                summary = _demonstrate(
                    load_settings(data_dir=data_dir, mnist=mnist, chip=options.chip, port=0)
                )
            except ClientError as error:
                raise HxserveError(str(error)) from error
        _say(json.dumps(summary))  # the last line is for programs

    return run_command(demonstrate)


def _demonstrate(settings: Settings) -> dict[str, Any]:
    _say("Looking for MNIST ...")
    dataset = Datasets(settings.mnist, settings.datasets_dir).get("auto")
    _say(dataset.note)
    _say(f"Starting Redis, a worker and the API, on the backend `{settings.chip}` ...")
    started = time.monotonic()
    with running(settings) as local, Client(local.url, local.token) as client:
        _say(f"Ready after {time.monotonic() - started:.1f} s: {local.url}?token={local.token}")
        _say(f"Training {MODEL!r} with the recipe `strong` through the API ...")
        training, train_s = _train(client)
        _say(f"Reading the {len(dataset.test_labels):,} test digits through the API ...")
        started = time.monotonic()
        digits, backend = _read(client, dataset)
        digits_per_s = len(digits) / (time.monotonic() - started)
        _say(f"Sorting {_LETTERS:,} letters on {_BELTS.machines} belts by their handwritten postcodes ...")
        letters = _sort(local.url, local.token, _folder_of(dataset, settings))
    accuracy = float((digits == dataset.test_labels.numpy()).mean())
    summary = {
        "dataset": dataset.name,
        "model": f"{MODEL}@{training.result['version']}",
        "backend": backend,
        "accuracy": round(accuracy, 4),
        "train_s": round(train_s, 2),
        "classified": len(digits),
        "digits_per_s": round(digits_per_s, 1),
        "letters": letters,
    }
    _say("")
    _say(f"  data set        {dataset.name}, {len(dataset.train_labels):,} digits to learn from")
    _say(
        f"  trained         {summary['model']} in {train_s:.1f} s, {training.chip_time_s:.1f} s of chip time"
    )
    _say(f"  read correctly  {accuracy:.2%} of {len(digits):,} test digits, through the API")
    _say(f"  speed           {summary['digits_per_s']:,.0f} digits/s, from {_THREADS} clients")
    _say(
        f"  letters         {letters['read_rate']:.1%} routed, {letters['error_rate']:.2%} of these to a wrong "
        f"region, {letters['letters_per_s']:,.0f} letters/s, {letters['missed_deadlines']} too late"
    )
    _say(f"  backend         {backend}")
    _say("")
    return summary


def _train(client: Client) -> tuple[Job, float]:
    started = time.monotonic()
    job = client.train(MODEL, recipe="strong")
    with job_progress() as update:
        job = client.wait(job, on_change=update).expect_success()
    return job, time.monotonic() - started


def _read(client: Client, dataset: Dataset) -> tuple[NDArray[np.int64], str]:
    """Return the digits (crops,) that are read in the test set, and the backend."""
    crops = dataset.test_images.numpy()
    starts = range(0, len(crops), _CROPS_PER_REQUEST)

    def read_from(start: int) -> tuple[list[int], str]:
        predictions = client.classify(crops[start : start + _CROPS_PER_REQUEST], MODEL)
        return predictions.digits, predictions.backend

    with ThreadPoolExecutor(_THREADS) as pool, progress_bar() as bar:
        bar.start()
        parts = list(bar.track(pool.map(read_from, starts), len(starts), description="reading"))
    return np.concatenate([np.array(part, np.int64) for part, _ in parts]), parts[0][1]


def _sort(url: str, token: str, mnist: Path | None) -> dict[str, Any]:
    """Sort letters; return figures by their names in `hxserve letters`."""
    source = LetterSource(seed=0, directory=invent_directory(), mnist=mnist)
    # The centre repeats refused requests itself, and counts them.
    with Client(url, token, retries=0) as client, progress_bar() as bar:
        task = bar.add_task("sorting", total=_THRESHOLD_LETTERS + _LETTERS)
        bar.start()
        centre = Centre(client, MODEL, "latest", Effort())
        threshold = centre.find_threshold(
            source, _THRESHOLD_LETTERS, _MOST_ERROR, lambda _: bar.advance(task)
        )
        run = centre.sort(
            source, _LETTERS, _BELTS, threshold=threshold, on_decision=lambda _: bar.advance(task)
        )
    report = summarise(run, _BELTS)
    kept = "count read_rate error_rate postcode_error_rate letters_per_s missed_deadlines threshold"
    return {name: report[name] for name in kept.split()}


def _folder_of(dataset: Dataset, settings: Settings) -> Path | None:
    """Return the folder of MNIST, if that is the data set."""
    if dataset.name != "mnist":
        return None
    return settings.mnist or settings.datasets_dir


def _find_mnist(given: str | None) -> str | Path | None:
    """Return the given folder, or one beside the project; None leaves the choice to the environment and the worker."""
    if given or os.environ.get("HXSERVE_MNIST"):
        return given
    return _NEARBY_MNIST if _NEARBY_MNIST.is_dir() else None


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 the output of the demo


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("make demo", description="Train, then read digits and sort letters.")
    parser.add_argument("--mnist", help="folder that holds MNIST in torchvision's layout")
    parser.add_argument("--data-dir", help="keep the data here instead of in a temporary folder")
    parser.add_argument(
        "--chip", choices=CHIP_CHOICES, help="backend [mock: hxtorch's mock arithmetic, no chip]"
    )
    return parser


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    sys.exit(main())

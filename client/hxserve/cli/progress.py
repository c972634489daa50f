"""The live view of work, on stderr: a bar at a terminal; of a job, a line per epoch in a file."""

import sys
from types import TracebackType
from typing import Any, Self

import click
from tqdm import tqdm

from hxserve.cli.phrases import one_line, percent, remaining
from hxserve.jobs import Job

_WAITING_FORMAT = "{desc} [{elapsed}]"


class JobProgress:
    """Shows a job's states one after the other; `update` fits `Client.wait`."""

    def __init__(self) -> None:
        self._bar: tqdm[Any] | None = None
        self._steps_known = False
        self._epochs_told = 0
        self._state = ""
        self._note = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def update(self, job: Job) -> None:
        """Show the job as it is now."""
        if self._bar is None and sys.stderr.isatty():
            self._bar = tqdm(
                desc=_headline(job),
                bar_format=_WAITING_FORMAT,
                file=sys.stderr,
                dynamic_ncols=True,
                mininterval=0,
            )
        note = one_line(job.metrics.get("dataset_note") or "")
        if note and note != self._note:
            self._tell(note)
        self._note = note or self._note
        if self._bar is None:
            self._tell_changes(job)
        else:
            self._draw(self._bar, job)

    def _draw(self, bar: "tqdm[Any]", job: Job) -> None:
        steps_total = job.metrics.get("steps_total")
        if steps_total and not self._steps_known:
            self._steps_known = True
            bar.bar_format = None
            bar.unit = "step"
            bar.reset(total=int(steps_total))
            # Steps before the first look do not count for the speed.
            bar.initial = bar.n = int(job.metrics.get("step", 0))
        bar.set_description_str(_headline(job), refresh=False)
        if self._steps_known:
            bar.set_postfix_str(_measures(job), refresh=False)
            step = int(steps_total or 0) if job.state == "succeeded" else int(job.metrics.get("step", 0))
            if bar.update(step - bar.n):
                return
        bar.refresh()

    def _tell_changes(self, job: Job) -> None:
        epochs = job.metrics.get("epochs") or []
        for row in epochs[self._epochs_told :]:
            self._tell(
                f"{job.kind} {job.id}: epoch {row['epoch']}/{job.metrics.get('epochs_total', '?')}, "
                f"loss {row['train_loss']:.4f}, test accuracy {percent(row['test_accuracy'])}"
            )
        self._epochs_told = len(epochs)
        if job.state != self._state:
            self._state = job.state
            self._tell(f"{job.kind} {job.id}: {_headline(job)}")

    def _tell(self, line: str) -> None:
        if self._bar is None:
            click.echo(line, err=True)
        else:
            self._bar.write(line, file=sys.stderr)


class CropsProgress:
    """Shows how many crops are read, at a terminal; `update` fits `Client.classify`."""

    def __init__(self) -> None:
        self._bar: tqdm[Any] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def update(self, done: int, crops: int) -> None:
        """Show the number of crops read."""
        if self._bar is None and crops > 1 and sys.stderr.isatty():
            # Removed at the end: the result follows on stdout.
            self._bar = tqdm(
                desc="reading", total=crops, unit="crop", file=sys.stderr, dynamic_ncols=True, leave=False
            )
        if self._bar is not None:
            self._bar.update(done - self._bar.n)


def _headline(job: Job) -> str:
    """The job's present activity."""
    match job.state:
        case "queued":
            place = f", {job.queue.position} of {job.queue.of}" if job.queue else ""
            when = f", {remaining(job.eta)}" if job.eta else ""
            return f"{job.model or job.kind}: queued{place}{when}"
        case "running" if "epoch" in job.metrics:
            return f"{job.model}: epoch {job.metrics['epoch']}/{job.metrics.get('epochs_total', '?')}"
        case state:
            return f"{job.model or job.kind}: {state}"


def _measures(job: Job) -> str:
    """The latest loss and accuracy."""
    if not job.metrics.get("step"):
        return ""
    parts = []
    if (loss := job.metrics.get("loss")) is not None:
        parts.append(f"loss {loss:.3f}")
    if job.accuracy is not None:
        parts.append(f"accuracy {job.accuracy:.1%}")
    return ", ".join(parts)

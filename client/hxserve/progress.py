"""The progress of work on stderr: a bar at a terminal; of a job, lines in a file."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import Any, Final

from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.text import Text

from hxserve.jobs import Job
from hxserve.phrases import one_line, percent, remaining

_BLOCKS: Final = "▁▂▃▄▅▆▇█"


class _CurvedProgress(Progress):
    """A progress display with a line of curves below."""

    curves = ""

    def get_renderables(self) -> Iterable[RenderableType]:
        """Yield the bars, and the curves where there are any."""
        yield from super().get_renderables()
        if self.curves:
            yield Text(self.curves, overflow="ellipsis", no_wrap=True)


@contextmanager
def progress_bar(*columns: ProgressColumn, transient: bool = True) -> Iterator[_CurvedProgress]:
    """Give a progress display with these columns after the usual ones; `start` it, which does nothing in a file."""
    console = Console(stderr=True)
    bar = _CurvedProgress(
        TextColumn("{task.description}:", markup=False),
        TaskProgressColumn("{task.percentage:>3.0f}%"),
        BarColumn(),
        *columns,
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=transient,
        disable=not console.is_interactive,
    )
    try:
        yield bar
    finally:
        bar.stop()


@contextmanager
def crops_progress() -> Iterator[Callable[[int, int], None]]:
    """Give a function for `Client.classify` that shows how many crops are read; the bar is removed at the end."""
    with progress_bar(MofNCompleteColumn()) as bar:
        task = bar.add_task("reading")

        def update(done: int, crops: int) -> None:
            if crops > 1:
                bar.start()
            bar.update(task, completed=done, total=crops)

        yield update


@contextmanager
def bytes_progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """Give a function that shows how many bytes are sent, and of how many."""
    with progress_bar(DownloadColumn(), TransferSpeedColumn(), transient=False) as bar:
        task = bar.add_task(what)

        def update(done: int, total: int) -> None:
            bar.start()
            bar.update(task, completed=done, total=total)

        yield update


@contextmanager
def cells_progress(notebook: str) -> Iterator[Callable[[int, int], None]]:
    """Give a function that shows how many cells of a notebook have run; in a file, a line for each."""
    with progress_bar(MofNCompleteColumn()) as bar:
        task = bar.add_task(notebook)
        bar.start()

        def update(done: int, cells: int) -> None:
            bar.update(task, completed=done, total=cells)
            if bar.disable and done:
                bar.console.print(
                    f"{notebook}: cell {done}/{cells}",
                    markup=False,
                    emoji=False,
                    highlight=False,
                    soft_wrap=True,
                )

        yield update


@contextmanager
def job_progress() -> Iterator[Callable[[Job], None]]:
    """Give a function for `Client.wait` that shows a job's states one after the other."""
    with progress_bar(TextColumn("{task.fields[measures]}", markup=False), transient=False) as bar:
        yield _JobProgress(bar).update


class _JobProgress:
    """The states of one job."""

    def __init__(self, bar: _CurvedProgress) -> None:
        self._bar = bar
        self._task = bar.add_task("", total=None, measures="")
        self._epochs_told = 0
        self._state = ""
        self._note = ""

    def update(self, job: Job) -> None:
        """Show the job as it is now."""
        self._bar.start()
        note = one_line(job.metrics.get("dataset_note") or "")
        if note and note != self._note:
            self._tell(note)
        self._note = note or self._note
        if self._bar.disable:
            self._tell_changes(job)
            return
        total = job.metrics.get("steps_total")
        self._bar.curves = curves(job.metrics.get("epochs") or ())
        done = total if job.state == "succeeded" else job.metrics.get("step")
        self._bar.update(
            self._task, description=_headline(job), total=total, completed=done, measures=_measures(job)
        )

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
        self._bar.console.print(line, markup=False, emoji=False, highlight=False, soft_wrap=True)


def _headline(job: Job) -> str:
    """Describe the job's present activity."""
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
    """Describe the steps done, and the latest loss and accuracy."""
    step = job.metrics.get("step")
    if not step:
        return ""
    parts = [f"step {step}/{job.metrics.get('steps_total', '?')}"]
    if (loss := job.metrics.get("loss")) is not None:
        parts.append(f"loss {loss:.3f}")
    if job.accuracy is not None:
        parts.append(f"accuracy {job.accuracy:.1%}")
    return ", ".join(parts)


def curves(epochs: Sequence[Mapping[str, Any]]) -> str:
    """Return test accuracy and test loss by epoch as blocks; a bar stands where learning goes to the chip."""
    if len(epochs) < 2:
        return ""
    accuracies, losses = (
        [float(row[f"test_{measure}"]) for row in epochs] for measure in ("accuracy", "loss")
    )
    places = [row.get("execution") for row in epochs]
    return (
        f"  accuracy {_blocks(accuracies, places)} {percent(accuracies[-1])}   "
        f"loss {_blocks(losses, places)} {losses[-1]:.3f}"
    )


def _blocks(values: Sequence[float], places: Sequence[object]) -> str:
    low, high = min(values), max(values)
    blocks = iter(
        _BLOCKS[round((value - low) / ((high - low) or 1) * (len(_BLOCKS) - 1))] for value in values
    )
    return "│".join("".join(next(blocks) for _ in group) for _, group in groupby(places))

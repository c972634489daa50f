"""A job as the service last described it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Self

from hxserve.errors import AnswerNotUnderstoodError, JobFailedError, NotAvailableError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FINAL_STATES: Final = frozenset({"succeeded", "failed", "cancelled", "expired"})


@dataclass(frozen=True, slots=True)
class QueuePlace:
    """Place of a waiting job: `position` 1 is next, `of` is the number waiting."""

    position: int
    of: int


@dataclass(frozen=True, slots=True)
class Eta:
    """When a job will be finished, in seconds from when it was asked."""

    earliest_s: float
    latest_s: float


@dataclass(slots=True, repr=False)
class JobState:
    """A job as the service last described it.

    Attributes:
        id: unique, without meaning.
        kind: training, evaluation, comparison, staircase, batch, classification, calibration, upload, import or
            program.
        user: its owner.
        model: empty for calibrations and programs.
        state: queued, running, succeeded, failed, cancelled or expired.
        params: of its kind.
        progress: 0 to 1.
        metrics: of the running work, such as `epochs`.
        outcome: the result as the service sent it; None while there is none.
        error: `code` and `message` of a failed job.
        chip_time_s: charged so far.
        queue: the place of a waiting job.
        eta: when it will be finished.
        record: all that the service said.
        etag: names this state of the record.
    """

    id: str
    kind: str
    user: str
    model: str
    state: str
    params: Mapping[str, Any]
    created_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    progress: float
    metrics: Mapping[str, Any]
    outcome: Mapping[str, Any] | None
    error: Mapping[str, Any] | None
    chip_time_s: float
    cancel_requested: bool
    revision: int
    queue: QueuePlace | None
    eta: Eta | None
    record: Mapping[str, Any] = field(compare=False)
    etag: str | None = field(default=None, compare=False)

    @classmethod
    def from_record(cls, record: Mapping[str, Any], etag: str | None = None) -> Self:
        """Read a job from its JSON record.

        Raises:
            AnswerNotUnderstoodError: it describes none.
        """
        try:
            queue, eta = record.get("queue"), record.get("eta")
            return cls(
                id=str(record["id"]),
                kind=str(record["kind"]),
                user=str(record.get("user", "")),
                model=str(record.get("model") or ""),
                state=str(record["state"]),
                params=record.get("params") or {},
                created_at=_time(record.get("created_at")),
                started_at=_time(record.get("started_at")),
                finished_at=_time(record.get("finished_at")),
                progress=float(record.get("progress") or 0.0),
                metrics=record.get("metrics") or {},
                outcome=record.get("result"),
                error=record.get("error"),
                chip_time_s=float(record.get("chip_time_s") or 0.0),
                cancel_requested=bool(record.get("cancel_requested")),
                revision=int(record.get("revision") or 0),
                queue=QueuePlace(int(queue["position"]), int(queue["of"])) if queue else None,
                eta=Eta(float(eta["earliest_s"]), float(eta["latest_s"])) if eta else None,
                record=record,
                etag=etag,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise AnswerNotUnderstoodError(
                f"the service sent a job that cannot be read ({error!r})"
            ) from None

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in FINAL_STATES

    @property
    def version(self) -> str | None:
        """The model version it made or measured, once it is known."""
        version = (self.outcome or {}).get("version")
        return None if version is None else str(version)

    @property
    def accuracy(self) -> float | None:
        """The share of right answers, 0..1: of the finished job, else the latest seen."""
        value = (self.outcome or {}).get("accuracy", self.metrics.get("accuracy"))
        return None if value is None else float(value)

    @property
    def problem(self) -> str:
        """Why it has no result, in one sentence; empty when it has one or still may."""
        if self.state not in FINAL_STATES - {"succeeded"}:
            return ""
        message = str((self.error or {}).get("message") or "")
        return f"job {self.id} {_PAST[self.state]}" + (f": {message}" if message else "")

    def expect_success(self) -> Self:
        """Return this job if it has a result.

        Raises:
            JobFailedError: it ended without a result.
        """
        if self.problem:
            raise JobFailedError(self, self.problem, (self.error or {}).get("code") or f"job_{self.state}")
        return self

    @property
    def history(self) -> Any:
        """The finished epochs of a training: a pandas DataFrame indexed by epoch, a list of dicts without pandas.

        Columns are `train_loss`, `test_loss`, `train_accuracy` and `test_accuracy` (0..1), `learning_rate`, and where
        the epoch ran: `execution`.
        """
        rows = list(self.metrics.get("epochs") or ())
        try:
            import pandas as pd  # noqa: PLC0415 optional, and slow to import
        except ImportError:
            return rows
        return pd.DataFrame(rows).set_index("epoch") if rows else pd.DataFrame()

    def confusion(self) -> NDArray[np.int64]:
        """Return the confusion matrix of a training or evaluation, (10, 10): a row per digit, a column per reading.

        Raises:
            NotAvailableError: the job has none, or none yet.
        """
        import numpy as np  # noqa: PLC0415 slow to import

        matrix = np.asarray((self.outcome or {}).get("confusion") or [], np.int64)
        if not matrix.any():
            raise NotAvailableError(
                f"{self.label} has no confusion matrix{self._not_yet}; evaluations and trainings do"
            )
        return matrix

    def plot(self) -> Any:
        """Return a matplotlib figure: the curves of a training, else the confusion matrix. Notebooks show it.

        Raises:
            NotAvailableError: the job has neither, or neither yet.
            PlotsMissingError: matplotlib is not installed.
        """
        from hxserve.plots import draw_confusion, draw_curves  # noqa: PLC0415 it imports this module's errors

        epochs = self.metrics.get("epochs")
        return (
            draw_curves(epochs, self.label)
            if epochs
            else draw_confusion(self.confusion().tolist(), self.label)
        )

    @property
    def label(self) -> str:
        """Its kind and model."""
        return f"{self.kind} of {self.model}" if self.model else self.kind

    @property
    def _not_yet(self) -> str:
        return "" if self.is_final else f" yet, it is {self.state}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.id!r}, {self.summary})"

    @property
    def summary(self) -> str:
        """Its kind and state in one line."""
        parts = [self.label, self.state]
        if self.state == "queued" and self.queue:
            parts.append(f"{self.queue.position} of {self.queue.of}")
        if self.state == "running":
            parts.append(f"{self.progress:.0%}")
        if self.accuracy is not None:
            parts.append(f"accuracy {self.accuracy:.2%}")
        if self.version is not None:
            parts.append(f"version {self.version}")
        if self.error:
            parts.append(str(self.error.get("message")))
        return ", ".join(parts)

    def _repr_html_(self) -> str:
        from hxserve.notebook import job_html  # noqa: PLC0415 only notebooks need it

        return job_html(self)

    def adopt(self, other: JobState) -> None:
        """Bring this job to the state of another description of it."""
        for each in fields(JobState):
            setattr(self, each.name, getattr(other, each.name))


_PAST: Final = {"failed": "failed", "cancelled": "was cancelled", "expired": "expired"}


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)

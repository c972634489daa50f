"""A job as its user sees it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from html import escape
from typing import Any, Final, Self

from hxserve.errors import AnswerNotUnderstoodError, JobFailedError

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


@dataclass(frozen=True, slots=True, repr=False)
class Job:
    """One piece of work, as it stood when asked for, such as a training, an evaluation or an upload.

    `model` is empty for calibrations and programs. `state` is queued, running, succeeded, failed, cancelled or expired;
    `progress` runs from 0 to 1. `record` is all that the service said, and `etag` names this state of it.
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
    result: Mapping[str, Any] | None
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
                result=record.get("result"),
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
        version = (self.result or {}).get("version")
        return None if version is None else str(version)

    @property
    def accuracy(self) -> float | None:
        """The share of right answers, 0..1: of the finished job, else the latest seen."""
        value = (self.result or {}).get("accuracy", self.metrics.get("accuracy"))
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

    def __repr__(self) -> str:
        return f"Job({self.id!r}, {self.summary})"

    @property
    def summary(self) -> str:
        """Its kind and state in one line."""
        parts = [f"{self.kind} of {self.model}" if self.model else self.kind, self.state]
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
        return (
            f"<div><code>{escape(self.id)}</code> {escape(self.summary)}<br>"
            f'<progress value="{self.progress:.3f}" max="1"></progress></div>'
        )


_PAST: Final = {"failed": "failed", "cancelled": "was cancelled", "expired": "expired"}


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)

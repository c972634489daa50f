"""A job as its user sees it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Self

from hxserve.errors import NotAvailableError
from hxserve.job_states import JobState

if TYPE_CHECKING:
    from hxserve.client import Client
    from hxserve.predictions import Predictions


class Result(dict[str, Any]):
    """The result of a job as a mapping, empty while there is none; called, it waits for the job first."""

    def __init__(self, content: Mapping[str, Any], wait: Callable[..., Any]) -> None:
        super().__init__(content)
        self._wait = wait

    def __call__(self, *, timeout_s: float | None = None) -> Any:
        """Wait for the job and return its result: of a classification predictions, of other kinds a mapping.

        Raises:
            JobFailedError: the job ended without a result.
            StillRunningError: `timeout_s` is over; the job goes on.
        """
        return self._wait(timeout_s=timeout_s)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as a plain mapping."""
        return dict, (dict(self),)


@dataclass(slots=True, repr=False)
class Job(JobState):
    """One piece of work, such as a training, an evaluation or an upload.

    It shows the state in which it was last seen; `wait`, `refresh`, `cancel` and `result()` bring it up to date.
    """

    client: Client | None = field(default=None, compare=False)

    @property
    def result(self) -> Result:
        """The result as a mapping, empty while there is none; `result()` waits for it.

        Of a classification `result()` returns `Predictions`.
        """
        return Result(self.outcome or {}, self._await_result)

    def wait(self, *, timeout_s: float | None = None, on_change: Callable[[Job], None] | None = None) -> Self:
        """Wait until the job has ended, in whichever state, and return it.

        Args:
            timeout_s: how long to wait; None for as long as it takes.
            on_change: called with the job now and whenever it has changed; without, progress is shown at terminals and
                in notebooks.

        Raises:
            StillRunningError: the time is over; the job goes on.
        """
        self.adopt(self._bound().wait(self.id, timeout_s=timeout_s, on_change=on_change))
        return self

    def refresh(self) -> Self:
        """Fetch the present state and return the job."""
        self.adopt(self._bound().job(self.id))
        return self

    def cancel(self) -> Self:
        """Cancel the job and return it; a training keeps what it has learnt as a partial version."""
        self.adopt(self._bound().cancel(self.id))
        return self

    def __getstate__(self) -> dict[str, Any]:
        """Leave the client out: its connections belong to this process."""
        return {each.name: getattr(self, each.name) for each in fields(self)} | {"client": None}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)

    def _await_result(self, *, timeout_s: float | None = None) -> Mapping[str, Any] | Predictions:
        from hxserve.classification import predictions_of  # noqa: PLC0415 it imports this module

        if not self.is_final:
            self.wait(timeout_s=timeout_s)
        self.expect_success()
        return predictions_of(self) if self.kind == "classification" else self.result

    def _bound(self) -> Client:
        if self.client is None:
            raise NotAvailableError(
                "this job came without its client; use `client.wait(job)`, `client.job(job.id)`"
            )
        return self.client

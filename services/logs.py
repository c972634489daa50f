"""Logging: one line per event on standard error, with the facts of its context, as text or as JSON.

The code that works on something names it once, with `about`; each line logged in that context has these facts.
"""

import json
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, Literal

from services.jobs.record import Job, JobState

LogFormat = Literal["text", "json"]

_NO_FACTS: Final[Mapping[str, str]] = {}
_about: ContextVar[Mapping[str, str]] = ContextVar("about", default=_NO_FACTS)
_jobs: Final = logging.getLogger("jobs")


@contextmanager
def about(**facts: str) -> Iterator[None]:
    """Add facts to each line of this thread or greenlet until the context ends."""
    token = _about.set({**_about.get(), **facts})
    try:
        yield
    finally:
        _about.reset(token)


def log_end(
    job: Job, state: JobState, problem: Mapping[str, str] | None = None, cause: Exception | None = None
) -> None:
    """Log the end of a long job; no other code does.

    Args:
        job: The job before its end.
        state: The final state.
        problem: The recorded reason of a failure.
        cause: The exception behind it; its traceback is logged.
    """
    outcome = f"{state} ({problem['code']}: {problem['message']})" if problem else state.value
    level = logging.ERROR if state is JobState.FAILED else logging.INFO
    with about(job=job.id, user=job.user):
        _jobs.log(level, "job %s: %s", job.id, outcome, exc_info=cause)


def configure_logging(level: str, form: LogFormat = "text", **facts: str) -> None:
    """Log from `level` on; each line of the process has `facts`."""
    handler = logging.StreamHandler()
    handler.setFormatter(_JsonLines(facts) if form == "json" else _TextLines(facts))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)  # also after a library's own
    logging.captureWarnings(True)


class _Lines(logging.Formatter):
    """The time, the facts and the traceback of a line."""

    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def __init__(self, facts: Mapping[str, str]) -> None:
        super().__init__()
        self._facts = facts

    def facts(self) -> dict[str, str]:
        """Return the facts of the process and of the context."""
        return {**self._facts, **_about.get()}

    def traceback(self, record: logging.LogRecord) -> str:
        """Return the traceback of a line, or nothing."""
        return self.formatException(record.exc_info) if record.exc_info and record.exc_info[0] else ""


class _TextLines(_Lines):
    """Lines for people: the facts in brackets behind the message, a traceback below."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        # A process has a file or journal of its own, so its name is superfluous.
        facts = " ".join(f"{name}={value}" for name, value in self.facts().items() if name != "process")
        message = _in_one_line(record.getMessage()) + (f" [{facts}]" if facts else "")
        line = f"{self.formatTime(record)} {record.levelname} {record.name}: {message}"
        return "\n".join(filter(None, (line, self.traceback(record))))


class _JsonLines(_Lines):
    """Lines for programs: one object each, a traceback as its `error`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line = {
            "time": self.formatTime(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **self.facts(),
        }
        if traceback := self.traceback(record):
            line["error"] = traceback
        return json.dumps(line)


def _in_one_line(message: str) -> str:
    """Escape control characters: no text from a client may look like a line of its own."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in message)

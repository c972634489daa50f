"""What processes write about themselves: one line per event, to standard error, with what the event is about.

Whoever works on something says so once, with `about`; every line that is written meanwhile, by whomever, carries it.
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

_NOTHING: Final[Mapping[str, str]] = {}
_about: ContextVar[Mapping[str, str]] = ContextVar("about", default=_NOTHING)
_jobs: Final = logging.getLogger("jobs")
_LEVELS: Final = {JobState.FAILED: logging.ERROR}


@contextmanager
def about(**facts: str) -> Iterator[None]:
    """Lets every line of this thread, or greenlet, carry these facts until the context ends."""
    token = _about.set({**_about.get(), **facts})
    try:
        yield
    finally:
        _about.reset(token)


def log_end(
    job: Job, state: JobState, problem: Mapping[str, str] | None = None, cause: Exception | None = None
) -> None:
    """Writes how a long job ended: the only place where that is logged.

    Args:
        job: as it was before.
        state: its final one.
        problem: why it failed, as it is recorded.
        cause: what was raised; its traceback follows.
    """
    said = f"{state} ({problem['code']}: {problem['message']})" if problem else state.value
    with about(job=job.id, user=job.user):
        _jobs.log(_LEVELS.get(state, logging.INFO), "job %s: %s", job.id, said, exc_info=cause)


def configure_logging(level: str, form: LogFormat = "text", **facts: str) -> None:
    """Logs from `level` on, with times in UTC; every line of the process carries `facts`."""
    handler = logging.StreamHandler()
    handler.setFormatter(_JsonLines(facts) if form == "json" else _TextLines(facts))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)  # also after a library's own
    logging.captureWarnings(True)


class _Lines(logging.Formatter):
    """What both forms have in common."""

    def __init__(self, facts: Mapping[str, str]) -> None:
        super().__init__()
        self._facts = facts

    def facts(self) -> dict[str, str]:
        """What the line is about."""
        return {**self._facts, **_about.get()}

    def traceback(self, record: logging.LogRecord) -> str:
        """The traceback that belongs to the line, if any."""
        return self.formatException(record.exc_info) if record.exc_info and record.exc_info[0] else ""


class _TextLines(_Lines):
    """For people: the facts stand in brackets behind the message, a traceback below."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        facts = self.facts()
        facts.pop("process", None)  # who reads a process's log knows whose it is
        behind = f" [{' '.join(f'{name}={value}' for name, value in facts.items())}]" if facts else ""
        line = f"{_at(record)} {record.levelname} {record.name}: {_in_one_line(record.getMessage())}{behind}"
        return "\n".join(filter(None, (line, self.traceback(record))))


class _JsonLines(_Lines):
    """For programs: one object a line; a traceback is its `error`."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        traceback = self.traceback(record)
        return json.dumps(
            {
                "time": _at(record),
                "level": record.levelname.lower(),
                "logger": record.name,
                "message": record.getMessage(),
                **self.facts(),
                **({"error": traceback} if traceback else {}),
            }
        )


def _at(record: logging.LogRecord) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{record.msecs:03.0f}Z"


def _in_one_line(message: str) -> str:
    """A message in which what a client sent cannot pass for a line of its own."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in message)

"""hxtorch's logging facade, on top of Python's logging."""

import enum
import logging
from functools import partialmethod
from typing import Any


class LogLevel(enum.IntEnum):
    """Log levels, as numbers of Python's logging."""

    TRACE = 5
    DEBUG = logging.DEBUG
    INFO = logging.INFO
    WARN = logging.WARNING
    ERROR = logging.ERROR
    FATAL = logging.CRITICAL


class Logger:
    """A named logger whose methods come in small and in capital letters."""

    def __init__(self, name: str) -> None:
        self.python_logger = logging.getLogger(name)

    def _log(self, level: LogLevel, *words: object) -> None:
        if self.python_logger.isEnabledFor(level):
            self.python_logger.log(level, "%s", " ".join(map(str, words)))

    trace = TRACE = partialmethod(_log, LogLevel.TRACE)
    debug = DEBUG = partialmethod(_log, LogLevel.DEBUG)
    info = INFO = partialmethod(_log, LogLevel.INFO)
    warn = WARN = warning = WARNING = partialmethod(_log, LogLevel.WARN)
    error = ERROR = partialmethod(_log, LogLevel.ERROR)
    fatal = FATAL = partialmethod(_log, LogLevel.FATAL)


def get(name: str) -> Logger:
    """Return the logger of that name."""
    return Logger(name)


def default_config(level: LogLevel = LogLevel.WARN, **_: Any) -> None:
    """Write everything from ``level`` on to standard error; hxtorch's further options change nothing here."""
    reset()
    logging.basicConfig(level=int(level), format="%(levelname)-5s %(asctime)s %(name)s %(message)s")


def reset() -> None:
    """Forget the configuration: no handlers, and Python's own level."""
    root = logging.getLogger()
    for handler in list(root.handlers):
        root.removeHandler(handler)
    root.setLevel(logging.WARNING)


def set_loglevel(logger: Logger, level: LogLevel) -> None:
    """Let ``logger`` emit records of ``level`` or above."""
    logger.python_logger.setLevel(int(level))

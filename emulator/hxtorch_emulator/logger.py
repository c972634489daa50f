"""hxtorch's logging facade: loggers of its own, apart from those of Python's logging, at INFO from the beginning."""

import enum
import logging
import sys
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


class _StandardError(logging.StreamHandler[Any]):
    """Writes to what standard error is at the moment."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)
        self.setFormatter(logging.Formatter("%(levelname)-5s %(asctime)s %(name)s %(message)s"))

    @property
    def stream(self) -> Any:
        """Standard error."""
        return sys.stderr


class Logger:
    """A named logger whose methods come in small and in capital letters."""

    def __init__(self, python_logger: logging.Logger) -> None:
        self.python_logger = python_logger

    def _log(self, level: LogLevel, *words: object) -> None:
        if self.python_logger.isEnabledFor(level):
            self.python_logger.log(level, "%s", " ".join(map(str, words)))

    trace = TRACE = partialmethod(_log, LogLevel.TRACE)
    debug = DEBUG = partialmethod(_log, LogLevel.DEBUG)
    info = INFO = partialmethod(_log, LogLevel.INFO)
    warn = WARN = warning = WARNING = partialmethod(_log, LogLevel.WARN)
    error = ERROR = partialmethod(_log, LogLevel.ERROR)
    fatal = FATAL = partialmethod(_log, LogLevel.FATAL)


_root = logging.RootLogger(LogLevel.INFO)
_root.manager = _manager = logging.Manager(_root)


def get(name: str) -> Logger:
    """Return the logger of that name."""
    return Logger(_manager.getLogger(name))


def get_root() -> Logger:
    """Return the logger whose level holds for all that have none of their own."""
    return Logger(_root)


def default_config(level: LogLevel = LogLevel.WARN, **_: Any) -> None:
    """Write everything from ``level`` on to standard error; hxtorch's further options change nothing here."""
    reset()
    _root.setLevel(int(level))
    _root.addHandler(_StandardError())


def reset() -> None:
    """Forget the configuration: nothing is written below WARN."""
    for handler in list(_root.handlers):
        _root.removeHandler(handler)
    _root.setLevel(int(LogLevel.WARN))


def set_loglevel(logger: Logger, level: LogLevel) -> None:
    """Let ``logger`` emit records of ``level`` or above."""
    logger.python_logger.setLevel(int(level))


default_config(LogLevel.INFO)

"""The live view of the letter centre, on stderr at a terminal: a row per machine."""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.live import Live
from rich.table import Table

from hxserve.phrases import duration, percent
from hxserve_letters.decisions import Decision, Reason

_REFRESHES_PER_S: Final = 4
_MOST_ROWS: Final = 20


class LettersView:
    """A live table of all machines; nothing when stderr is no terminal."""

    def __init__(self) -> None:
        self._live: Live | None = None
        self._lock = threading.Lock()
        self._title, self._letters, self._machines = "", 0, 0
        self._started = 0.0
        self._counts: Counter[tuple[int, str]] = Counter()
        self._longest_s: dict[int, float] = {}

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            self._live = Live(
                get_renderable=self._table,
                console=Console(stderr=True),
                refresh_per_second=_REFRESHES_PER_S,
                transient=True,
            )
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def begin(self, title: str, letters: int, machines: int) -> None:
        """Reset all counts for a run of `letters` letters on `machines` machines."""
        with self._lock:
            self._title, self._letters, self._machines = title, letters, machines
            self._started = time.monotonic()
            self._counts.clear()
            self._longest_s.clear()

    def update(self, decision: Decision) -> None:
        """Count a letter."""
        machine = decision.machine
        with self._lock:
            self._counts[machine, "all"] += 1
            self._counts[machine, "routed"] += decision.route is not None
            self._counts[machine, "wrong"] += decision.is_wrong
            self._counts[machine, "late"] += decision.reason is Reason.LATE
            self._longest_s[machine] = max(self._longest_s.get(machine, 0.0), decision.latency_s)

    def _table(self) -> Table:
        with self._lock:
            counts, longest_s = self._counts.copy(), dict(self._longest_s)
            elapsed_s = max(time.monotonic() - self._started, 1e-3)
        done = sum(counts[machine, "all"] for machine in range(self._machines))
        table = Table(title=f"{self._title}: {done:,} of {self._letters:,} letters", title_justify="left")
        for column in ("machine", "letters", "letters/h", "read", "error", "late", "longest"):
            table.add_column(column, justify="right")
        for machine in range(min(self._machines, _MOST_ROWS)):
            count, routed = counts[machine, "all"], counts[machine, "routed"]
            table.add_row(
                str(machine + 1),
                f"{count:,}",
                f"{3600 * count / elapsed_s:,.0f}",
                percent(routed / count if count else None),
                percent(counts[machine, "wrong"] / routed if routed else None),
                str(counts[machine, "late"]),
                duration(longest_s.get(machine, 0.0)),
            )
        return table

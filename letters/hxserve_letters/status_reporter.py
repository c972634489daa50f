"""Report the state of a letter centre to the service, for its page."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from hxserve.errors import ClientError
from hxserve_letters.camera_pool import LetterSource
from hxserve_letters.decisions import Decision
from hxserve_letters.redrawing import Redrawer, Redrawn

if TYPE_CHECKING:
    from hxserve.client import Client

_EVERY_S: Final = 1.0
_SHOWN: Final = 8
_DRAWN_AT_A_TIME: Final = 2
_ENVELOPE_WIDTH_PX: Final = 352


class StatusReporter:
    """Counts decisions and reports them to the service every second; a failed report is skipped."""

    def __init__(self, client: Client, source: LetterSource) -> None:
        self._client = client
        self._redrawer = Redrawer(source)
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._counts: Counter[str] = Counter()
        self._rejects: Counter[str] = Counter()
        self._newest: deque[Decision] = deque(maxlen=_DRAWN_AT_A_TIME)
        self._cards: deque[dict[str, Any]] = deque(maxlen=_SHOWN)
        self._title, self._letters, self._machines = "", 0, 1
        self._started = time.monotonic()
        self._thread = threading.Thread(target=self._report, name="status-reporter", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._thread.join()

    def begin(self, title: str, letters: int, machines: int) -> None:
        """Reset all counts for a run of `letters` letters on `machines` machines."""
        with self._lock:
            self._title, self._letters, self._machines = title, letters, machines
            self._started = time.monotonic()
            self._counts.clear()
            self._rejects.clear()
            self._newest.clear()
            self._cards.clear()

    def update(self, decision: Decision) -> None:
        """Count a letter."""
        with self._lock:
            self._counts["done"] += 1
            self._counts["routed"] += decision.route is not None
            self._counts["wrong"] += decision.is_wrong
            if decision.reason:
                self._rejects[str(decision.reason)] += 1
            self._newest.append(decision)

    def status(self) -> dict[str, Any]:
        """Return the report: counts, rates, and the newest letters with their pictures."""
        with self._lock:
            newest = list(self._newest)
            self._newest.clear()
        self._cards.extend(_card(decision, self._redrawer.redraw(decision)) for decision in newest)
        with self._lock:
            elapsed_s = max(time.monotonic() - self._started, 1e-3)
            done = self._counts["done"]
            return {
                "title": self._title,
                "letters": self._letters,
                "machines": self._machines,
                "done": done,
                "routed": self._counts["routed"],
                "wrong": self._counts["wrong"],
                "rejects": dict(self._rejects),
                "letters_per_h": round(3600 * done / elapsed_s),
                "recent": list(self._cards),
            }

    def _report(self) -> None:
        is_last = False
        while not is_last:
            is_last = self._stopping.wait(_EVERY_S)
            if self._letters:
                try:
                    self._client.tell_letters(self.status())
                except ClientError:
                    continue  # the letters matter more than the picture of them


def _card(decision: Decision, redrawn: Redrawn) -> dict[str, Any]:
    """Describe one letter as the page shows it: its envelope and crops, and its outcome."""
    reading = decision.reading
    outcome = "rejected" if decision.route is None else "wrong" if decision.is_wrong else "routed"
    return {
        "number": decision.number,
        "written": decision.written,
        "read": reading.postcode if reading else None,
        "confidence": round(reading.confidence, 4) if reading else None,
        "outcome": outcome,
        "reason": str(decision.reason) if decision.reason else None,
        "town": decision.route.town if decision.route else None,
        "envelope": redrawn.envelope(_ENVELOPE_WIDTH_PX),
        "crops": redrawn.crop_pictures(),
    }

"""Report the state of a letter centre to the service, for its page."""

from __future__ import annotations

import base64
import threading
import time
from collections import Counter, deque
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from hxserve.errors import ClientError
from hxserve_letters.camera_pool import LetterSource
from hxserve_letters.decisions import Decision
from hxserve_letters.digits import load_digits
from hxserve_letters.postcodes import DIGITS

if TYPE_CHECKING:
    from hxserve.client import Client
    from hxserve_letters.envelopes import Writer
    from hxserve_letters.handwriting import Plane

_EVERY_S: Final = 1.0
_SHOWN: Final = 8
_DRAWN_AT_A_TIME: Final = 2
_ENVELOPE_PX: Final = (352, 176)
_JPEG_QUALITY: Final = 70


class StatusReporter:
    """Counts decisions and reports them to the service every second; a failed report is skipped."""

    def __init__(self, client: Client, source: LetterSource) -> None:
        self._client = client
        self._post = source
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._counts: Counter[str] = Counter()
        self._rejects: Counter[str] = Counter()
        self._newest: deque[Decision] = deque(maxlen=_DRAWN_AT_A_TIME)
        self._cards: deque[dict[str, Any]] = deque(maxlen=_SHOWN)
        self._title, self._letters, self._machines = "", 0, 1
        self._started = time.monotonic()
        self._writer: Writer | None = None
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
            newest, writer = list(self._newest), self._writer
            self._newest.clear()
        if newest and writer is None:
            writer = self._writer = self._new_writer()
        for decision in newest:
            assert writer is not None
            self._cards.append(_card(writer, decision))
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

    def _new_writer(self) -> Writer:
        from hxserve_letters.envelopes import Writer  # noqa: PLC0415 imports OpenCV

        kept, reported = load_digits(self._post.mnist).halves()
        return Writer(kept if self._post.for_threshold else reported, self._post.directory, self._post.seed)

    def _report(self) -> None:
        is_last = False
        while not is_last:
            is_last = self._stopping.wait(_EVERY_S)
            if self._letters:
                try:
                    self._client.tell_letters(self.status())
                except ClientError:
                    continue  # the letters matter more than the picture of them


def _card(writer: Writer, decision: Decision) -> dict[str, Any]:
    """Describe one letter as the page shows it: its envelope and crops drawn again, and its outcome."""
    import cv2  # noqa: PLC0415 an extra

    from hxserve_letters.finding import find_postcode  # noqa: PLC0415 imports OpenCV
    from hxserve_pictures.segmentation import cut  # noqa: PLC0415 the same

    picture = writer.draw(decision.number).picture
    field = find_postcode(picture)
    cuts = None if field is None else cut(field, DIGITS)
    reading = decision.reading
    spans = reading.spans if reading is not None else ()
    outcome = "rejected" if decision.route is None else "wrong" if decision.is_wrong else "routed"
    return {
        "number": decision.number,
        "written": decision.written,
        "read": reading.postcode if reading else None,
        "confidence": round(reading.confidence, 4) if reading else None,
        "outcome": outcome,
        "reason": str(decision.reason) if decision.reason else None,
        "town": decision.route.town if decision.route else None,
        "envelope": _encoded(cv2.resize(picture, _ENVELOPE_PX, interpolation=cv2.INTER_AREA), ".jpg"),
        "crops": [_encoded(cuts.crops[span], ".png") for span in spans] if cuts is not None else [],
    }


def _encoded(picture: Plane, kind: str) -> str:
    import cv2  # noqa: PLC0415 an extra

    _, content = cv2.imencode(
        kind, picture, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY] if kind == ".jpg" else []
    )
    return base64.b64encode(content.tobytes()).decode()

"""Cameras: processes that draw letters ahead and, when one passes, find its postcode and cut it up."""

from __future__ import annotations

import multiprocessing
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self

from hxserve.errors import ClientError
from hxserve_letters.digits import Purpose, digits_for
from hxserve_letters.directory import Directory
from hxserve_letters.postcodes import DIGITS

if TYPE_CHECKING:
    from hxserve_letters.envelopes import Letter, Writer
    from hxserve_pictures.segmentation import Cuts


class CameraFailedError(ClientError):
    """A camera process ended early; the machine may be out of memory."""

    code = "camera_failed"


@dataclass(frozen=True, slots=True)
class LetterSource:
    """The origin of the letters.

    Attributes:
        seed: of the drawing.
        directory: the postcodes they bear.
        mnist: folder that holds MNIST; None for the digits inside scikit-learn.
        purpose: of the letters, which decides the digits that they are written with.
    """

    seed: int
    directory: Directory
    mnist: Path | None = None
    purpose: Purpose = "report"

    def writer(self) -> Writer:
        """Return what draws these letters.

        Raises:
            DigitsMissingError: the digits are not here.
        """
        from hxserve_letters.envelopes import Writer  # noqa: PLC0415 imports OpenCV

        return Writer(digits_for(self.purpose, self.mnist), self.directory, self.seed)


@dataclass(frozen=True, slots=True)
class Scan:
    """A camera's result: the postcode that was written, and the cuts, if a postcode was found."""

    number: int
    written: str
    cuts: Cuts | None


class CameraPool:
    """A few camera processes; letter k belongs to process k modulo their number.

    `on_drawn` and `on_scan` are called in threads of the pool, `on_failure` when a process ended early.
    """

    def __init__(
        self,
        source: LetterSource,
        processes: int,
        *,
        on_drawn: Callable[[int], None],
        on_scan: Callable[[Scan], None],
        on_failure: Callable[[ClientError], None],
    ) -> None:
        # Not forked: this process has threads.
        context = multiprocessing.get_context("spawn")
        self._on_drawn, self._on_scan, self._on_failure = on_drawn, on_scan, on_failure
        self._ends: list[Connection] = []
        self._processes = []
        self._threads = []
        for _ in range(processes):
            ours, theirs = context.Pipe()
            process = context.Process(target=_run_camera, args=(theirs, source), daemon=True)
            process.start()
            theirs.close()
            self._ends.append(ours)
            self._processes.append(process)
            self._threads.append(threading.Thread(target=self._listen, args=(ours,), daemon=True))

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for end, process in zip(self._ends, self._processes, strict=True):
            try:
                end.send(("stop", 0))
            except OSError:
                continue
            finally:
                process.join(5.0)
                if process.is_alive():
                    process.terminate()
                    process.join()
        for thread in self._threads:
            thread.join()
        for end in self._ends:
            end.close()

    def draw(self, number: int) -> None:
        """Have a letter drawn, so that it can pass."""
        self._send("draw", number)

    def scan(self, number: int) -> None:
        """Have a letter scanned, and drawn first where it is not drawn yet."""
        self._send("scan", number)

    def _send(self, what: Literal["draw", "scan"], number: int) -> None:
        try:
            self._ends[number % len(self._ends)].send((what, number))
        except OSError:
            raise CameraFailedError from None

    def _listen(self, end: Connection) -> None:
        while True:
            try:
                said = end.recv()
            except (EOFError, OSError):
                self._on_failure(CameraFailedError())
                return
            match said:
                case int():
                    self._on_drawn(said)
                case Scan():
                    self._on_scan(said)
                case ClientError():
                    self._on_failure(said)
                    return
                case _:
                    return


def _run_camera(end: Connection, source: LetterSource) -> None:
    """Serve as a camera process until told to stop."""
    import cv2  # noqa: PLC0415 an extra, needed in the processes only

    # One thread per camera: the processes spread over the cores.
    cv2.setNumThreads(1)
    try:
        writer = source.writer()
        drawn: dict[int, Letter] = {}
        to_draw: deque[int] = deque()
        while True:
            # Letters that pass come before letters that will.
            while end.poll(0.0 if to_draw else None):
                what, number = end.recv()
                if what == "draw":
                    to_draw.append(number)
                elif what == "scan":
                    letter = drawn.pop(number) if number in drawn else writer.draw(number)
                    end.send(_scan(letter))
                else:
                    end.send(None)
                    return
            number = to_draw.popleft()
            drawn[number] = writer.draw(number)
            end.send(number)
    except ClientError as error:
        end.send(error)
    except (EOFError, KeyboardInterrupt, BrokenPipeError):
        return


def _scan(letter: Letter) -> Scan:
    from hxserve_letters.finding import find_postcode  # noqa: PLC0415 imports OpenCV
    from hxserve_pictures.segmentation import cut  # noqa: PLC0415 the same

    field = find_postcode(letter.picture)
    return Scan(letter.number, letter.postcode, None if field is None else cut(field, DIGITS))

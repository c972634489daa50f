"""The letter centre: cameras, belts, sorter and service put together for one run."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from hxserve.client import Client
from hxserve.errors import ClientError
from hxserve_letters.belts import Belts, Pace
from hxserve_letters.camera_pool import CameraPool, LetterSource, Scan
from hxserve_letters.decisions import Decision, choose_threshold
from hxserve_letters.directory import Directory
from hxserve_letters.letter_state import LetterState
from hxserve_letters.run import Run, origin_of
from hxserve_letters.sending import Sender
from hxserve_letters.sorter import Sorter, working

_DRAWN_AHEAD: Final = 200
_PREPARATION: Final = Pace(1, None, None, 400)


@dataclass(frozen=True, slots=True)
class Effort:
    """Resources of the centre: camera processes, concurrent requests, and crops per request."""

    cameras: int = 2
    connections: int = 4
    crops_per_request: int = 256


class Centre:
    """Sorts letters with one model of a service; `client` must not repeat requests itself."""

    def __init__(self, client: Client, model: str, version: str, effort: Effort) -> None:
        self._client = client
        self._model = model
        self._version = version
        self._effort = effort

    def find_threshold(
        self,
        source: LetterSource,
        letters: int,
        most_error: float,
        on_decision: Callable[[Decision], object] | None = None,
    ) -> float:
        """Choose a threshold for this model, on letters of another seed and of other digit images.

        Raises:
            TooFewLettersError: fewer than a hundred letters.
            ClientError: the service or a camera failed.
        """
        other = replace(source, seed=source.seed + 1, purpose="threshold")
        run = self.sort(other, letters, _PREPARATION, threshold=0.0, on_decision=on_decision)
        read = [decision for decision in run.decisions if decision.reading is not None]
        return choose_threshold(
            [decision.reading.confidence for decision in read if decision.reading],
            [not decision.is_wrong for decision in read],
            most_error,
        )

    def sort_flat_out(
        self,
        scans: Sequence[Scan],
        directory: Directory,
        *,
        threshold: float,
        on_decision: Callable[[Decision], object] | None = None,
    ) -> Run:
        """Send the crops of prepared letters as fast as the service takes them.

        Only the sending is timed: this measures the service, not the cameras.

        Raises:
            ClientError: the service failed.
        """
        letters = [LetterState(scan) for scan in scans]
        sender = Sender(self._client, self._model, self._version)
        elapsed_s = self._send_all(sender, letters, directory)
        elapsed_s += self._send_all(
            sender, [letter for letter in letters if letter.wants_second_look], directory
        )
        decisions = [letter.decide(threshold) for letter in letters]
        for decision in decisions if on_decision else ():
            assert on_decision
            on_decision(decision)
        return Run(
            decisions,
            threshold,
            elapsed_s,
            sender.crops,
            sender.refused,
            sender.paused_s,
            origin=origin_of(sender),
        )

    def _send_all(self, sender: Sender, letters: list[LetterState], directory: Directory) -> float:
        """Read letters in full requests on all connections; return the seconds spent on sending."""
        if not letters:
            return 0.0
        crops = [letter.crops() for letter in letters]
        everything = np.concatenate(crops)
        step = self._effort.crops_per_request
        requests = [everything[start : start + step] for start in range(0, len(everything), step)]
        with ThreadPoolExecutor(self._effort.connections) as pool:
            started = time.monotonic()
            answers = list(pool.map(sender.read, requests))
            elapsed_s = time.monotonic() - started
        scores = np.concatenate([part for part, _ in answers])
        ends = np.cumsum([len(part) for part in crops])
        for letter, part in zip(letters, np.split(scores, ends[:-1]), strict=True):
            letter.understand(part, sender.scale, directory)
        return elapsed_s

    def prepare(self, source: LetterSource, letters: int) -> list[Scan]:
        """Scan all letters; return the scans in order.

        Raises:
            ClientError: a camera failed.
        """
        scans: list[Scan] = []
        failures: list[ClientError] = []
        finished = threading.Event()
        room = threading.Semaphore(_DRAWN_AHEAD)

        def scanned(scan: Scan) -> None:
            scans.append(scan)
            room.release()
            if len(scans) == letters:
                finished.set()

        def failed(error: ClientError) -> None:
            failures.append(error)
            room.release()
            finished.set()

        with CameraPool(
            source, self._effort.cameras, on_drawn=lambda _: None, on_scan=scanned, on_failure=failed
        ) as cameras:
            for number in range(letters):
                room.acquire()
                if failures:
                    break
                cameras.scan(number)
            finished.wait()
        if failures:
            raise failures[0]
        return sorted(scans, key=lambda scan: scan.number)

    def sort(
        self,
        source: LetterSource,
        letters: int,
        pace: Pace,
        *,
        threshold: float,
        on_decision: Callable[[Decision], object] | None = None,
    ) -> Run:
        """Draw letters and sort them at the belts' pace.

        Raises:
            ClientError: the service or a camera failed.
        """
        sender = Sender(self._client, self._model, self._version)
        belts = Belts(pace)
        decisions: list[Decision] = []
        failures: list[ClientError] = []
        lock = threading.Lock()
        finished = threading.Event()
        passed: dict[int, float] = {}

        def decided(decision: Decision) -> None:
            with lock:
                decisions.append(decision)
                is_last = len(decisions) == letters
            belts.left()
            if on_decision:
                on_decision(decision)
            if is_last:
                finished.set()

        def failed(error: ClientError) -> None:
            failures.append(error)
            belts.stop()
            finished.set()

        sorter = Sorter(
            sender,
            source.directory,
            threshold=threshold,
            deadline_s=pace.deadline_s,
            crops_per_request=self._effort.crops_per_request,
            on_decision=decided,
        )

        def scanned(scan: Scan) -> None:
            sorter.put(scan, scan.number % pace.machines, passed.pop(scan.number))

        with (
            CameraPool(
                source, self._effort.cameras, on_drawn=belts.drawn, on_scan=scanned, on_failure=failed
            ) as cameras,
            working(sorter, self._effort.connections, failed),
        ):
            for number in range(min(_DRAWN_AHEAD, letters)):
                cameras.draw(number)

            def pass_camera(number: int, moment: float) -> None:
                passed[number] = moment
                cameras.scan(number)
                if number + _DRAWN_AHEAD < letters:
                    cameras.draw(number + _DRAWN_AHEAD)

            belts.await_drawn(min(_DRAWN_AHEAD, letters))
            started = time.monotonic()
            belts.run(letters, pass_camera)
            finished.wait()
            elapsed_s = time.monotonic() - started
        if failures:
            raise failures[0]
        return Run(
            sorted(decisions, key=lambda decision: decision.number),
            threshold,
            elapsed_s,
            sender.crops,
            sender.refused,
            sender.paused_s,
            belts.stalled_s,
            belts.starved_s,
            origin_of(sender),
        )

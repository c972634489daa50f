"""Rejected letters on their way over the coding desk: sent to the service, keyed by people or a simulated coder."""

from __future__ import annotations

import secrets
import threading
import time
from collections import deque
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

import numpy as np

from hxserve.client import Client
from hxserve.errors import ClientError, ConnectionFailedError, ServiceError
from hxserve_letters.camera_pool import LetterSource
from hxserve_letters.decisions import Decision
from hxserve_letters.postcodes import DIGITS
from hxserve_letters.redrawing import Redrawer

ENVELOPE_WIDTH_PX: Final = 704
_LOOK_EVERY_S: Final = 0.25
_FULL_PAUSE_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Coded:
    """The result of the desk, in letters.

    Attributes:
        sent: put on the desk.
        keyed: with a postcode.
        unreadable: that the coder could not read either.
        wrong: keyed with another region than was written; they are routed wrongly.
        left: without an answer when the centre stopped waiting.
        per_hour: keyed and unreadable ones in an hour, from the first one sent to the last answer.
    """

    sent: int
    keyed: int
    unreadable: int
    wrong: int
    left: int
    per_hour: float


class CodingDesk:
    """Sends the rejected letters of a run to the service's coding desk and collects what is keyed.

    `update` takes every decision and returns at once. `finish` waits for the coders; the desk is the service's, so that
    they can go on when this process has ended.
    """

    def __init__(self, client: Client, source: LetterSource) -> None:
        self._client = client
        self._redrawer = Redrawer(source)
        self._run = secrets.token_hex(4)
        self._lock = threading.Lock()
        self._rejected: deque[Decision] = deque()
        self._written: dict[str, str] = {}
        """By id, for the letters sent."""
        self._postcodes: dict[str, str | None] = {}
        self._received: list[str] = []
        self._began: float | None = None
        self._answered_at = time.monotonic()
        self._stopping = threading.Event()
        self._failure: ClientError | None = None
        self._thread = threading.Thread(target=self._work, name="coding-desk", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._thread.join()

    def update(self, decision: Decision) -> None:
        """Take a letter that was decided on; a routed one needs no coder."""
        if decision.route is None:
            self._rejected.append(decision)

    def written(self, letter_id: str) -> str | None:
        """Return the postcode on the envelope of a letter of this run, as a coder sees it."""
        return self._written.get(letter_id)

    def finish(self, patience_s: float) -> Coded:
        """Wait until all letters are keyed, or until nothing was keyed for the patience; return the result.

        Raises:
            ClientError: the service refused for good.
        """
        self._answered_at = time.monotonic()
        while self._thread.is_alive() and (self._rejected or len(self._postcodes) < len(self._written)):
            if time.monotonic() - self._answered_at > patience_s:
                break
            time.sleep(_LOOK_EVERY_S)
        if self._failure is not None:
            raise self._failure
        return self._result()

    def _result(self) -> Coded:
        keyed = {number: code for number, code in self._postcodes.items() if code is not None}
        elapsed_s = self._answered_at - self._began if self._began is not None else 0.0
        return Coded(
            sent=len(self._written),
            keyed=len(keyed),
            unreadable=len(self._postcodes) - len(keyed),
            wrong=sum(code[:2] != self._written[number][:2] for number, code in keyed.items()),
            left=len(self._rejected) + len(self._written) - len(self._postcodes),
            per_hour=round(3600 * len(self._postcodes) / elapsed_s, 1) if elapsed_s > 0 else 0.0,
        )

    def _work(self) -> None:
        try:
            while not self._stopping.is_set():
                self._collect()
                if not (self._rejected and self._send(self._rejected[0])):
                    self._stopping.wait(_LOOK_EVERY_S)
        except ClientError as error:
            self._failure = error

    def _send(self, decision: Decision) -> bool:
        """Put a letter on the desk; return False if it has no room now, or the service is away."""
        letter_id = f"{self._run}-{decision.number}"
        self._began = self._began or time.monotonic()
        redrawn, reading = self._redrawer.redraw(decision), decision.reading
        letter = {
            "number": decision.number,
            "envelope": redrawn.envelope(ENVELOPE_WIDTH_PX),
            "crops": redrawn.crop_bytes(),
            "read": reading.digits if reading else "",
            "reason": str(decision.reason),
        }
        self._written[letter_id] = decision.written  # before a coder can have it
        try:
            self._client.desk.put(letter_id, letter)
        except (ServiceError, ConnectionFailedError) as error:
            del self._written[letter_id]
            if not error.retryable:
                raise
            self._stopping.wait(_FULL_PAUSE_S)
            return False
        self._rejected.popleft()
        return True

    def _collect(self) -> None:
        try:
            letters = self._client.desk.collect(self._received)
        except (ServiceError, ConnectionFailedError) as error:
            if not error.retryable:
                raise
            return
        self._received = [letter["id"] for letter in letters]
        for letter in letters:
            if letter["id"] in self._written:
                self._postcodes[letter["id"]] = letter["postcode"]
                self._answered_at = time.monotonic()


class SimulatedCoder:
    """Keys letters of a desk as a person would, with errors: one digit in a wrong postcode is another one."""

    def __init__(
        self, client: Client, desk: CodingDesk, *, error_rate: float, per_hour: float | None, seed: int
    ) -> None:
        self._client = client
        self._desk = desk
        self._error_rate = error_rate
        self._pause_s = 3600 / per_hour if per_hour else 0.0
        self._seed = seed
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="coder", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._stopping.is_set():
            try:
                has_keyed = self._key_next()
            except (ServiceError, ConnectionFailedError):
                has_keyed = False  # the desk reports what is wrong for good
            self._stopping.wait(self._pause_s if has_keyed else _LOOK_EVERY_S)

    def _key_next(self) -> bool:
        """Claim a letter and key it; return False if there is none of this run, whose envelopes alone it knows."""
        letter = self._client.desk.claim()
        written = self._desk.written(letter["id"]) if letter else None
        if letter is None or written is None:
            return False
        self._client.desk.key(letter["id"], keyed(written, self._error_rate, (self._seed, letter["number"])))
        return True


def keyed(written: str, error_rate: float, seed: tuple[int, int]) -> str:
    """Return a postcode as a coder keys it who errs in this share of the letters, 0..1; the same for the same seed."""
    random = np.random.default_rng(seed)
    if random.random() >= error_rate:
        return written
    place, shift = int(random.integers(DIGITS)), int(random.integers(1, 10))
    return f"{written[:place]}{(int(written[place]) + shift) % 10}{written[place + 1 :]}"

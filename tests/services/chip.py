"""A chip for tests: a thread that answers crops with known scores and operations with zeros, without torch."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from services.chips.store import ChipStore, Lease
from services.crops.store import CropStore
from services.errors import HxserveError
from services.programs.operations import Readouts
from services.programs.store import ProgramStore
from services.store.connection import Connection
from tests.services.samples import CHIP, PLENTY, a_holder, finish


class Chip:
    """Answers what waits, by hand (`work_once`) or from `start` to `stop`."""

    def __init__(self, connection: Connection) -> None:
        self._chips = ChipStore(connection, lease_s=60)
        self._crops = CropStore(connection, max_waiting=PLENTY, keep_results_s=3600)
        self._programs = ProgramStore(connection, keep_jobs_s=3600)
        self._stopping = threading.Event()
        self._working = threading.Lock()
        self._thread = threading.Thread(target=self._serve, name="chip")
        self.lease: Lease = self._chips.take(CHIP, a_holder())
        self._renew()

    def work_once(self) -> int:
        """Answers what waits now; says how many parts that were."""
        waiting = self._crops.claim(self.lease).waiting
        entries = self._crops.claim(
            self.lease, {lane: crops for lane, (crops, _, _) in waiting.items()}
        ).claimed
        if entries:
            finish(self._crops, self.lease, entries)
        for operation_id, (session, user, _) in self._programs.waiting(CHIP).items():
            claimed = self._programs.claim(self.lease, operation_id)
            if claimed:
                zeros = bytes(claimed.operation.batch * claimed.operation.columns)
                answer = Readouts(zeros, claimed.operation.columns, CHIP, "mock")
                self._programs.finish(self.lease, operation_id, user, session, answer, 0.0)
        return len(entries)

    def start(self) -> None:
        """Goes on answering until it is stopped."""
        self._thread.start()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Answers nothing meanwhile."""
        with self._working:
            yield

    def stop(self) -> None:
        """Answers nothing any more."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _renew(self) -> None:
        self._chips.renew(self.lease, {"ready": True, "backend": "mock", "identifier": "mock"})

    def _serve(self) -> None:
        while not self._stopping.is_set():
            try:
                with self._working:
                    self._renew()
                    self.work_once()
                self._chips.wait_for_bell(CHIP, 0.05)
            except HxserveError:
                self._stopping.wait(0.05)


@contextmanager
def open_chip(connection: Connection) -> Iterator[Chip]:
    """A chip that holds its lease and answers when it is told to."""
    chip = Chip(connection)
    try:
        yield chip
    finally:
        chip.stop()

"""`python -m tests.system.chaos.faulty_worker FOLDER [--standby]`: a worker whose chip fails as files in FOLDER say.

It is the worker as it is, with three differences made here, outside of it:

* Its chip is the mock without noise when it serves, so that the right answer to a crop is one and the same whenever
  and with whatever others it is read. Trainings keep their noise.
* The chip fails when it is told to, under the session that real chips have: `ask` says how.
* A training of a model whose name begins with `poison` kills the process at its first mini-batch.

As root it gives up the privilege to write where it must not, so that permissions hold it as they hold others.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final, Literal

import hxtorch_emulator as emulator
import worker.__main__ as worker_main
from services.errors import ChipError
from services.settings import Backend
from worker.activities import factory
from worker.activities.training import TrainingActivity
from worker.chip.breaker import Breaker
from worker.chip.hxtorch_session import HxtorchSession
from worker.chip.opening import open_chip
from worker.chip.session import ChipSession, Loaded

Fault = Literal["time-out", "lost", "refusal", "wrong-shape"]

_OVERRIDE_PERMISSIONS: Final = 0b110
"""CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH. Source: capabilities(7)."""
_CAPABILITY_VERSION_3: Final = 0x20080522


def ask(folder: Path, fault: Fault, times: int = 1) -> None:
    """Lets a fault happen so often.

    `time-out` and `lost` strike at a piece of work, `refusal` when a lost chip is opened again, `wrong-shape` in a
    product's result.
    """
    unfinished = folder / f".{fault}"
    unfinished.write_text(str(times))
    unfinished.replace(folder / fault)


def is_open(folder: Path, fault: Fault) -> bool:
    """Whether a fault that was asked for is still to come."""
    return (folder / fault).exists()


@dataclass(frozen=True, slots=True)
class Faults:
    """What shall go wrong, as files of numbers."""

    folder: Path

    def strikes(self, fault: Fault) -> bool:
        """Whether the fault happens now; it then happens once less."""
        path = self.folder / fault
        try:
            left = int(path.read_text())
        except FileNotFoundError:
            return False
        if left > 1:
            ask(self.folder, fault, left - 1)
        else:
            path.unlink()
        return True


class FaultyPerceptron:
    """The emulator's arithmetic, which is silent while the chip is lost."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self.is_lost = False

    def __getattr__(self, name: str) -> Any:
        return getattr(emulator.perceptron, name)

    def matmul(self, values: Any, other: Any, /, *, mock: bool = False, **options: Any) -> Any:
        """A product; one row short when that is asked for."""
        del mock
        if self.is_lost:
            raise RuntimeError("ARQ stream: no response from the FPGA")
        readouts = emulator.perceptron.matmul(values, other, mock=True, **options)
        return readouts[:-1] if self._faults.strikes("wrong-shape") else readouts


class FaultyConnection:
    """The way to the chip, which may be refused."""

    def __init__(self, faults: Faults, loaded: Loaded) -> None:
        self.faults = faults
        self.perceptron: Any = FaultyPerceptron(faults)
        self._loaded = loaded

    def open(self) -> Loaded:
        """Opens the chip again."""
        if self.faults.strikes("refusal"):
            raise ChipError("quiggeldy: connection timed out")
        self.perceptron.is_lost = False
        return self._loaded

    def close(self) -> None:
        """Gives the chip back."""


class FaultySession(HxtorchSession):
    """The session that real chips have, over the mock's arithmetic."""

    backend: ClassVar[Backend] = "mock"  # type: ignore[assignment] # the machinery of one, the chip of the other
    execution = "mock"
    can_drift = False

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Work on the chip, at which it may fail."""
        connection: Any = self._connection
        with super().guarded():
            if connection.faults.strikes("time-out"):
                raise TimeoutError("no answer from the chip within 10 s")
            if connection.faults.strikes("lost"):
                connection.perceptron.is_lost = True
            if connection.perceptron.is_lost:
                raise RuntimeError("ARQ stream: no response from the FPGA")
            yield


def _faulty_chip(faults: Faults) -> Any:
    @contextmanager
    def opened(*arguments: Any, **options: Any) -> Iterator[ChipSession]:
        with open_chip(*arguments, **options) as session:
            gain = session.mock_parameter.gain
            emulator.perceptron.set_mock_parameter(
                emulator.perceptron.MockParameter(noise_std=0.0, gain=gain)
            )
            connection: Any = FaultyConnection(faults, session._loaded)
            yield FaultySession(
                session.chip, connection, session._loaded, canary_limit=1.3, breaker=Breaker()
            )

    return opened


class PoisonableTraining(TrainingActivity):
    """A training that may be the end of its worker."""

    def step(self) -> None:
        """Runs one mini-batch, unless it is poison."""
        if self._job.model.startswith("poison"):
            os.kill(os.getpid(), signal.SIGKILL)
        super().step()


def _obey_permissions() -> None:
    """Gives up root's privilege to write and read everything."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)()
    if libc.capget(header, sets) == 0:
        sets[0] &= ~_OVERRIDE_PERMISSIONS
        libc.capset(header, sets)


def main() -> int:
    """Runs the worker."""
    _obey_permissions()
    faults = Faults(Path(sys.argv[1]))
    worker_main.__dict__.update(open_chip=_faulty_chip(faults))
    factory.__dict__.update(TrainingActivity=PoisonableTraining)
    return worker_main.main(sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())

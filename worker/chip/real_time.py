"""The time that a real chip takes, and a virtual chip that takes it too."""

import time
from collections.abc import Callable
from typing import Final

import torch

from hxtorch_emulator.chip import Calibration, ChipParameters, VirtualChip
from hxtorch_emulator.chip.fixed_pattern import NEURONS, ROWS
from hxtorch_emulator.chip.placement import HEMISPHERE, count_executions

CYCLE_S: Final = 8e-9
"""One cycle of the FPGA, which sends at most one event in it. Source: BrainScaleS-2, 125 MHz."""

SETTLING_S: Final = 0.020
"""Rest after loading a calibration. Source: hxtorch waits as long after its initial configuration."""

EXECUTION_S: Final = 0.002
"""Fixed part of one execution: the host makes the program, and 128 kB of weights cross a gigabit link in 1 ms.

Assumption; the bare round trip between host and FPGA, below 60 us at best, is contained in it.
"""

VECTOR_S: Final = ROWS * NEURONS / 330e6
"""Fixed part of one vector in one execution, 0.2 ms: sending, readout, reading back.

Source: hxtorch's mac reaches at most 330 M multiply-accumulates per second at large batch, which is a whole chip
of 128 x 512 synapses in each execution.
"""


def chip_time_s(
    rows: int, columns: int, *, batch: int, events: int, num_sends: int, wait_between_events: int
) -> float:
    """Return how long a real chip takes for one matrix and a batch, in seconds.

    The network 784-256-256-10 comes to 13 ms for one image and, at large batch, to about 780 images/s; published
    are 380 to 1,230. Digital operations of the on-chip processor are not counted.

    The matrix is `(rows, columns)`, `batch` the number of vectors, `events` the number of inputs that are not 0: an
    input of 0 sends no event. `wait_between_events` is in FPGA cycles.
    """
    executions = count_executions(rows, columns)
    sent = events * -(-columns // HEMISPHERE) * num_sends
    return executions * (EXECUTION_S + batch * VECTOR_S) + sent * wait_between_events * CYCLE_S


class PacedVirtualChip(VirtualChip):
    """A virtual chip that takes the time of a real one: it sleeps for the time that its own arithmetic leaves."""

    def __init__(
        self,
        chip_id: str,
        parameters: ChipParameters | None = None,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(chip_id, parameters, clock=clock)
        self._monotonic = monotonic
        self._sleep = sleep

    def apply(self, calibration: Calibration | None) -> None:
        """Set the trims, and let them settle."""
        super().apply(calibration)
        self._sleep(SETTLING_S)

    def multiply(
        self, inputs: torch.Tensor, weights: torch.Tensor, *, num_sends: int, wait_between_events: int
    ) -> torch.Tensor:
        """Return the readouts of the virtual chip, not before a real one would have them."""
        started = self._monotonic()
        readouts = super().multiply(
            inputs, weights, num_sends=num_sends, wait_between_events=wait_between_events
        )
        rows, columns = weights.shape
        takes_s = chip_time_s(
            rows,
            columns,
            batch=inputs.shape[0],
            events=int(inputs.count_nonzero()),
            num_sends=num_sends,
            wait_between_events=wait_between_events,
        )
        left_s = takes_s - (self._monotonic() - started)
        if left_s > 0:
            self._sleep(left_s)
        return readouts

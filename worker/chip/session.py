"""An open chip: its arithmetic, and the provenance of its results."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from services.errors import ChipError
from services.settings import Backend
from worker.chip.calibrations import CalibrationRecord, Pattern
from worker.chip.canary import CanaryReference, measure_deviations, score_of
from worker.chip.self_test import check_chip
from worker.learning.arithmetic import Execution, MockParameter, Perceptron


@dataclass(frozen=True, slots=True)
class Loaded:
    """The facts of a chip since its calibration was loaded.

    `identifier` is the hardware's own name; `self_test` is the measured result; `pattern` is known of
    calibrations made here.
    """

    identifier: str
    mock_parameter: MockParameter
    self_test: Mapping[str, float]
    reference: CanaryReference
    calibration: CalibrationRecord | None
    pattern: Pattern | None = None


@dataclass(frozen=True, slots=True)
class CalibrationOutcome:
    """A calibration that was made and is loaded.

    `gain` is in LSB per unit of input times weight, everything `_lsb` in LSB. The spreads of the fixed pattern
    are those between the 10th and the 90th percentile of the neurons, as the chip was and as it is now; `was_flat`
    is true if they hardly differ.
    `canary_lsb` is the score that later ones are judged against.
    """

    path: str
    sha256: str
    gain: float
    noise_std_lsb: float
    spread_before_lsb: float
    spread_after_lsb: float
    was_flat: bool
    canary_lsb: float


class ChipSession(ABC):
    """The time a worker holds a chip open.

    `chip` is its name in the service, `backend` the arithmetic, and `execution` the way networks are computed
    when they serve. `canary_limit` is how many times its reference the canary's score may be. Other threads may
    ask at any time; only the worker's own may calibrate or measure.
    """

    backend: ClassVar[Backend]
    execution: ClassVar[Execution] = "chip"
    can_drift: ClassVar[bool] = True
    """Whether its readouts move with time and temperature, so that the canary is measured."""
    can_calibrate: ClassVar[bool] = False
    """Whether `calibrate` may succeed."""

    def __init__(self, chip: str, perceptron: Perceptron, loaded: Loaded, *, canary_limit: float) -> None:
        self.chip = chip
        self._canary_limit = canary_limit
        self.perceptron = perceptron
        self._loaded = loaded

    @property
    def identifier(self) -> str:
        """The hardware's own name."""
        return self._loaded.identifier

    @property
    def mock_parameter(self) -> MockParameter:
        """Gain and noise as they were measured when the calibration was loaded."""
        return self._loaded.mock_parameter

    @property
    def self_test(self) -> Mapping[str, float]:
        """The self-test when the calibration was loaded, in LSB."""
        return self._loaded.self_test

    @property
    def calibration(self) -> dict[str, Any] | None:
        """The calibration that is loaded: its path, link, sha256, time and age; None where there is none."""
        record = self._loaded.calibration
        return record.describe() if record else None

    @property
    def pattern(self) -> Pattern | None:
        """The fixed pattern without and with the calibration; None if it was not measured."""
        return self._loaded.pattern

    @property
    def temperature_c(self) -> float | None:
        """The chip's temperature, in degrees C; None if unknown."""
        return None

    @property
    def canary_reference_lsb(self) -> float:
        """The canary's score right after the calibration, or else at the start of the session."""
        return self._loaded.reference.score_lsb

    @property
    def canary_limit_lsb(self) -> float:
        """The highest score of the canary that is still good; see `has_drifted`."""
        return self._canary_limit * self.canary_reference_lsb

    @property
    def is_connected(self) -> bool:
        """Whether the chip accepts work."""
        return True

    def describe(self) -> dict[str, Any]:
        """Return the facts for the chip's record and the provenance of results."""
        return {
            "backend": self.backend,
            "identifier": self.identifier,
            "calibration": self.calibration,
            "gain": self.mock_parameter.gain,
            "noise_std": self.mock_parameter.noise_std,
            "self_test": dict(self.self_test),
            "canary_reference_lsb": self.canary_reference_lsb,
            "canary_limit_lsb": self.canary_limit_lsb,
            "connected": self.is_connected,
        }

    def multiply(
        self, inputs: Tensor, weights: Tensor, *, num_sends: int, wait_between_events: int
    ) -> Tensor:
        """Multiply and accumulate numbers that are known to be in range; return the readouts.

        Args:
            inputs: (batch, rows) float32, integers 0..31.
            weights: (rows, columns) float32, integers -63..63.
            num_sends: how often each input is sent.
            wait_between_events: FPGA cycles of 8 ns between two events.

        Returns:
            (batch, columns) float32, integers -128..127.
        """
        return self.perceptron.matmul(
            inputs,
            weights,
            num_sends=num_sends,
            wait_between_events=wait_between_events,
            mock=self.execution == "mock",
        )

    def guarded(self) -> AbstractContextManager[None]:
        """Return a context for work on the chip: failures of the chip leave it as `ChipError`, all others unchanged.

        Raises:
            ChipError: the chip failed; running the same work again may succeed.
            ChipLostError: the connection was lost; it is open again, or will be tried again later.
        """
        return nullcontext()

    def canary(self) -> float:
        """Return the canary's score now, in LSB: see `worker.chip.canary`.

        Raises:
            ChipError: the chip failed.
        """
        with self.guarded():
            return score_of(
                measure_deviations(
                    self.perceptron, self._loaded.reference.gain, mock=self.execution == "mock"
                )
            )

    @abstractmethod
    def calibrate(self) -> CalibrationOutcome:
        """Measure the chip, store the calibration in a file, load it, and measure the mock parameters again.

        Raises:
            ChipUnavailableError: this chip cannot be calibrated from here.
            ChipError: the chip fails its self-test with the new calibration; the old one is loaded again.
            StorageError: the file cannot be written; the old calibration is loaded again.
        """


def measure_chip(
    perceptron: Any, identifier: str, calibration: CalibrationRecord | None, reference: CanaryReference | None
) -> Loaded:
    """Test an open chip, measure gain and noise, and put them in force.

    `reference` is the canary right after the calibration; it is measured now if None.

    Raises:
        ChipError: the chip does not pass.
    """
    self_test = check_chip(perceptron, mock=False)
    parameter = perceptron.measure_mock_parameter()
    try:
        perceptron.set_mock_parameter(parameter)
    except OverflowError as error:
        raise ChipError(f"the chip's gain and noise are impossible ({error}); calibrate the chip") from None
    if reference is None:
        score_lsb = score_of(measure_deviations(perceptron, parameter.gain, mock=False))
        reference = CanaryReference(gain=parameter.gain, score_lsb=score_lsb)
    return Loaded(identifier, parameter, self_test, reference, calibration)

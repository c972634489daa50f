"""A chip that is open: what computes, and everything its results must say of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from worker.learning.arithmetic import Execution, MockParameter, Perceptron

Backend = Literal["hxtorch", "emulator", "mock"]


@dataclass(frozen=True, slots=True)
class ChipSession:
    """The time a worker holds a chip open.

    `identifier` is the hardware's own name, `chip` its name in the service. `execution` is how networks are
    computed when they serve. `self_test` is what the test at the start measured.
    """

    chip: str
    backend: Backend
    identifier: str
    perceptron: Perceptron
    execution: Execution
    mock_parameter: MockParameter
    calibration: Mapping[str, Any] | None
    self_test: Mapping[str, float]

    def describe(self) -> dict[str, Any]:
        """What the chip's record and the provenance of its results say."""
        return {
            "backend": self.backend,
            "identifier": self.identifier,
            "calibration": dict(self.calibration) if self.calibration else None,
            "gain": self.mock_parameter.gain,
            "noise_std": self.mock_parameter.noise_std,
            "self_test": dict(self.self_test),
        }

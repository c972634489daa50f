"""Permanent deviations from place to place on one chip: drawn once, from the chip's id."""

import hashlib
import math
from dataclasses import dataclass

import torch

from hxtorch_emulator.chip.parameters import ChipParameters

ROWS = 128
"""Signed synapse rows of a chip."""

NEURONS = 512
"""Neurons of a chip, hence readouts of one execution: two hemispheres of 256 side by side."""

_DRIFT_COMPONENTS = 3
_FEW_SPREADS = 1.5
"""Where a spread of neurons ends that calibration cannot narrow: one bad neuron would decide everything."""


@dataclass(frozen=True, slots=True)
class FixedPattern:
    """The deviations of one chip.

    Attributes:
        gain: (512,), untrimmed, LSB per unit of input times weight.
        offset_lsb: (512,), untrimmed.
        synapse: (128, 512), factor on each weight, about 1.
        knee_high_lsb: (512,), where a neuron starts to saturate upwards, > 0.
        knee_low_lsb: (512,), likewise downwards, < 0.
        offset_lsb_per_k: (512,), change of the offset per kelvin.
        drift_phase: (3, 512), radians.
        sign: (512,), what positive weights do more, and negative ones less, relatively.
    """

    gain: torch.Tensor
    offset_lsb: torch.Tensor
    synapse: torch.Tensor
    knee_high_lsb: torch.Tensor
    knee_low_lsb: torch.Tensor
    offset_lsb_per_k: torch.Tensor
    drift_phase: torch.Tensor
    sign: torch.Tensor

    @classmethod
    def of(cls, chip_id: str, parameters: ChipParameters) -> "FixedPattern":
        """Draw the pattern of the chip with that id: always the same, for the same parameters."""
        seed = int.from_bytes(hashlib.sha256(chip_id.encode()).digest()[:8], "little", signed=True)
        generator = torch.Generator().manual_seed(seed)

        def normal(*shape: int) -> torch.Tensor:
            return torch.randn(*shape, generator=generator)

        def bounded() -> torch.Tensor:
            return normal(NEURONS).clamp_(-_FEW_SPREADS, _FEW_SPREADS)

        p = parameters
        return cls(
            gain=p.gain * torch.exp(p.gain_spread * normal(NEURONS)),
            offset_lsb=p.offset_spread_lsb * normal(NEURONS),
            synapse=(1 + p.synapse_spread * normal(ROWS, NEURONS)).clamp_(0, 2),
            knee_high_lsb=(p.knee_lsb + p.knee_spread_lsb * bounded()).clamp_(1),
            knee_low_lsb=-(p.knee_lsb + p.knee_spread_lsb * bounded()).clamp_(1),
            offset_lsb_per_k=p.offset_spread_lsb_per_k * normal(NEURONS),
            drift_phase=2 * math.pi * torch.rand(_DRIFT_COMPONENTS, NEURONS, generator=generator),
            sign=(p.sign_spread * bounded()).clamp_(-1, 1),
        )

    def drift_lsb(self, time_s: float, parameters: ChipParameters) -> torch.Tensor:
        """Return the drift of the offsets at a time, (512,): sines of periods that never meet again."""
        speeds = torch.tensor([1.0, 1 / math.sqrt(2), 1 / math.pi]).unsqueeze(1)
        angle = (2 * math.pi * time_s / parameters.drift_period_s) % (2 * math.pi * 10**6)
        waves = torch.sin(speeds * angle + self.drift_phase)
        return parameters.drift_lsb * math.sqrt(2 / _DRIFT_COMPONENTS) * waves.sum(0)

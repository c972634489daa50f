"""All parameters of a virtual chip."""

import math
from dataclasses import dataclass, fields
from typing import Final

_SIGNED: Final = frozenset({"gain_per_k", "noise_per_k", "reference_temperature_c"})
_POSITIVE: Final = frozenset({"gain", "knee_lsb", "driver_recovery_cycles", "drift_period_s"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ChipParameters:
    """The statistics from which a chip is drawn, and the laws it obeys.

    Spreads are standard deviations. "Assumption" marks numbers without a published source, chosen so
    that the whole behaves as chips are reported to behave: calibrated spread of less than 10 LSB between the
    10th and 90th percentile (acceptance limit of calix), several points of MNIST accuracy lost on transfer
    and regained by training in the loop (Weis et al., arXiv 2006.13177).

    Attributes:
        gain: mean gain of an untrimmed neuron, LSB per unit of input times weight. Source: Summ et al. report
            0.003 to 0.006 on real chips; calibration trims it down to hxtorch's default, 0.002.
        gain_spread: relative spread of the untrimmed gain from neuron to neuron. Assumption.
        offset_spread_lsb: spread of the untrimmed offset from neuron to neuron. Assumption.
        synapse_spread: relative spread of the weight from synapse to synapse; not trimmed. Assumption.
        sign_spread: spread, from neuron to neuron, of how much more a positive weight does, and how much less a
            negative one, relatively; at most one and a half times as much. Calibration looks at the difference of both
            and sees none of it. A network loses accuracy by it on transfer and learns in the loop to do without.
            Assumption, chosen with the knees for the loss of MNIST accuracy on transfer.
        noise_std_lsb: noise of one readout at the calibration temperature. Chosen so that hxtorch's measurement, of
            two readouts and some of the fixed pattern, finds hxtorch's default, 2.0; Summ et al. report 1.5 to 5.4.
        knee_lsb: magnitude up to which a neuron is linear. Source: hxtorch's documentation, about 80; the rest is
            assumption, as for ``sign_spread``.
        knee_spread_lsb: spread of that magnitude, separately for either sign; at most one and a half times as much, so
            that every neuron reaches 40. Assumption.
        knee_slope: what remains of the slope beyond. Assumption.
        gain_trim_step: relative change of the gain per step of its trim. Assumption.
        gain_trim_steps: steps of the gain trim to either side. Assumption.
        offset_trim_step_lsb: change of the offset per step of its trim. Assumption.
        offset_trim_steps: steps of the offset trim to either side. Assumption.
        driver_loss: relative loss of charge when all 128 drivers send in consecutive FPGA cycles. Assumption.
        driver_recovery_cycles: extra wait, in FPGA cycles of 8 ns, that lowers that loss e-fold. Assumption.
        reference_temperature_c: temperature at which gain and noise are as above. Assumption.
        gain_per_k: relative change of the gain per kelvin. Source: sign and order from Summ et al.: gain and
            noise fall from 40 to 90 degrees C.
        noise_per_k: relative change of the noise per kelvin. Source: as ``gain_per_k``.
        offset_spread_lsb_per_k: spread of the offset's change per kelvin from neuron to neuron. Assumption.
        drift_lsb: spread, over neurons and long times, of the slow wander of the offsets. Assumption.
        drift_period_s: the fastest of its components takes this long to come round. Assumption.
    """

    gain: float = 0.003
    gain_spread: float = 0.15
    offset_spread_lsb: float = 12.0
    synapse_spread: float = 0.15
    sign_spread: float = 0.1
    noise_std_lsb: float = 1.25
    knee_lsb: float = 66.0
    knee_spread_lsb: float = 13.0
    knee_slope: float = 0.0
    gain_trim_step: float = 0.04
    gain_trim_steps: int = 31
    offset_trim_step_lsb: float = 4.0
    offset_trim_steps: int = 31
    driver_loss: float = 0.6
    driver_recovery_cycles: float = 1.0
    reference_temperature_c: float = 60.0
    gain_per_k: float = -0.004
    noise_per_k: float = -0.003
    offset_spread_lsb_per_k: float = 0.05
    drift_lsb: float = 0.6
    drift_period_s: float = 6 * 3600.0

    def __post_init__(self) -> None:
        """Refuse numbers that no chip can have.

        Raises:
            ValueError: a number is not finite, or is negative or zero where that has no meaning.
        """
        for field in fields(self):
            value = getattr(self, field.name)
            if not math.isfinite(value):
                raise ValueError(f"{field.name} must be finite, not {value}")
            if field.name not in _SIGNED and value < 0:
                raise ValueError(f"{field.name} must not be negative, but is {value}")
            if field.name in _POSITIVE and value == 0:
                raise ValueError(f"{field.name} must be positive, but is 0")

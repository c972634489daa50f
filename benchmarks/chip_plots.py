"""The pictures of docs/chip.md: the virtual chip before and after calibration.

    python -m benchmarks.chip_plots [--out docs/images] [--chip-id ID]

The staircase's own picture is drawn by `hxserve staircase`.
"""

import argparse
from pathlib import Path
from typing import Any, Final

import torch
from matplotlib.figure import Figure

import hxtorch_emulator as emulator
from hxtorch_emulator import connection, perceptron
from hxtorch_emulator.chip import VirtualChip, calibrate
from hxtorch_emulator.chip.calibrator import measure_neurons
from worker.chip.canary import measure_deviations, score_of

_ROWS: Final = 128
_COLUMNS: Final = 256
_READOUTS: Final = 4000
_BEFORE, _AFTER = "#b2182b", "#2166ac"
"""Red and blue that colour-blind readers can tell apart."""


def draw_fixed_pattern(chip: VirtualChip, path: Path) -> None:
    """Draw offset and gain of each of the 512 neurons, uncalibrated and calibrated."""
    chip.apply(None)
    before = measure_neurons(chip)
    calibrate(chip)
    after = measure_neurons(chip)
    figure = Figure(figsize=(9.0, 5.4), layout="constrained")
    rows = figure.subplots(2, 2, sharey="row", width_ratios=(3, 1))
    labels = ("offset / LSB", "gain / (mLSB per input and weight)")
    for (map_axes, histogram_axes), index, factor, label in zip(
        rows, (0, 1), (1.0, 1000.0), labels, strict=True
    ):
        for measured, colour, name in ((before, _BEFORE, "uncalibrated"), (after, _AFTER, "calibrated")):
            values = (measured[index] * factor).tolist()
            map_axes.plot(values, ".", markersize=3, color=colour, label=name)
            histogram_axes.hist(values, bins=30, orientation="horizontal", color=colour, alpha=0.6)
        map_axes.set_ylabel(label)
    rows[0][0].legend(loc="upper right")
    rows[1][0].set_xlabel("neuron (two hemispheres of 256)")
    rows[1][1].set_xlabel("neurons")
    figure.savefig(path, dpi=130)


def draw_noise(path: Path) -> None:
    """Draw the noise of single readouts of the calibrated chip and of the mock, beside a Gaussian of the same width."""
    inputs, weights = torch.full((_READOUTS, _ROWS), 5.0), torch.full((_ROWS, _COLUMNS), 20.0)
    figure = Figure(figsize=(7.0, 3.4), layout="constrained")
    axes = figure.add_subplot()
    for mock, colour, name in ((False, _AFTER, "virtual chip"), (True, _BEFORE, "mock")):
        readouts = perceptron.matmul(inputs, weights, mock=mock)
        deviations = readouts - readouts.mean(0)
        spread = float(deviations.std())
        axes.hist(
            deviations.flatten().tolist(),
            bins=[k - 0.5 for k in range(-11, 13)],
            density=True,
            histtype="step",
            linewidth=2,
            color=colour,
            label=f"{name}, {spread:.2f} LSB",
        )
    grid = torch.linspace(-10, 10, 200)
    normal = torch.exp(-((grid / spread) ** 2) / 2) / (spread * (2 * torch.pi) ** 0.5)
    axes.plot(grid, normal, color="black", linewidth=1, label="Gaussian")
    axes.set_xlabel("deviation of a readout from its neuron's mean / LSB")
    axes.set_ylabel("probability")
    axes.legend()
    figure.savefig(path, dpi=130)


def draw_temperature(chip: VirtualChip, gain: float, path: Path) -> None:
    """Draw the canary's score against temperature, calibrated at the reference temperature."""
    home_c = chip.temperature_c
    temperatures = [home_c + difference for difference in range(-20, 31, 5)]
    scores = []
    for temperature_c in temperatures:
        chip.temperature_c = temperature_c
        scores.append(score_of(measure_deviations(perceptron, gain, mock=False)))
    chip.temperature_c = home_c
    figure = Figure(figsize=(7.0, 3.0), layout="constrained")
    axes: Any = figure.add_subplot()
    axes.plot(temperatures, scores, "o-", color=_AFTER)
    axes.axhline(
        1.3 * scores[temperatures.index(home_c)], color=_BEFORE, linestyle="--", label="drifted above"
    )
    axes.axvline(home_c, color="grey", linewidth=1)
    axes.set_xlabel("temperature / °C (calibrated at the grey line)")
    axes.set_ylabel("canary / LSB")
    axes.legend()
    figure.savefig(path, dpi=130)


def main() -> None:
    """Draw all pictures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    parser.add_argument("--chip-id", default=connection.DEFAULT_CHIP_ID)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    # A stopped clock, so that the pictures are the same whenever they are drawn.
    chip = VirtualChip(options.chip_id, clock=lambda: 0.0)
    draw_fixed_pattern(chip, options.out / "fixed-pattern.png")
    connection.choose_chip(chip)
    emulator.init_hardware()
    try:
        parameter = perceptron.measure_mock_parameter()
        perceptron.set_mock_parameter(parameter)
        draw_noise(options.out / "noise.png")
        draw_temperature(chip, parameter.gain, options.out / "temperature.png")
    finally:
        emulator.release_hardware()
    print(f"drawn in {options.out}: fixed-pattern.png, noise.png, temperature.png")


if __name__ == "__main__":
    main()

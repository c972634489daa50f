"""The virtual chip has a character of its own, and keeps it."""

from pathlib import Path

import pytest
import torch

import hxtorch_emulator as emulator
from hxtorch_emulator import connection, perceptron
from hxtorch_emulator.chip import Calibration, ChipParameters, VirtualChip, calibrate
from hxtorch_emulator.chip.calibration import read_calibration
from hxtorch_emulator.chip.calibrator import measure_neurons
from hxtorch_emulator.chip.placement import count_executions, neurons_of


class Clock:
    """A clock that is set by hand, in seconds."""

    def __init__(self) -> None:
        self.now_s = 1e9

    def __call__(self) -> float:
        """The time that was set."""
        return self.now_s


QUIET = ChipParameters(noise_std_lsb=0.0)


def _mean_readout(chip: VirtualChip, *, level: float = 0.0, wait: int = 5) -> torch.Tensor:
    """Mean of 100 readouts, (384,), with inputs of 16 and weights of ``level`` on 130 rows."""
    inputs, weights = torch.full((100, 130), 16.0), torch.full((130, 384), level)
    return chip.multiply(inputs, weights, num_sends=1, wait_between_events=wait).mean(0)


def test_the_same_id_is_the_same_chip_and_another_id_another() -> None:
    clock = Clock()
    one, twin, other = (VirtualChip(name, QUIET, clock=clock) for name in ("a", "a", "b"))

    assert torch.equal(_mean_readout(one, level=4), _mean_readout(twin, level=4))
    assert not torch.equal(_mean_readout(one, level=4), _mean_readout(other, level=4))


def test_choosing_a_chip_draws_nothing_from_the_generator_of_torch() -> None:
    state = torch.get_rng_state()

    VirtualChip("a")

    assert torch.equal(torch.get_rng_state(), state)


def test_tiles_fill_the_two_hemispheres_in_turn() -> None:
    neurons = neurons_of(300, 259)

    assert neurons.shape == (3, 259)
    assert neurons[:, 0].tolist() == [0, 256, 0]
    assert neurons[:, 258].tolist() == [258, 2, 258]


def test_the_network_of_the_notebook_takes_six_executions() -> None:
    assert [count_executions(*size) for size in ((784, 256), (256, 256), (256, 10))] == [4, 1, 1]


def test_the_same_place_always_has_the_same_deviation() -> None:
    chip = VirtualChip("a", QUIET, clock=Clock())
    one_row_tile = chip.multiply(
        torch.full((2, 50), 9.0), torch.full((50, 30), 20.0), num_sends=1, wait_between_events=5
    )
    wider = chip.multiply(
        torch.full((2, 50), 9.0), torch.full((50, 70), 20.0), num_sends=1, wait_between_events=5
    )

    assert torch.equal(one_row_tile, wider[:, :30])


def test_a_calibration_flattens_the_pattern_and_meets_the_gain() -> None:
    chip = VirtualChip("a", clock=Clock())
    raw_offset, raw_gain = measure_neurons(chip)

    calibrate(chip)

    offset, gain = measure_neurons(chip)
    assert raw_offset.std() > 10
    assert raw_gain.std() / raw_gain.mean() > 0.1
    assert offset.quantile(0.9) - offset.quantile(0.1) < 10  # the acceptance limit of calix
    assert gain.mean().item() == pytest.approx(0.002, rel=0.03)
    assert gain.std() / gain.mean() < 0.05


def test_the_signs_of_weights_differ_in_a_way_that_calibration_does_not_see() -> None:
    chip = VirtualChip("a", QUIET, clock=Clock())
    calibrate(chip)
    weights = torch.full((130, 384), 20.0)

    nothing, plus, minus = (
        chip.multiply(torch.full((2, 130), 9.0), sign * weights, num_sends=1, wait_between_events=25)[0]
        for sign in (0, 1, -1)
    )

    rise, fall = plus - nothing, nothing - minus
    assert ((rise + fall) / 2).std() / rise.mean() < 0.05
    assert ((rise - fall) / 2).std().item() == pytest.approx(0.09 * rise.mean().item(), rel=0.25)


def test_every_neuron_tells_the_largest_product_sent_forty_times_from_silence() -> None:
    for chip in (VirtualChip(f"chip-{number}", clock=Clock()) for number in range(5)):
        calibrate(chip)
        places = torch.eye(128).repeat(1, 4)

        for sign in (1, -1):
            readouts = sign * chip.multiply(
                torch.eye(128) * 31, places * 63 * sign, num_sends=40, wait_between_events=2
            )

            assert torch.equal(readouts > 40, places.bool())


def test_neurons_saturate_outside_their_linear_range() -> None:
    chip = VirtualChip("a", QUIET, clock=Clock())
    calibrate(chip)

    half, full = _mean_readout(chip, level=7), _mean_readout(chip, level=30)

    assert full.median() < half.median() * 30 / 7 * 0.9


def test_events_too_close_together_lose_charge() -> None:
    chip = VirtualChip("a", clock=Clock())

    close, apart = _mean_readout(chip, level=10, wait=1).mean(), _mean_readout(chip, level=10, wait=8).mean()

    assert 0.2 * apart < close < 0.8 * apart


def test_heat_lowers_gain_and_noise() -> None:
    chip = VirtualChip("a", clock=Clock())
    chip.temperature_c = 40.0
    _, cold_gain = measure_neurons(chip)
    cold_noise = chip.noise_std_lsb

    chip.temperature_c = 90.0

    _, hot_gain = measure_neurons(chip)
    assert hot_gain.mean() < 0.9 * cold_gain.mean()
    assert chip.noise_std_lsb < cold_noise


def test_offsets_wander_over_hours_but_not_within_a_minute() -> None:
    clock = Clock()
    chip = VirtualChip("a", QUIET, clock=clock)
    now = _mean_readout(chip)

    clock.now_s += 30
    soon = _mean_readout(chip)
    clock.now_s += 3 * 3600
    later = _mean_readout(chip)

    assert torch.equal(soon, now)
    assert 0.3 < (later - now).std() < 5


def test_a_calibration_survives_its_file(tmp_path: Path) -> None:
    calibration = calibrate(VirtualChip("a", clock=Clock()))
    folder = tmp_path / "a" / "stable"
    (folder / "2026-03-01").mkdir(parents=True)
    (folder / "latest").symlink_to("2026-03-01")

    sha256 = calibration.write(folder / "2026-03-01" / "hagen_cocolist.json")

    file = read_calibration(folder / "latest")
    assert file.calibration == calibration
    assert file.sha256 == sha256
    assert file.path.parent.name == "2026-03-01"


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"format": "hxserve-calibration-1"}', "\x80pickle"])
def test_a_foreign_calibration_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "hagen_cocolist.pbin"
    path.write_text(content)

    with pytest.raises(RuntimeError, match="is no calibration of a virtual chip"):
        emulator.init_hardware(emulator.CalibrationPath(str(path)))

    with pytest.raises(RuntimeError, match=r"No connection allocated\."):
        emulator.get_unique_identifier()


def test_a_calibration_needs_a_trim_for_every_neuron() -> None:
    with pytest.raises(ValueError, match="512 whole numbers"):
        Calibration("a", 60.0, 0.0, 0.002, (1, 2), (3,) * 512)


def test_the_measured_parameter_of_a_calibrated_chip_is_hxtorch_s_default() -> None:
    emulator.init_hardware()

    parameter = perceptron.measure_mock_parameter()

    assert parameter.gain == pytest.approx(0.002, rel=0.05)
    assert parameter.noise_std == pytest.approx(2.0, rel=0.15)


class _RecordingChip(VirtualChip):
    """A chip that notes the products it is asked for."""

    def __init__(self) -> None:
        super().__init__("a", clock=Clock())
        self.asked: list[tuple[torch.Tensor, torch.Tensor]] = []

    def multiply(self, inputs: torch.Tensor, weights: torch.Tensor, **options: int) -> torch.Tensor:
        """Multiply, and note what."""
        self.asked.append((inputs.clone(), weights.clone()))
        return super().multiply(inputs, weights, **options)


def test_a_mock_parameter_is_measured_as_hxtorch_measures_it() -> None:
    chip = _RecordingChip()
    calibrate(chip)
    chip.asked.clear()
    connection.choose_chip(chip)
    emulator.init_hardware()

    perceptron.measure_mock_parameter()

    *scan, (inputs, weights) = chip.asked
    assert torch.equal(weights, torch.full((256, 128), 21.0))
    assert inputs.shape == (50, 256)
    assert set(inputs.flatten().tolist()) == {0, 16}  # 15.5 as the chip rounds it
    densities = [given.count_nonzero().item() / given.numel() for given, _ in scan]
    assert densities == pytest.approx([0.85**i for i in range(20)], abs=0.03)
    assert inputs.count_nonzero().item() / inputs.numel() == pytest.approx(
        63.5 / (256 * 16 * 21 * 0.002), abs=0.06
    )


def test_a_chip_without_calibration_shows_its_raw_gain() -> None:
    emulator.init_hardware_minimal()

    parameter = perceptron.measure_mock_parameter()

    assert parameter.gain == pytest.approx(0.003, rel=0.1)


def test_a_released_chip_computes_nothing_and_may_be_released_again() -> None:
    emulator.init_hardware_minimal()
    assert emulator.get_unique_identifier() == [connection.DEFAULT_CHIP_ID]

    emulator.release_hardware()
    emulator.release_hardware()

    with pytest.raises(RuntimeError, match=r"No connection allocated\."):
        perceptron.matmul(torch.zeros(2, 3), torch.zeros(3, 4))


def test_the_gradient_on_the_chip_uses_the_mock_parameter() -> None:
    emulator.init_hardware_minimal()
    x = torch.full((2, 3), 5.0, requires_grad=True)

    perceptron.matmul(x, torch.full((3, 4), 10.0), num_sends=2).sum().backward()  # type: ignore[no-untyped-call]  # torch types it so

    assert x.grad is not None
    torch.testing.assert_close(x.grad, torch.full((2, 3), 4 * 10 * 0.004))


def test_the_chip_cannot_add_a_tensor_of_more_dimensions() -> None:
    emulator.init_hardware_minimal()

    with pytest.raises(RuntimeError, match="more than the 1 of input"):
        perceptron.add(torch.zeros(3), torch.zeros(2, 3))


class _ElsewhereChip:
    """A chip that is no virtual one: it answers every multiplication with the number of sends."""

    chip_id = "elsewhere"

    def __init__(self) -> None:
        self.seen: list[object] = []

    def open(self, calibration: Path | None) -> None:
        self.seen.append(calibration)

    def open_uncalibrated(self) -> None:
        self.seen.append("uncalibrated")

    def close(self) -> None:
        self.seen.append("closed")

    def multiply(
        self, inputs: torch.Tensor, weights: torch.Tensor, *, num_sends: int, wait_between_events: int
    ) -> torch.Tensor:
        self.seen.append(wait_between_events)
        return torch.full((inputs.shape[0], weights.shape[1]), float(num_sends))


def test_a_chip_that_computes_elsewhere_is_opened_used_and_closed() -> None:
    chip, former = _ElsewhereChip(), connection.chosen_chip()
    connection.choose_chip(chip)
    try:
        emulator.init_hardware(emulator.CalibrationPath("night.pbin"))
        assert emulator.get_unique_identifier() == ["elsewhere"]
        readouts = perceptron.matmul(torch.zeros(2, 3), torch.zeros(3, 4), num_sends=7, wait_between_events=9)
        emulator.release_hardware()
        emulator.release_hardware()
        emulator.init_hardware_minimal()
    finally:
        emulator.release_hardware()
        connection.choose_chip(former)

    assert torch.equal(readouts, torch.full((2, 4), 7.0))
    assert chip.seen == [Path("night.pbin"), 9, "closed", "uncalibrated", "closed"]

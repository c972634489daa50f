"""The time a real chip takes, and that the virtual one takes it when asked to."""

import pytest
import torch

from worker.chip.real_time import SETTLING_S, PacedVirtualChip, chip_time_s

NETWORK = [(784, 256, 150, 3), (256, 256, 120, 5), (256, 10, 120, 5)]
"""Rows, columns, events of one crop, and sends of each layer of 784-256-256-10."""


def network_s(batch: int) -> float:
    return sum(
        chip_time_s(rows, columns, batch=batch, events=batch * events, num_sends=sends, wait_between_events=5)
        for rows, columns, events, sends in NETWORK
    )


class Watch:
    """A clock that only sleeping and computing move, in seconds."""

    def __init__(self, computing_s: float = 0.0) -> None:
        self.slept: list[float] = []
        self._now_s = 0.0
        self._computing_s = computing_s

    def monotonic(self) -> float:
        """Each look at the clock finds that much computed."""
        self._now_s += self._computing_s
        return self._now_s

    def sleep(self, seconds: float) -> None:
        """Is noted, and takes no time."""
        self.slept.append(seconds)


def _chip(watch: Watch) -> PacedVirtualChip:
    return PacedVirtualChip("a", monotonic=watch.monotonic, sleep=watch.sleep)


def test_large_batches_pass_at_the_published_rate() -> None:
    assert 380 < 5000 / network_s(5000) < 1230


def test_a_whole_chip_multiplies_at_the_published_rate() -> None:
    time_s = chip_time_s(128, 512, batch=5000, events=5000 * 60, num_sends=1, wait_between_events=5)

    assert 150e6 < 5000 * 128 * 512 / time_s < 330e6


def test_fixed_overhead_is_most_of_a_single_image() -> None:
    one, two = network_s(1), network_s(2)

    assert two - one < 0.2 * one


def test_inputs_of_zero_cost_no_event() -> None:
    dark = chip_time_s(300, 70, batch=5, events=0, num_sends=3, wait_between_events=7)
    lit = chip_time_s(300, 70, batch=5, events=11, num_sends=3, wait_between_events=7)

    assert lit - dark == pytest.approx(11 * 3 * 7 * 8e-9)


def test_columns_beyond_a_hemisphere_get_their_events_too() -> None:
    dark = chip_time_s(100, 300, batch=5, events=0, num_sends=1, wait_between_events=5)
    lit = chip_time_s(100, 300, batch=5, events=10, num_sends=1, wait_between_events=5)

    assert lit - dark == pytest.approx(2 * 10 * 5 * 8e-9)


def test_the_virtual_chip_sleeps_for_the_time_its_arithmetic_leaves() -> None:
    watch = Watch(computing_s=0.001)
    inputs = torch.tensor([[3.0, 0.0, 1.0], [0.0, 0.0, 2.0]])

    _chip(watch).multiply(inputs, torch.ones(3, 5), num_sends=4, wait_between_events=6)

    takes_s = chip_time_s(3, 5, batch=2, events=3, num_sends=4, wait_between_events=6)
    assert watch.slept == [pytest.approx(takes_s - 0.001)]


def test_arithmetic_slower_than_the_chip_does_not_sleep() -> None:
    watch = Watch(computing_s=5.0)

    _chip(watch).multiply(torch.ones(2, 3), torch.ones(3, 5), num_sends=1, wait_between_events=5)

    assert watch.slept == []


def test_a_calibration_settles() -> None:
    watch = Watch()

    _chip(watch).apply(None)

    assert watch.slept == [SETTLING_S]


def test_pacing_changes_no_number() -> None:
    inputs, weights = torch.full((2, 3), 9.0), torch.full((3, 5), 20.0)
    torch.manual_seed(1)
    paced = _chip(Watch()).multiply(inputs, weights, num_sends=1, wait_between_events=5)
    torch.manual_seed(1)
    plain = super(PacedVirtualChip, _chip(Watch())).multiply(
        inputs, weights, num_sends=1, wait_between_events=5
    )

    assert torch.equal(paced, plain)

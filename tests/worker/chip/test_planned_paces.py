"""The figures that a plan assumes of a real chip and of the service are those they have."""

import pytest

from hxserve_planner.costs import PACES, PART_CROPS, costs_of
from hxserve_planner.question import Question
from services.crops import lanes
from tests.worker.chip.test_real_time import NETWORK, network_s
from worker.chip.real_time import chip_time_s


@pytest.mark.parametrize("crops", [1, 17, 256])
def test_a_planned_chip_call_takes_as_long_as_the_virtual_chip_in_real_time(crops: int) -> None:
    pace = PACES["hxtorch"]

    assert pace.call_s + crops * pace.crop_s == pytest.approx(network_s(crops), rel=0.05)


def test_planned_operations_take_as_long_as_the_virtual_chip_in_real_time() -> None:
    of_layers = [
        chip_time_s(rows, columns, batch=200, events=200 * events, num_sends=1, wait_between_events=5)
        for rows, columns, events, _ in NETWORK
    ]

    assert PACES["hxtorch"].operations_s == pytest.approx(of_layers, rel=0.1)


def test_requests_are_divided_into_the_same_parts() -> None:
    assert PART_CROPS == lanes.PART_CROPS


def test_a_training_in_the_chips_loop_takes_a_real_chip_at_least_its_readings() -> None:
    costs = costs_of(
        Question(backend="hxtorch", recipe="notebook", dataset="digits", execution="chip", epochs=5)
    )

    crops = 5 * (1437 + 360)
    assert costs.training_s > crops * costs.crop_s
    assert costs.training_s < 1.5 * crops * costs.crop_s + 5 * 10 * costs.call_s

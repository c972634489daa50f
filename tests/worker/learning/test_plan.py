import pytest

from worker.learning.plan import Phase, Place, Plan, TrainingExecution, plan_phases
from worker.learning.recipes import resolve

PLAN = Plan(
    phases=(Phase("mock", 2, 1.0), Phase("chip", 1, 0.1)), train_steps=3, test_steps=2, scaling_steps=4
)


def test_every_step_of_a_plan_has_its_place() -> None:
    places = [PLAN.place_of(step) for step in range(PLAN.steps_total)]

    assert [place.kind for place in places] == (["training"] * 3 + ["testing"] * 2) * 3 + ["scaling"] * 4
    assert [place.phase for place in places] == [0] * 10 + [1] * 9
    assert [place.epoch for place in places] == [0] * 5 + [1] * 5 + [2] * 9
    assert [place.epoch_in_phase for place in places] == [0] * 5 + [1] * 5 + [0] * 9
    assert [place.index for place in places] == [0, 1, 2, 0, 1] * 3 + [0, 1, 2, 3]


def test_past_its_end_a_plan_stays_where_it_ended() -> None:
    assert PLAN.place_of(PLAN.steps_total) == Place("scaling", 1, 2, 0, 4)


@pytest.mark.parametrize(
    ("execution", "goes_on", "phases"),
    [
        ("mock", False, [("mock", 8)]),
        ("mock", True, [("mock", 8)]),
        ("float32", False, [("float32", 8)]),
        ("chip", False, [("chip", 8)]),
        ("chip", True, [("chip", 3)]),
        ("mock-then-chip", False, [("mock", 8), ("chip", 3)]),
        ("mock-then-chip", True, [("mock", 8), ("chip", 3)]),
    ],
)
def test_only_a_network_that_has_learned_takes_the_short_phase_on_the_chip(
    execution: TrainingExecution, goes_on: bool, phases: list[tuple[str, int]]
) -> None:
    recipe = resolve("strong", {"epochs": 8, "chip_epochs": 3})

    planned = plan_phases(recipe, execution, goes_on=goes_on)

    assert [(phase.execution, phase.epochs) for phase in planned] == phases

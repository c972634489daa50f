"""The turns of waiting operations, as they are told: those that the policy gives."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from services.programs.turns import in_turns, position_of
from services.scheduling.policy import WaitingOperation, next_operation

_operations = st.lists(st.tuples(st.sampled_from(["ada", "bo", "cy"]), st.integers(0, 9)), max_size=12)


@given(_operations)
def test_operations_are_told_in_the_order_in_which_the_policy_runs_them(
    sent: list[tuple[str, int]],
) -> None:
    left = [WaitingOperation(f"s{n}:{n:02}", user, float(at)) for n, (user, at) in enumerate(sent)]
    told = in_turns({each.id: (each.id[:2], each.user, each.accepted_at) for each in left})

    run: list[str] = []
    while (operation := next_operation(left)) is not None:
        run.append(operation.id)
        left = [
            replace(each, served_at=float(len(run))) if each.user == operation.user else each
            for each in left
            if each.id != operation.id
        ]

    assert told == run


def test_many_operations_of_one_user_do_not_go_before_anothers() -> None:
    waiting = {f"busy:{n}": ("busy", "ada", float(n)) for n in range(5)} | {"mine:0": ("mine", "bo", 9.0)}

    assert position_of(waiting, "busy") == 0
    assert position_of(waiting, "mine") == 1
    assert position_of(waiting, "other") is None

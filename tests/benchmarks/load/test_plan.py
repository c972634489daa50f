import pytest

from benchmarks.load import LoadPlan


def test_a_plan_survives_the_way_to_its_process() -> None:
    plan = LoadPlan(
        port=1,
        requests=(b"\x00\xff\r\n", b"b"),
        clients=3,
        seconds=0.5,
        answer_pattern=r"(\d)",
        answers=(("1",), ("2", "3")),
        renumbered=True,
    )

    assert LoadPlan.from_json(plan.to_json()) == plan


def test_a_plan_without_requests_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one request"):
        LoadPlan(port=1, requests=(), clients=1, seconds=1)


def test_a_plan_whose_answers_do_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="2 requests need as many answers, not 1"):
        LoadPlan(port=1, requests=(b"a", b"b"), clients=1, seconds=1, answer_pattern="x", answers=(("1",),))

"""Classes: twenty-five pupils share the chip as one user does, and their share among themselves."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from services.names import group_of
from services.scheduling.forecast import run_ahead
from services.scheduling.policy import (
    Charge,
    ClassifyBatch,
    LongJob,
    Policy,
    RunOperation,
    Situation,
    WaitingCrops,
    WaitingOperation,
    next_job,
    next_unit,
)
from services.scheduling.turns import queue_order

NOW = 1000.0
CLASS = "class-k7m2pq"
POLICY = Policy(batch_crops=100, quantum_s=0.5)
PUPILS = [f"{CLASS}.pupil{n}" for n in range(25)]


def test_a_pupil_is_of_the_group_of_the_class_and_anybody_else_alone() -> None:
    assert group_of(f"{CLASS}.lena") == CLASS
    assert group_of(f"{CLASS}.lena.2") == CLASS
    for alone in ("ada", "ada.lovelace", "class-k7m2pq", "class-of-24.ada", "class-K7M2PQ.lena"):
        assert group_of(alone) == alone


def test_a_class_gets_half_of_a_batch_beside_one_researcher() -> None:
    waiting = [WaitingCrops("digits@1", user, 100, NOW - 1) for user in ["grace", *PUPILS]]

    unit = next_unit(Situation(NOW, waiting), POLICY)

    assert isinstance(unit, ClassifyBatch)
    assert unit.grants["grace"] == 50
    assert {unit.grants[pupil] for pupil in PUPILS} == {2}


def test_a_class_gets_half_of_the_slices_and_each_pupil_the_same_part_of_them() -> None:
    jobs = [LongJob(user, user, float(n)) for n, user in enumerate(["grace", *PUPILS])]
    charges: dict[str, float] = {}
    slices: Counter[str] = Counter()

    for _ in range(100):
        charged = {name: Charge(seconds, NOW) for name, seconds in charges.items()}
        job = next_job(Situation(NOW, jobs=jobs, charged=charged), POLICY)
        assert job is not None
        slices[job.user] += 1
        for name in {job.user, group_of(job.user)}:
            charges[name] = charges.get(name, 0.0) + POLICY.quantum_s

    assert slices["grace"] == 50
    assert {slices[pupil] for pupil in PUPILS} == {2}


def test_the_operation_of_another_goes_before_the_second_one_of_a_class() -> None:
    operations = [
        WaitingOperation("second", PUPILS[1], NOW - 2, served_at=NOW - 1),
        WaitingOperation("other", "grace", NOW - 1),
    ]

    assert next_unit(Situation(NOW, operations=operations), POLICY) == RunOperation("other")


def test_a_forecast_gives_a_class_half_of_the_time() -> None:
    work = [(LongJob(user, user, float(n)), 1.0) for n, user in enumerate(PUPILS)]
    work.append((LongJob("grace", "grace", 30.0), 10.0))

    times = run_ahead(work, {}, NOW, POLICY)

    assert 19 <= times["grace"][1] <= 21
    assert max(end for _, end in times.values()) == 35


_users = st.sampled_from(["ada", "grace", *PUPILS[:3], "class-abcdef.max"])
_jobs = st.lists(st.tuples(_users, st.floats(0, 5)), max_size=9).map(
    lambda drawn: [LongJob(f"j{n}", user, at) for n, (user, at) in enumerate(drawn)]
)
_charges = st.dictionaries(
    st.sampled_from(["ada", "grace", *PUPILS[:3], CLASS]), st.floats(0, 5).map(lambda s: Charge(s, NOW))
)


@given(_jobs, _charges)
@settings(deadline=None, max_examples=60)
def test_the_queue_order_of_groups_is_that_of_the_policy_asked_again_and_again(
    jobs: list[LongJob], charged: dict[str, Charge]
) -> None:
    order = queue_order(jobs, charged, NOW, POLICY)

    left, charges, repeated = list(jobs), dict(charged), []
    while job := next_job(Situation(NOW, jobs=left, charged=charges), POLICY):
        repeated.append(job.id)
        left.remove(job)
        for name in {job.user, group_of(job.user)}:
            before = charges.get(name, Charge(0.0, NOW)).now(NOW, POLICY.half_life_s)
            charges[name] = Charge(before + POLICY.quantum_s, NOW)
    assert order == repeated

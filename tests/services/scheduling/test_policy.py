"""The policy: each rule by an example, and what must hold whatever waits."""

from collections import Counter
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.scheduling.meters import ShareMeter
from services.scheduling.policy import (
    CREDIT_S,
    Charge,
    ClassifyBatch,
    LongJob,
    MeasureCanary,
    Policy,
    RunOperation,
    RunSlice,
    Situation,
    Unit,
    WaitingCrops,
    WaitingOperation,
    divide_evenly,
    goes_on,
    newcomer_charge_s,
    next_job,
    next_unit,
)
from services.scheduling.turns import queue_order

NOW = 1000.0
POLICY = Policy(batch_crops=8, quantum_s=0.5, long_work_share=0.2, switch_worth_s=0.005, half_life_s=600)
SATISFIED = 1.0
_properties = settings(deadline=None, max_examples=60)


def _waiting(
    reference: str = "digits@1", user: str = "ada", crops: int = 1, age_s: float = 0.001
) -> WaitingCrops:
    return WaitingCrops(reference, user, crops, NOW - age_s)


def _job(name: str = "job", user: str = "ada", created_at: float = 1.0) -> LongJob:
    return LongJob(name, user, created_at)


def _operation(
    name: str = "operation", user: str = "eve", age_s: float = 0.001, served_at: float = 0.0
) -> WaitingOperation:
    return WaitingOperation(name, user, NOW - age_s, served_at)


def test_when_nothing_waits_the_chip_rests() -> None:
    assert next_unit(Situation(NOW), POLICY) is None


def test_crops_go_before_long_work() -> None:
    situation = Situation(NOW, [_waiting()], [_job()], long_share=SATISFIED)

    assert next_unit(situation, POLICY) == ClassifyBatch("digits@1", {"ada": 1})


def test_long_work_alone_gets_a_quantum_and_gives_way_at_once() -> None:
    situation = Situation(NOW, [], [_job()], long_share=SATISFIED)

    assert next_unit(situation, POLICY) == RunSlice("job", POLICY.quantum_s, 0.0)


def test_long_work_below_its_share_gets_a_short_slice_that_does_not_give_way() -> None:
    situation = Situation(NOW, [_waiting()], [_job()], long_share=0.19)

    unit = next_unit(situation, POLICY)

    assert unit == RunSlice("job", POLICY.guaranteed_slice_s, POLICY.guaranteed_slice_s)


def test_long_work_at_its_share_lets_crops_go() -> None:
    situation = Situation(NOW, [_waiting()], [_job()], long_share=POLICY.long_share_aimed_at)

    assert isinstance(next_unit(situation, POLICY), ClassifyBatch)


def test_an_operation_goes_before_long_work() -> None:
    situation = Situation(NOW, [], [_job()], long_share=SATISFIED, operations=[_operation()])

    assert next_unit(situation, POLICY) == RunOperation("operation")


def test_one_operation_goes_between_two_batches_of_crops() -> None:
    situation = Situation(NOW, [_waiting()], operations=[_operation()])

    assert isinstance(next_unit(situation, POLICY), ClassifyBatch)
    assert isinstance(next_unit(replace(situation, crops_went_last=True), POLICY), RunOperation)


def test_programs_of_several_users_take_turns_whoever_sends_more() -> None:
    operations = [
        _operation("a1", "ada", 0.3, served_at=NOW - 0.01),
        _operation("a2", "ada", 0.4, served_at=NOW - 0.01),
        _operation("b1", "bo", 0.1, served_at=NOW - 0.02),
    ]

    assert next_unit(Situation(NOW, operations=operations), POLICY) == RunOperation("b1")
    assert next_unit(Situation(NOW, operations=operations[:2]), POLICY) == RunOperation("a2")


def test_long_work_below_its_share_gets_a_slice_between_operations() -> None:
    situation = Situation(NOW, [], [_job()], long_share=0.1, operations=[_operation()])

    slice_s = POLICY.slice_between_operations_s
    assert next_unit(situation, POLICY) == RunSlice("job", slice_s, slice_s)


def test_a_program_charged_more_than_the_user_of_long_work_lets_it_go() -> None:
    charged = {"eve": Charge(10 + CREDIT_S, NOW), "ada": Charge(9.9, NOW)}
    situation = Situation(
        NOW, [], [_job(user="ada")], charged, long_share=SATISFIED, operations=[_operation()]
    )

    assert isinstance(next_unit(situation, POLICY), RunSlice)
    charged["ada"] = Charge(10.0, NOW)
    assert isinstance(next_unit(situation, POLICY), RunOperation)


def test_a_share_of_nothing_never_holds_up_crops() -> None:
    situation = Situation(NOW, [_waiting()], [_job()], long_share=0.0)

    assert isinstance(next_unit(situation, replace(POLICY, long_work_share=0.0)), ClassifyBatch)


def test_without_long_jobs_crops_go_whatever_the_share_was() -> None:
    situation = Situation(NOW, [_waiting()], [], long_share=0.0)

    assert isinstance(next_unit(situation, POLICY), ClassifyBatch)


@_properties
@given(crops=st.integers(1, 100), age_s=st.floats(0, 100), share=st.floats(0, 1), on_chip=st.booleans())
def test_crops_of_one_sender_alone_are_next_as_many_as_fit_unless_the_canary_is_due(
    crops: int, age_s: float, share: float, on_chip: bool
) -> None:
    waiting = [_waiting(crops=crops, age_s=age_s)]
    situation = Situation(NOW, waiting, on_chip="digits@1" if on_chip else None, long_share=share)

    assert goes_on(canary_is_due=False)
    assert next_unit(situation, POLICY) == ClassifyBatch("digits@1", {"ada": min(crops, POLICY.batch_crops)})


def test_a_canary_that_is_due_may_go_before_crops() -> None:
    situation = Situation(NOW, [_waiting()], long_share=0.0, canary_is_due=True)

    assert not goes_on(canary_is_due=True)
    assert next_unit(situation, POLICY) == MeasureCanary()


def test_the_version_whose_oldest_crop_waited_longest_goes_first() -> None:
    waiting = [_waiting("a@1", age_s=0.1), _waiting("b@1", "grace", age_s=0.3), _waiting("b@1", age_s=0.01)]

    unit = next_unit(Situation(NOW, waiting, long_share=SATISFIED), POLICY)

    assert unit == ClassifyBatch("b@1", {"ada": 1, "grace": 1})


def test_the_version_on_the_chip_goes_on_while_a_switch_is_not_worth_it() -> None:
    waiting = [_waiting("a@1", age_s=0.0049), _waiting("b@1", age_s=0.001)]

    unit = next_unit(Situation(NOW, waiting, on_chip="b@1", long_share=SATISFIED), POLICY)

    assert isinstance(unit, ClassifyBatch)
    assert unit.reference == "b@1"


def test_the_version_on_the_chip_gives_way_to_one_that_waited_too_long() -> None:
    waiting = [_waiting("a@1", age_s=0.0051), _waiting("b@1", age_s=0.001)]

    unit = next_unit(Situation(NOW, waiting, on_chip="b@1", long_share=SATISFIED), POLICY)

    assert isinstance(unit, ClassifyBatch)
    assert unit.reference == "a@1"


def test_a_version_on_the_chip_without_waiting_crops_does_not_matter() -> None:
    unit = next_unit(Situation(NOW, [_waiting("a@1")], on_chip="b@1", long_share=SATISFIED), POLICY)

    assert isinstance(unit, ClassifyBatch)
    assert unit.reference == "a@1"


def test_users_of_one_version_share_a_batch_evenly() -> None:
    waiting = [
        _waiting(user="ada", crops=100),
        _waiting(user="grace", crops=2),
        _waiting(user="joan", crops=9),
    ]

    unit = next_unit(Situation(NOW, waiting, long_share=SATISFIED), POLICY)

    assert unit == ClassifyBatch("digits@1", {"ada": 3, "grace": 2, "joan": 3})


def test_the_job_of_the_user_charged_least_goes_next() -> None:
    jobs = [_job("a", "ada", 1.0), _job("g", "grace", 2.0)]
    charged = {"ada": Charge(2.0, NOW), "grace": Charge(1.0, NOW)}

    assert next_job(Situation(NOW, jobs=jobs, charged=charged), POLICY) == jobs[1]


def test_a_user_never_charged_goes_before_one_that_was() -> None:
    jobs = [_job("a", "ada", 1.0), _job("g", "grace", 2.0)]

    assert next_job(Situation(NOW, jobs=jobs, charged={"ada": Charge(0.001, NOW)}), POLICY) == jobs[1]


def test_within_a_user_the_oldest_job_goes_first() -> None:
    jobs = [_job("late", created_at=3.0), _job("early", created_at=2.0)]

    assert next_job(Situation(NOW, jobs=jobs), POLICY) == jobs[1]


def test_a_charge_counts_half_after_its_half_life() -> None:
    jobs = [_job("a", "ada"), _job("g", "grace")]
    charged = {"ada": Charge(1.9, NOW - POLICY.half_life_s), "grace": Charge(1.0, NOW)}

    assert next_job(Situation(NOW, jobs=jobs, charged=charged), POLICY) == jobs[0]


def test_a_charge_from_the_future_is_not_more_than_it_was() -> None:
    assert Charge(2.0, NOW + 60).now(NOW, 600) == 2.0


_names = st.sampled_from(["ada", "grace", "joan", "kay", "lin"])
_wishes = st.dictionaries(_names, st.integers(0, 300), max_size=5)


@given(_wishes, st.integers(0, 400))
@_properties
def test_dividing_wastes_nothing_and_gives_no_user_more_than_wanted(
    wanted: dict[str, int], capacity: int
) -> None:
    shares = divide_evenly(wanted, capacity)

    assert sum(shares.values()) == min(capacity, sum(wanted.values()))
    assert all(0 < share <= wanted[user] for user, share in shares.items())


@given(_wishes, st.integers(0, 400))
@_properties
def test_dividing_is_max_min_fair(wanted: dict[str, int], capacity: int) -> None:
    shares = divide_evenly(wanted, capacity)

    # Who did not get all wanted has no less (but for an odd one) than anybody else.
    for user, wish in wanted.items():
        got = shares.get(user, 0)
        assert got == wish or all(other <= got + 1 for other in shares.values())


@given(_wishes, st.integers(0, 400))
@_properties
def test_dividing_does_not_depend_on_the_order_asked(wanted: dict[str, int], capacity: int) -> None:
    backwards = dict(reversed(wanted.items()))

    assert divide_evenly(wanted, capacity) == divide_evenly(backwards, capacity)


_jobs = st.lists(
    st.builds(LongJob, st.uuids().map(str), _names, st.floats(0, 900)),
    max_size=10,
    unique_by=lambda job: job.id,
)
_charges = st.dictionaries(_names, st.builds(Charge, st.floats(0, 20), st.floats(0, NOW)), max_size=5)
_waits = st.lists(
    st.builds(
        WaitingCrops,
        st.sampled_from(["a@1", "a@2", "b@1"]),
        _names,
        st.integers(1, 40),
        st.floats(0, NOW),
    ),
    max_size=6,
    unique_by=lambda crops: (crops.reference, crops.user),
)
_situations = st.builds(
    Situation,
    st.just(NOW),
    _waits,
    _jobs,
    _charges,
    st.none() | st.sampled_from(["a@1", "b@1", "c@1"]),
    st.floats(0, 1),
    st.just(value=False),
    st.lists(
        st.builds(WaitingOperation, st.uuids().map(str), _names, st.floats(0, NOW), st.floats(0, NOW)),
        max_size=5,
    ),
    st.booleans(),
)


@given(_situations)
@_properties
def test_the_chip_never_rests_while_something_waits(situation: Situation) -> None:
    unit = next_unit(situation, POLICY)

    waits = situation.waiting or situation.jobs or situation.operations
    assert (unit is None) == (not waits)


@given(_situations)
@_properties
def test_a_batch_holds_only_waiting_crops_that_fit(situation: Situation) -> None:
    unit = next_unit(situation, POLICY)

    if isinstance(unit, ClassifyBatch):
        there = {crops.user: crops.crops for crops in situation.waiting if crops.reference == unit.reference}
        assert 0 < sum(unit.grants.values()) <= POLICY.batch_crops
        assert all(count <= there[user] for user, count in unit.grants.items())


@given(_situations, st.randoms(use_true_random=False))
@_properties
def test_the_decision_depends_on_nothing_but_the_situation(situation: Situation, random: Random) -> None:
    waiting, jobs, operations = list(situation.waiting), list(situation.jobs), list(situation.operations)
    random.shuffle(waiting)
    random.shuffle(jobs)
    random.shuffle(operations)

    shuffled = replace(situation, waiting=waiting, jobs=jobs, operations=operations)

    assert next_unit(shuffled, POLICY) == next_unit(situation, POLICY)


@given(_jobs, _charges)
@_properties
def test_the_queue_order_is_that_of_the_policy_asked_again_and_again(
    jobs: list[LongJob], charged: dict[str, Charge]
) -> None:
    order = queue_order(jobs, charged, NOW, POLICY)

    left, charges, repeated = list(jobs), dict(charged), []
    while job := next_job(Situation(NOW, jobs=left, charged=charges), POLICY):
        repeated.append(job.id)
        left.remove(job)
        before = charges.get(job.user, Charge(0.0, NOW)).now(NOW, POLICY.half_life_s)
        charges[job.user] = Charge(before + POLICY.quantum_s, NOW)
    assert order == repeated


def test_in_the_queue_one_job_is_not_behind_ten_of_another() -> None:
    jobs = [_job(f"a{n}", "ada", n) for n in range(10)] + [_job("g", "grace", 99.0)]

    order = queue_order(jobs, {}, NOW, POLICY)

    assert order.index("g") == 1


class _Chip:
    """A chip that only counts time: a batch takes `batch_s`, a slice as long as it may."""

    def __init__(self, policy: Policy, batch_s: float) -> None:
        self.policy, self.batch_s = policy, batch_s
        self.meter, self.now = ShareMeter(), NOW
        self.spent: Counter[str] = Counter()
        self.charged: dict[str, Charge] = {}

    def run(self, unit: Unit, users: dict[str, str]) -> None:
        seconds = self.batch_s
        if isinstance(unit, RunSlice):
            # A mini-batch of 2 ms is under way when the slice is to give way.
            seconds = max(unit.yields_after_s, 0.002)
            user = users[unit.job_id]
            self.spent[user] += seconds  # type: ignore[assignment] # counters count seconds too
            before = self.charged.get(user, Charge(0.0, self.now)).now(self.now, self.policy.half_life_s)
            self.charged[user] = Charge(before + seconds, self.now)
        self.meter.note(seconds, is_long=isinstance(unit, RunSlice))
        self.now += seconds
        self.spent[type(unit).__name__] += seconds  # type: ignore[assignment] # the same


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5])
@pytest.mark.parametrize("batch_s", [0.0005, 0.002, 0.02])
def test_under_a_flood_of_crops_long_work_keeps_its_share_and_takes_no_more(
    share: float, batch_s: float
) -> None:
    policy = replace(POLICY, long_work_share=share)
    chip, job = _Chip(policy, batch_s), _job()

    while chip.now < NOW + 20:
        waiting = [WaitingCrops("digits@1", "grace", 10_000, chip.now - 1)]
        unit = next_unit(
            Situation(chip.now, waiting, [job], chip.charged, "digits@1", chip.meter.long_share), policy
        )
        assert unit is not None
        chip.run(unit, {"job": "ada"})

    assert share <= chip.spent["RunSlice"] / 20 <= 1.15 * share


def test_two_users_long_work_gets_half_the_chip_each_whoever_queued_more() -> None:
    chip = _Chip(POLICY, 0.001)
    jobs = [_job(f"a{n}", "ada", n) for n in range(10)] + [_job("g", "grace", 99.0)]
    users = {job.id: job.user for job in jobs}

    while chip.now < NOW + 5:
        unit = next_unit(Situation(chip.now, [], jobs, chip.charged, None, chip.meter.long_share), POLICY)
        assert unit is not None
        chip.run(unit, users)

    assert chip.spent["ada"] == pytest.approx(chip.spent["grace"], abs=POLICY.quantum_s)


def test_no_version_starves_while_another_floods() -> None:
    chip = _Chip(POLICY, 0.001)
    lone = WaitingCrops("b@1", "grace", 1, NOW)
    served_at = None

    while served_at is None and chip.now < NOW + 1:
        flood = WaitingCrops("a@1", "ada", 10_000, chip.now)
        unit = next_unit(Situation(chip.now, [flood, lone], on_chip="a@1", long_share=SATISFIED), POLICY)
        assert unit is not None
        chip.run(unit, {})
        if isinstance(unit, ClassifyBatch) and unit.reference == "b@1":
            served_at = chip.now

    assert served_at is not None
    assert served_at - NOW <= POLICY.switch_worth_s + 2 * chip.batch_s


@pytest.mark.parametrize(
    ("own_s", "least_s", "charge_s"),
    [(3.0, None, 3.0), (0.0, 90.0, 90.0 - CREDIT_S), (120.0, 90.0, 120.0), (0.0, 0.1, 0.0)],
)
def test_a_newcomer_goes_ahead_by_the_credit_at_most(
    own_s: float, least_s: float | None, charge_s: float
) -> None:
    assert newcomer_charge_s(own_s, least_s) == charge_s

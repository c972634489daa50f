"""Nobody starves, however much others send: bounds on who goes when, as properties of the policy."""

from dataclasses import replace
from typing import Final

from hypothesis import given, settings
from hypothesis import strategies as st

from services.scheduling.policy import (
    ClassifyBatch,
    Policy,
    Situation,
    WaitingCrops,
    divide_evenly,
    next_unit,
)

_POLICY: Final = Policy(batch_crops=64, long_work_share=0.0)
_versions = st.lists(st.integers(1, 10_000), min_size=1, max_size=8)
_batch_s = st.sampled_from([0.0004, 0.0012, 0.01])


@given(_versions, _batch_s)
@settings(deadline=None)
def test_every_version_is_served_within_one_round_of_all_and_the_worth_of_their_switches(
    floods: list[int], batch_s: float
) -> None:
    now, on_chip = 1000.0, None
    oldest = {f"m@{n}": now for n in range(len(floods))}
    served_at = dict(oldest)
    bound_s = len(floods) * (_POLICY.switch_worth_s + 2 * batch_s)

    for _ in range(40 * len(floods)):
        waiting = [WaitingCrops(name, "ada", floods[n], oldest[name]) for n, name in enumerate(oldest)]
        unit = next_unit(Situation(now, waiting, on_chip=on_chip, long_share=1.0), _POLICY)
        assert isinstance(unit, ClassifyBatch)
        on_chip = unit.reference
        now += batch_s
        oldest[on_chip] = served_at[on_chip] = now  # and as many come again

        assert all(now - at <= bound_s + 1e-9 for at in served_at.values())


@given(st.integers(1, 40), st.integers(1, 10_000))
def test_a_sender_of_few_crops_waits_for_no_flood_of_others(senders: int, flood: int) -> None:
    wanted = {f"user{n:02}": flood for n in range(senders)} | {"modest": 1}

    shares = divide_evenly(wanted, _POLICY.batch_crops)

    assert shares["modest"] == 1
    assert max(shares.values()) - min(share for user, share in shares.items() if user != "modest") <= max(
        1, _POLICY.batch_crops % senders
    )


def test_of_more_senders_than_fit_a_batch_those_waiting_longest_are_read() -> None:
    waiting = [WaitingCrops("digits@1", f"user-{n:03}", 1, oldest_at=1000.0 - n) for n in range(5)]

    unit = next_unit(Situation(1000.0, waiting), replace(_POLICY, batch_crops=3))

    assert isinstance(unit, ClassifyBatch)
    assert unit.grants == {"user-004": 1, "user-003": 1, "user-002": 1}

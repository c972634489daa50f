"""From the candidates that the simulation selects, the policy chooses the same as from all work."""

import random
from collections import deque
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from hxserve_planner.crop_lanes import ANY, CropLanes, Request
from hxserve_planner.long_queue import Charges, LongQueue, Work
from services.scheduling.policy import (
    ClassifyBatch,
    LongJob,
    Policy,
    RunSlice,
    Situation,
    WaitingOperation,
    next_unit,
)

_POLICY = Policy(batch_crops=64)


def _nothing(request: Request) -> None:
    """Nobody waits for the answer."""


@given(st.integers(0, 2**32), st.integers(1, 60), st.floats(0, 1))
@settings(deadline=None, max_examples=150)
def test_the_policy_chooses_the_same_from_the_candidates_as_from_all(
    seed: int, events: int, long_share: float
) -> None:
    rng = random.Random(seed)
    lanes, charges = CropLanes(16), Charges(_POLICY)
    long = LongQueue(charges)
    chips, works, now, on_chip = 3, dict[str, Work](), 0.0, None

    for number in range(events):
        now += rng.choice([0.0, 0.001, 0.1, 40.0])
        user, home = f"u{rng.randrange(6)}", rng.choice([ANY, 0, 1, 2])
        if rng.random() < 0.5:
            lanes.add(Request(user, f"m{rng.randrange(4)}@{home}", home, rng.randint(1, 50), now, _nothing))
        else:
            work = Work(LongJob(f"{number:04}", user, now), deque([(3.0, 0.1)]))
            works[work.job.id] = work
            long.submit(work, now)

        chip = rng.randrange(chips)
        candidates, everything = long.candidates(chip), long.all_for(chip)
        operations = [
            WaitingOperation(f"op{n}", f"u{rng.randrange(6)}", now - 0.01 * n, rng.choice([0.0, now - 1]))
            for n in range(rng.choice([0, 0, 1, 3]))
        ]
        shown = Situation(
            now=now,
            waiting=lanes.waiting_for(chip, on_chip),
            jobs=[w.job for w in candidates],
            charged=charges.of([*(w.job.user for w in candidates), *(each.user for each in operations)]),
            on_chip=on_chip,
            long_share=long_share,
            operations=operations,
            crops_went_last=rng.random() < 0.5,
        )
        full = replace(
            shown,
            waiting=lanes.all_waiting_for(chip),
            jobs=[w.job for w in everything],
            charged=charges.of([f"u{n}" for n in range(6)]),
        )
        unit = next_unit(shown, _POLICY)

        assert unit == next_unit(full, _POLICY)
        match unit:
            case None:
                continue
            case ClassifyBatch():
                on_chip = unit.reference
                lanes.claim(chip, unit.reference, unit.grants)
            case RunSlice():
                work = works[unit.job_id]
                if work.chip is None:
                    long.take_up(work, chip, now)
                charges.add(work.job.user, rng.choice([0.1, 0.5, 3.0]), now)
                if rng.random() < 0.3:
                    long.finish(work)


@given(
    st.lists(st.tuples(st.integers(1, 9), st.sampled_from([0.1, 0.25])), min_size=1, max_size=3), st.data()
)
def test_work_is_done_in_whole_mini_batches_and_none_is_left(
    stretches: list[tuple[int, float]], data: st.DataObject
) -> None:
    work = Work(LongJob("a", "ada", 0.0), deque((float(count), step_s) for count, step_s in stretches))
    total_s, done_s = work.left_s, 0.0

    while work.left:
        wanted_s = data.draw(st.floats(0, 2))
        span_s = work.span_s(wanted_s)
        assert span_s >= min(wanted_s, work.left_s) - 1e-9
        work.do(span_s)
        done_s += span_s

    assert abs(done_s - total_s) < 1e-6

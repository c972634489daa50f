"""Forecasts: the policy, run forward over the waiting jobs, gives when each begins and ends.

Slice by slice, as on the chip: the next slice goes to the first job of the user charged least, in the group charged
least. Far ahead the slices are taken longer than they are, in proportion to the time that has passed, so that a long
queue is foreseen quickly.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from services.scheduling.costs import Cost
from services.scheduling.policy import Charge, LongJob, Policy
from services.scheduling.turns import Turns

_LEAST_SPEED: Final = 0.01
_BUSY_CHANGES: Final = 0.4
"""The part of the load by crops and programs that may come or go."""
ROUNDS: Final = 20
"""The time is cut so that every user has at least about this many slices, or slices of their real length."""
_MOST_SLICES: Final = 20_000
_MOST_HALF_LIVES: Final = 500.0
"""Charges older than others by this many half-lives count nothing, and their ratio would overflow a float."""


@dataclass(frozen=True, slots=True)
class Span:
    """Seconds from now: the earliest and the latest to be expected, the 10th and 90th percentile."""

    earliest_s: float
    latest_s: float


@dataclass(frozen=True, slots=True)
class Expectation:
    """The expected times of a job's first slice and of its end."""

    start: Span
    finish: Span


@dataclass(frozen=True, slots=True)
class Ahead:
    """A long job with the cost of its remaining work."""

    job: LongJob
    cost: Cost


@dataclass(frozen=True, slots=True)
class Supply:
    """The share of a chip's time for long work, 0..1, low and high, and the number of chips.

    `newcomer_s` is possible work of users who submit before the queue is done.
    """

    low: float = 1.0
    high: float = 1.0
    chips: int = 1
    newcomer_s: float = 0.0


def supply_of(busy: float, programs: float, chips: int, policy: Policy) -> Supply:
    """Return the supply of chips from what they had lately besides long work.

    Crops come whether or not there is long work. Programs wait for their answers: beside long work they send fewer
    operations, for each waits for the end of a mini-batch, and they may end at any time. So long work has at
    most all that crops leave.

    Args:
        busy: the share of time, 0..1, that was not available to long work.
        programs: the part of it that went to operations of programs.
        chips: their number.
        policy: the policy that guarantees long work its share.
    """
    guaranteed = max(policy.long_work_share, _LEAST_SPEED)
    crops = max(0.0, busy - programs)
    return Supply(
        low=max(guaranteed, 1 - busy * (1 + _BUSY_CHANGES)),
        high=max(guaranteed, 1 - crops * (1 - _BUSY_CHANGES)),
        chips=chips,
    )


def run_ahead(
    work: Sequence[tuple[LongJob, float]],
    charged: Mapping[str, Charge],
    now: float,
    policy: Policy,
    speed: float = 1.0,
) -> dict[str, tuple[float, float]]:
    """Return the beginning and end of each job at exactly these costs, in seconds from now.

    Args:
        work: jobs, and the seconds that each still takes a chip.
        charged: charges by user and by group.
        now: the instant all this is true, Unix seconds.
        policy: the policy that decides the order.
        speed: seconds of work done per second.
    """
    times: dict[str, tuple[float, float]] = {}
    clock = 0.0
    queues: dict[str, list[tuple[LongJob, float]]] = {}
    for job, seconds in sorted(work, key=lambda item: (item[0].created_at, item[0].id)):
        if job.is_maintenance:
            times[job.id] = clock, clock + seconds / speed
            clock += seconds / speed
        else:
            queues.setdefault(job.user, []).append((job, seconds))

    for theirs in queues.values():
        theirs.reverse()
    # A charge now is worth less later. Counted by their worth at one fixed instant,
    # earlier charges need no update.
    turns = Turns({user: theirs[-1][0] for user, theirs in queues.items()}, charged, now, policy)
    longest_s = max(policy.quantum_s, sum(seconds for _, seconds in work) / speed / _MOST_SLICES)
    left_s = {job.id: seconds for job, seconds in work}
    while turns.users:
        theirs = queues[turns.next_user()]
        job, _ = theirs[-1]
        slice_s = max(longest_s, clock / (ROUNDS * turns.users)) * speed
        seconds = min(slice_s, left_s[job.id])
        began, _ = times.get(job.id, (clock, 0.0))
        growth = 2.0 ** min(clock / policy.half_life_s, _MOST_HALF_LIVES)
        clock += seconds / speed
        left_s[job.id] -= seconds
        times[job.id] = began, clock
        if left_s[job.id] <= 0:
            theirs.pop()
        turns.charge(seconds * growth, theirs[-1][0] if theirs else None)
    return times


def foresee(
    ahead: Sequence[Ahead],
    charged: Mapping[str, Charge],
    now: float,
    policy: Policy,
    supply: Supply,
) -> dict[str, Expectation]:
    """Return the beginning and end of each job, as ranges.

    Once with cheap work and the chip as free as it may be, once with dear work, a busier chip and a
    newcomer. Several chips count as one that is as many times faster, but no job runs on two at once.
    """
    soon = run_ahead(
        [(each.job, each.cost.low_s) for each in ahead], charged, now, policy, supply.high * supply.chips
    )
    newcomer = [(LongJob("", "", now), supply.newcomer_s)] if supply.newcomer_s > 0 else []
    late = run_ahead(
        [(each.job, each.cost.high_s) for each in ahead] + newcomer,
        charged,
        now,
        policy,
        supply.low * supply.chips,
    )
    # The next user depends on charges that are not recorded yet: a round more or less.
    users = len({each.job.user for each in ahead if not each.job.is_maintenance})
    round_s = (users - 1) * policy.quantum_s if users else 0.0
    found = {}
    for each in ahead:
        own_s = each.cost.low_s / supply.high
        (start_soon, end_soon), (start_late, end_late) = soon[each.job.id], late[each.job.id]
        earliest_s = max(own_s, end_soon - round_s)
        latest_s = max(each.cost.high_s / supply.low, end_late + round_s, earliest_s)
        start_s = max(0.0, start_soon - round_s)
        found[each.job.id] = Expectation(
            Span(start_s, max(start_s, start_late + round_s)), Span(earliest_s, latest_s)
        )
    return found

"""The scheduling policy as pure functions: the unit that the chip runs next.

1. Crops first. The version whose oldest crop has waited longest goes next, but the one on the chip goes on
   until another has waited longer than a switch is worth. Groups share a batch evenly, and users that of their group.
2. Operations of programs, one between two batches of crops, of the users in turns. They go before long work unless
   their user was lately charged more than the user of the next long job.
3. Chip maintenance: a canary measurement that is due, a calibration.
4. Long work in slices: the next is the first job of the user charged the least chip time lately, in the group
   charged the least. A slice gives way to crops and operations at the next mini-batch.
5. Under a flood of crops and operations long work keeps a guaranteed share: while it is below, it gets a short
   slice that does not give way. Maintenance counts as long work here.

The pupils of a class are a group; every other user is a group alone (`group_of`). Charges are kept by both names.

All times are seconds; instants are Unix seconds of one clock.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from services.names import group_of

HALF_LIFE_S: Final = 600.0
"""A charge of chip time counts half as much after this time."""

CREDIT_S: Final = 0.25
"""The most by which the charge of a newcomer is below the least charge of the other users with long work."""


@dataclass(frozen=True, slots=True)
class Policy:
    """The parameters of the policy."""

    batch_crops: int = 256
    quantum_s: float = 0.5
    long_work_share: float = 0.2
    guaranteed_slice_s: float = 0.005
    switch_worth_s: float = 0.005
    half_life_s: float = HALF_LIFE_S
    slice_between_operations_s: float = 0.02

    @property
    def long_share_aimed_at(self) -> float:
        """The share of long work from which crops go first: a tenth above the guarantee.

        Their batch takes it down while it runs, and no window of time shall show less than the guarantee.
        """
        return min(1.1 * self.long_work_share, 1.0)


@dataclass(frozen=True, slots=True)
class WaitingCrops:
    """Crops of one user for one version of a model."""

    reference: str
    user: str
    crops: int
    oldest_at: float


@dataclass(frozen=True, slots=True)
class WaitingOperation:
    """An operation of a program; `served_at` is when the last one of its user's group ran, 0 if none did lately."""

    id: str
    user: str
    accepted_at: float
    served_at: float = 0.0


@dataclass(frozen=True, slots=True)
class LongJob:
    """A queued or running job that is worked on in slices."""

    id: str
    user: str
    created_at: float
    is_maintenance: bool = False


@dataclass(frozen=True, slots=True)
class Charge:
    """Chip time charged to a user: a decaying sum, exact at the instant `at`."""

    seconds: float
    at: float

    def now(self, now: float, half_life_s: float) -> float:
        """Return the decayed charge."""
        return self.seconds * float(0.5 ** (max(0.0, now - self.at) / half_life_s))


@dataclass(frozen=True, slots=True)
class Situation:
    """The input of a decision. `long_share` is the recent share of the chip's time for long work.

    `crops_went_last` says that crops went last of the crops and operations.
    """

    now: float
    waiting: Sequence[WaitingCrops] = ()
    jobs: Sequence[LongJob] = ()
    charged: Mapping[str, Charge] | None = None
    on_chip: str | None = None
    long_share: float = 0.0
    canary_is_due: bool = False
    operations: Sequence[WaitingOperation] = ()
    crops_went_last: bool = False


@dataclass(frozen=True, slots=True)
class ClassifyBatch:
    """Run crops of one version; `grants` is the number of crops by user."""

    reference: str
    grants: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class RunOperation:
    """Run one operation of a program."""

    operation_id: str


@dataclass(frozen=True, slots=True)
class RunSlice:
    """Work on a long job for at most `quantum_s`, giving way to crops and operations after `yields_after_s`."""

    job_id: str
    quantum_s: float
    yields_after_s: float


@dataclass(frozen=True, slots=True)
class MeasureCanary:
    """Measure the canary."""


Unit = ClassifyBatch | RunOperation | RunSlice | MeasureCanary
"""One unit of work on the chip."""


def next_unit(situation: Situation, policy: Policy) -> Unit | None:
    """Return the next unit, or None if nothing waits."""
    job = next_job(situation, policy)
    urgent = _next_urgent(situation, policy, job)
    if urgent and situation.long_share >= policy.long_share_aimed_at:
        return urgent
    if situation.canary_is_due:
        return MeasureCanary()
    if job is None:
        return urgent
    if situation.waiting:
        return RunSlice(job.id, policy.guaranteed_slice_s, policy.guaranteed_slice_s)
    if situation.operations:
        return RunSlice(job.id, policy.slice_between_operations_s, policy.slice_between_operations_s)
    return RunSlice(job.id, policy.quantum_s, 0.0)


def _next_urgent(
    situation: Situation, policy: Policy, job: LongJob | None
) -> ClassifyBatch | RunOperation | None:
    """Return the next crops, or the next operation: one of these between two batches."""
    operation = next_operation(_due_operations(situation, policy, job))
    if situation.waiting and not (operation and situation.crops_went_last):
        return _next_batch(situation, policy)
    return RunOperation(operation.id) if operation else None


def _due_operations(situation: Situation, policy: Policy, job: LongJob | None) -> Sequence[WaitingOperation]:
    """Return the operations of users that are not ahead, in chip time, of the next long job's."""
    if job is None or job.is_maintenance:
        return situation.operations
    most_s = _charged_s(group_of(job.user), situation, policy) + CREDIT_S
    return [
        each for each in situation.operations if _charged_s(group_of(each.user), situation, policy) <= most_s
    ]


def next_operation(operations: Iterable[WaitingOperation]) -> WaitingOperation | None:
    """Return the next operation: the oldest of the group whose last one is the longest ago."""
    return min(operations, key=lambda each: (each.served_at, each.accepted_at, each.id), default=None)


def goes_on(*, canary_is_due: bool) -> bool:
    """Return whether crops go next if only crops of one sender wait, for the version on the chip.

    If so, a worker claims as many as fit in the step that reads the backlog; `next_unit` would decide the same.
    """
    return not canary_is_due


def next_job(situation: Situation, policy: Policy) -> LongJob | None:
    """Return the next long job: the oldest for maintenance, else the oldest of the user charged least.

    The user is one of the group charged least.
    """

    def rank(job: LongJob) -> tuple[bool, float, float, float, str]:
        if job.is_maintenance:
            return False, 0.0, 0.0, job.created_at, job.id
        of_group_s, own_s = (_charged_s(name, situation, policy) for name in (group_of(job.user), job.user))
        return True, of_group_s, own_s, job.created_at, job.id

    return min(situation.jobs, key=rank, default=None)


def _charged_s(name: str, situation: Situation, policy: Policy) -> float:
    return charge_now_s(name, situation.charged or {}, situation.now, policy)


def charge_now_s(name: str, charged: Mapping[str, Charge], now: float, policy: Policy) -> float:
    """Return the decayed charge, in seconds, of a user or a group."""
    charge = charged.get(name)
    return charge.now(now, policy.half_life_s) if charge else 0.0


def _next_batch(situation: Situation, policy: Policy) -> ClassifyBatch:
    oldest: dict[str, float] = {}
    for crops in situation.waiting:
        oldest[crops.reference] = min(crops.oldest_at, oldest.get(crops.reference, crops.oldest_at))
    reference = min(oldest, key=lambda name: (oldest[name], name))
    on_chip = situation.on_chip
    if on_chip in oldest and situation.now - oldest[reference] < policy.switch_worth_s:
        reference = on_chip
    of_version = (crops for crops in situation.waiting if crops.reference == reference)
    longest_first = sorted(of_version, key=lambda crops: (crops.oldest_at, crops.user))
    # Of more senders than fit, those that have waited longest: at least one crop of each is read.
    wanted = {crops.user: crops.crops for crops in longest_first[: policy.batch_crops]}
    return ClassifyBatch(reference, divide_fairly(wanted, policy.batch_crops))


def divide_fairly(wanted: Mapping[str, int], capacity: int) -> dict[str, int]:
    """Divide `capacity` evenly between the groups of these users, and the share of each group between its users."""
    groups: dict[str, dict[str, int]] = {}
    for user, crops in wanted.items():
        groups.setdefault(group_of(user), {})[user] = crops
    shares = divide_evenly({group: sum(users.values()) for group, users in groups.items()}, capacity)
    return {
        user: share
        for group, of_group in shares.items()
        for user, share in divide_evenly(groups[group], of_group).items()
    }


def divide_evenly(wanted: Mapping[str, int], capacity: int) -> dict[str, int]:
    """Divide `capacity` evenly: no user gets more than wanted, and unwanted shares go to the others.

    The remainder goes by name, so that the result is deterministic.
    """
    shares: dict[str, int] = {}
    left = capacity
    users = sorted(wanted, key=lambda user: (wanted[user], user))
    for position, user in enumerate(users):
        shares[user] = min(wanted[user], left // (len(users) - position))
        left -= shares[user]
    for user in users:
        extra = min(left, wanted[user] - shares[user])
        shares[user] += extra
        left -= extra
    return {user: share for user, share in shares.items() if share}


def newcomer_charge_s(own_s: float, least_s: float | None) -> float:
    """Return the charge, in seconds, of a newcomer: one whose first long job is accepted, or first session opened.

    The newcomer, a group among the others or a user in their group, goes ahead of the others by `CREDIT_S` at most,
    however much those were charged before: decision 10. `let_in` in `services/store/prelude.lua` is the same rule in
    the step that accepts a job.

    Args:
        own_s: The newcomer's charge so far.
        least_s: The least charge of the others with unfinished long jobs, maintenance apart; without such ones the
            highest charge of those with programs in use, None if there are none either.
    """
    return own_s if least_s is None else max(own_s, least_s - CREDIT_S)

"""Long jobs that wait or run, in simulated time, and their users' charges."""

import heapq
import math
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from services.scheduling.policy import Charge, LongJob, Policy, newcomer_charge_s

_NOTHING: Final = 1e-6
"""Less than this of a mini-batch is a rounding error."""


@dataclass(slots=True, eq=False)
class Work:
    """A long job and its remaining work.

    Attributes:
        job: As the policy sees it.
        left: Mini-batches left and their length in seconds, block by block.
        chip: Number of the chip that took it up; it stays there.
        began_at: When it was taken up.
    """

    job: LongJob
    left: deque[tuple[float, float]]
    chip: int | None = None
    began_at: float | None = None

    @property
    def left_s(self) -> float:
        """Seconds of work left."""
        return sum(steps * step_s for steps, step_s in self.left)

    def span_s(self, at_least_s: float) -> float:
        """Return the duration of the fewest whole mini-batches, at least one, that take `at_least_s`."""
        used_s = 0.0
        for steps, step_s in self.left:
            needed = max(1, math.ceil((at_least_s - used_s) / step_s - 1e-9))
            if needed <= steps:
                return used_s + needed * step_s
            used_s += steps * step_s
        return used_s

    def do(self, seconds: float) -> None:
        """Count work as done."""
        while self.left and seconds > 0:
            steps, step_s = self.left[0]
            if steps - seconds / step_s > _NOTHING:
                self.left[0] = steps - seconds / step_s, step_s
                return
            seconds -= steps * step_s
            self.left.popleft()


class Charges:
    """Users' charges, and an order of them that time does not change.

    All charges decay alike, so their order changes only when a user is charged: `rank` is the
    logarithm of the charge counted back to one instant, and it only grows.
    """

    def __init__(self, policy: Policy) -> None:
        self._half_life_s = policy.half_life_s
        self._of: dict[str, Charge] = {}

    def of(self, users: Sequence[str]) -> dict[str, Charge]:
        """Return the charges of these users, as the policy takes them."""
        return {user: self._of[user] for user in users if user in self._of}

    def seconds(self, user: str, now: float) -> float:
        """Return a user's decayed charge."""
        charge = self._of.get(user)
        return charge.now(now, self._half_life_s) if charge else 0.0

    def add(self, user: str, seconds: float, now: float) -> None:
        """Charge chip time."""
        self._of[user] = Charge(self.seconds(user, now) + seconds, now)

    def add_steadily(self, user: str, per_s: float, since: float, now: float) -> None:
        """Charge `per_s` seconds of chip time in each second since an instant."""
        decayed = 1 - 0.5 ** ((now - since) / self._half_life_s)
        self.add(user, per_s * self._half_life_s / math.log(2) * decayed, now)

    def raise_to(self, user: str, seconds: float, now: float) -> None:
        """Raise a user's charge to at least this much."""
        if self.seconds(user, now) < seconds:
            self._of[user] = Charge(seconds, now)

    def rank(self, user: str) -> float:
        """Return a user's place in the order; the least goes first."""
        charge = self._of.get(user)
        if charge is None or charge.seconds <= 0:
            return -math.inf
        return math.log2(charge.seconds) + charge.at / self._half_life_s


class _ByCharge:
    """Jobs of which the user charged least goes first, and of one user's the oldest.

    A heap whose entries may be too low, for charges grow: one that comes up is put back where it belongs.
    """

    def __init__(self, charges: Charges) -> None:
        self._charges = charges
        self._of: dict[str, deque[Work]] = {}
        self._heap: list[tuple[float, float, str, str]] = []

    def __iter__(self) -> Iterator[Work]:
        return (work for theirs in self._of.values() for work in theirs)

    def add(self, work: Work) -> None:
        theirs = self._of.setdefault(work.job.user, deque())
        theirs.append(work)
        if len(theirs) == 1:
            self._offer(work.job.user)

    def remove(self, work: Work) -> None:
        user = work.job.user
        theirs = self._of[user]
        was_first = theirs[0] is work
        theirs.remove(work)
        if not theirs:
            del self._of[user]
        elif was_first:
            self._offer(user)

    def first(self) -> Work | None:
        heap = self._heap
        while heap:
            rank, _, job_id, user = heap[0]
            theirs = self._of.get(user)
            if not theirs or theirs[0].job.id != job_id:
                heapq.heappop(heap)
            elif rank < self._charges.rank(user):
                heapq.heappop(heap)
                self._offer(user)
            else:
                return theirs[0]
        return None

    def _offer(self, user: str) -> None:
        job = self._of[user][0].job
        heapq.heappush(self._heap, (self._charges.rank(user), job.created_at, job.id, user))


class LongQueue:
    """The long jobs of a simulation.

    A job waits for any chip; once a chip has taken it up it stays there, as a running job does. A situation needs no
    more than `candidates`: a test holds that the policy chooses the same from them as from all jobs.
    """

    def __init__(self, charges: Charges) -> None:
        self._charges = charges
        self._waiting = _ByCharge(charges)
        self._running: dict[int, _ByCharge] = {}
        self._of_user: dict[str, int] = {}
        self._users: list[tuple[float, str]] = []
        self.unfinished = 0
        self.waiting = 0

    def unfinished_of(self, user: str) -> int:
        """Return the number of a user's unfinished jobs."""
        return self._of_user.get(user, 0)

    def submit(self, work: Work, now: float, programs: Collection[str] = ()) -> None:
        """Take in a job; the charge of a newcomer is `newcomer_charge_s`. `programs` are users with programs in use."""
        user = work.job.user
        if user not in self._of_user:
            self.let_in(user, now, programs)
            heapq.heappush(self._users, (self._charges.rank(user), user))
        self._of_user[user] = self._of_user.get(user, 0) + 1
        self._waiting.add(work)
        self.unfinished += 1
        self.waiting += 1

    def let_in(self, user: str, now: float, programs: Collection[str] = ()) -> None:
        """Raise the charge of a user who begins to use the chips; `programs` are the users with programs in use.

        Source: let_in in services/store/prelude.lua.
        """
        if user in self._of_user:
            return
        others_s = self._least_charged_s(now)
        if others_s is None and programs and user not in programs:
            others_s = max(self._charges.seconds(other, now) for other in programs)
        own_s = self._charges.seconds(user, now)
        self._charges.raise_to(user, newcomer_charge_s(own_s, others_s), now)

    def candidates(self, chip: int) -> list[Work]:
        """Return the jobs of which one goes next on this chip: the first that waits, and the first it has taken up."""
        running = self._running.get(chip)
        found = (self._waiting.first(), running.first() if running else None)
        return [work for work in found if work is not None]

    def all_for(self, chip: int) -> list[Work]:
        """Return all jobs that this chip may work on."""
        return [*self._waiting, *self._running.get(chip, ())]

    def waiting_jobs(self) -> list[Work]:
        """Return the jobs that no chip has taken up."""
        return list(self._waiting)

    def take_up(self, work: Work, chip: int, now: float) -> None:
        """Bind a job that waited to a chip."""
        self._waiting.remove(work)
        work.chip, work.began_at = chip, now
        self._running.setdefault(chip, _ByCharge(self._charges)).add(work)
        self.waiting -= 1

    def finish(self, work: Work) -> None:
        """Forget a job that is done."""
        assert work.chip is not None, "what was never taken up is not done"
        self._running[work.chip].remove(work)
        user = work.job.user
        self.unfinished -= 1
        self._of_user[user] -= 1
        if not self._of_user[user]:
            del self._of_user[user]

    def _least_charged_s(self, now: float) -> float | None:
        """Return the least that a user with unfinished jobs is charged."""
        heap = self._users
        while heap:
            rank, user = heap[0]
            if user not in self._of_user:
                heapq.heappop(heap)
            elif rank < self._charges.rank(user):
                heapq.heapreplace(heap, (self._charges.rank(user), user))
            else:
                return self._charges.seconds(user, now)
        return None

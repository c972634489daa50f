"""The order in which users with long jobs take turns on the chip."""

import heapq
from collections.abc import Iterable, Mapping

from services.names import group_of
from services.scheduling.policy import Charge, LongJob, Policy, charge_now_s


class Turns:
    """The turns of users with long jobs: the next is the user charged least of the group charged least.

    Kept as heaps: of each group's users, (charge, creation of the first job, its id, user), and of the groups, (charge,
    the first three of its next user, group).
    """

    def __init__(
        self, first_jobs: Mapping[str, LongJob], charged: Mapping[str, Charge], now: float, policy: Policy
    ) -> None:
        """Begin with the first job of each user."""
        self.users = len(first_jobs)
        self._of: dict[str, list[tuple[float, float, str, str]]] = {}
        for user, first in first_jobs.items():
            own_s = charge_now_s(user, charged, now, policy)
            self._of.setdefault(group_of(user), []).append((own_s, first.created_at, first.id, user))
        self._groups = []
        for group, users in self._of.items():
            heapq.heapify(users)
            self._groups.append((charge_now_s(group, charged, now, policy), *users[0][:3], group))
        heapq.heapify(self._groups)

    def next_user(self) -> str:
        """Return the user whose turn it is."""
        return self._of[self._groups[0][4]][0][3]

    def charge(self, seconds: float, following: LongJob | None) -> None:
        """Charge the user whose turn it is, who goes on with the job `following`, or has none left."""
        group_s, *_, group = self._groups[0]
        users = self._of[group]
        own_s, _, _, user = users[0]
        if following is not None:
            heapq.heapreplace(users, (own_s + seconds, following.created_at, following.id, user))
        else:
            heapq.heappop(users)
            self.users -= 1
        if users:
            heapq.heapreplace(self._groups, (group_s + seconds, *users[0][:3], group))
        else:
            heapq.heappop(self._groups)


def queue_order(
    jobs: Iterable[LongJob], charged: Mapping[str, Charge], now: float, policy: Policy
) -> list[str]:
    """Return ids of long jobs in the order in which they will get their next slice.

    Each slice charges its user one quantum, so that users take turns as they will on the chip.
    """
    in_time = sorted(jobs, key=lambda job: (job.created_at, job.id))
    order = [job.id for job in in_time if job.is_maintenance]
    of_user: dict[str, list[LongJob]] = {}
    for job in reversed(in_time):
        if not job.is_maintenance:
            of_user.setdefault(job.user, []).append(job)
    turns = Turns({user: theirs[-1] for user, theirs in of_user.items()}, charged, now, policy)
    while turns.users:
        theirs = of_user[turns.next_user()]
        order.append(theirs.pop().id)
        turns.charge(policy.quantum_s, theirs[-1] if theirs else None)
    return order

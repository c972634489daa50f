"""Operations of programs that wait, in simulated time: each for the chip of its program's session."""

import math
from dataclasses import dataclass
from typing import Final

import simpy

from services.scheduling.policy import WaitingOperation

MOST_WAITING: Final = 256
"""Of one chip, as in services/programs/store.py; a test holds it."""
IN_USE_S: Final = 10.0
"""As in services/store/prelude.lua: a program is in use for this long after an operation; a test holds it."""
_SILENCE_S: Final = 600.0
"""A session without an operation for longer has ended, and the next one is a newcomer's."""


@dataclass(slots=True, eq=False)
class Operation:
    """An operation of a program.

    Attributes:
        id: Its name.
        user: The program's user.
        chip: Number of the chip that its session is bound to.
        chip_s: Chip time, in seconds.
        sent_at: When the service accepted it, simulated seconds.
        answered: Happens when it is answered.
    """

    id: str
    user: str
    chip: int
    chip_s: float
    sent_at: float
    answered: simpy.Event


class OperationQueue:
    """All operations that wait, and when the last one of each user began on each chip."""

    def __init__(self, chips: int) -> None:
        self._of: list[dict[str, Operation]] = [{} for _ in range(chips)]
        self._served_at: list[dict[str, float]] = [{} for _ in range(chips)]
        self._used_at: dict[str, float] = {}

    def add(self, operation: Operation) -> bool:
        """Take in an operation; return whether its user is a newcomer."""
        last = self._used_at.get(operation.user, -math.inf)
        self._of[operation.chip][operation.id] = operation
        self._used_at[operation.user] = operation.sent_at
        return operation.sent_at - last > _SILENCE_S

    def users_at(self, now: float) -> list[str]:
        """Return the users with programs in use."""
        return [user for user, at in self._used_at.items() if now - at <= IN_USE_S]

    def waiting_at(self, chip: int) -> int:
        """Return the number of operations that wait for a chip."""
        return len(self._of[chip])

    def waiting_for(self, chip: int) -> list[WaitingOperation]:
        """Return the operations that wait for a chip, as the policy sees them."""
        served_at = self._served_at[chip]
        return [
            WaitingOperation(each.id, each.user, each.sent_at, served_at.get(each.user, 0.0))
            for each in self._of[chip].values()
        ]

    def take(self, chip: int, operation_id: str, now: float) -> Operation:
        """Take an operation out to run it; the next turn of its user comes after those of the others."""
        operation = self._of[chip].pop(operation_id)
        self._served_at[chip][operation.user] = now
        return operation

    def delay(self, seconds: float) -> None:
        """Make all operations younger, because no time has passed for them."""
        for waiting in self._of:
            for operation in waiting.values():
                operation.sent_at += seconds
        self._used_at = {user: at + seconds for user, at in self._used_at.items()}

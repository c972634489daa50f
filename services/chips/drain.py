"""Drain of chips: crops are still served, long work stands still."""

import time
from typing import Literal

from services.chips.store import ChipRecord, ChipStore, Drain
from services.chips.wakeups import WakeUp, wake_all
from services.errors import ForbiddenError
from services.users.authentication import User


class Draining:
    """Drains chips and resumes them."""

    def __init__(self, chips: ChipStore, wake_up: WakeUp) -> None:
        self._chips = chips
        self._wake_up = wake_up

    def drain(
        self, user: User, chip: str | None, message: str, running: Literal["pause", "finish"]
    ) -> list[ChipRecord]:
        """Drain a chip: its running long jobs are paused at their next slice or finish, and new ones wait.

        Args:
            user: the admin that requests the drain.
            chip: its id; all chips when None.
            message: shown to the users of the chip.
            running: whether running long jobs are paused or finish.

        Raises:
            ForbiddenError: the user is no admin.
            NotFoundError: there is no such chip.
        """
        return self._set(user, chip, Drain(message, running, user.name, time.time()))

    def resume(self, user: User, chip: str | None) -> list[ChipRecord]:
        """End the drain of a chip; a chip without one stays as it is.

        Raises:
            ForbiddenError: the user is no admin.
            NotFoundError: there is no such chip.
        """
        return self._set(user, chip, None)

    def _set(self, user: User, chip: str | None, drain: Drain | None) -> list[ChipRecord]:
        if not user.is_admin:
            raise ForbiddenError("only an admin may drain and resume chips")
        names = [chip] if chip else [record.chip for record in self._chips.records()]
        for name in names:
            wake_all(self._wake_up, self._chips.set_drain(name, drain))
        return [self._chips.record(name) for name in names]

"""Maintenance of chips: long work stands still while somebody sees to one; crops are served on."""

import time
from typing import Literal

from services.chips.store import ChipRecord, ChipStore, Drain
from services.chips.wakeups import WakeUp, wake_all
from services.errors import ForbiddenError
from services.users.authentication import User


class Draining:
    """Puts chips into maintenance and ends it."""

    def __init__(self, chips: ChipStore, wake_up: WakeUp) -> None:
        self._chips = chips
        self._wake_up = wake_up

    def drain(
        self, user: User, chip: str | None, message: str, running: Literal["pause", "finish"]
    ) -> list[ChipRecord]:
        """Stops long work on a chip: what runs is paused at its next slice, or finishes; what is new waits.

        Args:
            user: who asks for it.
            chip: its id; all chips when None.
            message: what its users are told.
            running: what becomes of the long work that runs.

        Raises:
            ForbiddenError: the user is no admin.
            NotFoundError: there is no such chip.
        """
        return self._set(user, chip, Drain(message, running, user.name, time.time()))

    def resume(self, user: User, chip: str | None) -> list[ChipRecord]:
        """Lets long work go on; harmless when it does.

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

"""Classes: a teacher starts one, pupils join by its code, and at the end everything of theirs is deleted."""

import logging
import time
from collections.abc import Mapping
from typing import Final

from services.classes.nicknames import clean_nickname, seat_of
from services.classes.record import LONGEST_S, MOST_CLASSES, MOST_SEATS, Class, seat_quotas
from services.classes.store import ClassStore
from services.errors import (
    ClassEndedError,
    ClassNotFoundError,
    ConflictError,
    ForbiddenError,
    InvalidInputError,
    SeatNotFoundError,
)
from services.names import class_of
from services.users.accounts import Account
from services.users.authentication import User
from services.users.quotas import Quotas
from services.users.store import UserStore

MOST_TITLE: Final = 60
MOST_JOINS: Final = 120
"""The most tries to join one class within a minute, and the most wrong codes of classes from one address."""
MOST_RETURNS: Final = 20
"""The most tries to return into one class within a minute."""

_log = logging.getLogger(__name__)


class Classes:
    """What teachers and pupils do with classes. A class that is not the teacher's is answered as missing."""

    def __init__(self, store: ClassStore, users: UserStore, defaults: Quotas) -> None:
        self._store = store
        self._users = users
        self._quotas: Mapping[str, float | None] = seat_quotas(defaults)

    def start(self, teacher: User, title: str, seats: int, until: float) -> Class:
        """Start a class that ends at `until`, in Unix seconds.

        Raises:
            ForbiddenError: a pupil asks for it.
            InvalidInputError: it has too many seats, or its end is past or too far away.
            QuotaExceededError: the teacher has too many classes.
        """
        if class_of(teacher.name):
            raise ForbiddenError("a pupil of a class cannot start another one; the teacher can")
        if not 1 <= seats <= MOST_SEATS:
            raise InvalidInputError(f"seats: a class has 1 to {MOST_SEATS} seats, not {seats}")
        self._check_end(until)
        title = _clean_title(title)
        most = None if teacher.is_admin else MOST_CLASSES
        started = self._store.start(title, teacher.name, seats, until, most)
        _log.info("class %s of %s started, %d seats", started.code, teacher.name, seats)
        return started

    def of(self, teacher: User) -> list[Class]:
        """Return the classes of a teacher, or all for an admin, the newest first."""
        return [each for each in self._store.all() if teacher.is_admin or each.teacher == teacher.name]

    def get(self, teacher: User, code: str) -> Class:
        """Return a class of a teacher.

        Raises:
            ClassNotFoundError: it is none of theirs.
        """
        found = self._store.get(code)
        if not (teacher.is_admin or found.teacher == teacher.name):
            raise ClassNotFoundError
        return found

    def change(
        self,
        teacher: User,
        code: str,
        *,
        title: str | None = None,
        until: float | None = None,
        paused: bool | None = None,
    ) -> Class:
        """Change the title or the end of a class, pause it or let it go on; pupils notice it within a second.

        Raises:
            ClassNotFoundError: it is none of theirs.
            ClassEndedError: it has ended.
            InvalidInputError: its end would be past or too far away.
        """
        if self.get(teacher, code).is_over:
            raise ClassEndedError("the class has ended; start another one")
        if until is not None:
            self._check_end(until)
        title = None if title is None else _clean_title(title)
        given = {"title": title, "until": until, "paused": paused}
        return self._store.change(code, **{name: value for name, value in given.items() if value is not None})

    def end(self, teacher: User, code: str) -> Class:
        """End a class: its pupils are out within a second, and what they made is kept for the export.

        Raises:
            ClassNotFoundError: it is none of theirs.
        """
        found = self.get(teacher, code)
        if found.is_over:
            return found
        _log.info("class %s ended", code)
        return self._store.change(code, until=time.time())

    def delete(self, teacher: User, code: str) -> Class:
        """End a class and delete it, with everything that its pupils made.

        Raises:
            ClassNotFoundError: it is none of theirs.
        """
        found = self.get(teacher, code)
        if found.deleting:
            return found
        return self._store.change(code, until=min(found.until, time.time()), deleting=True)

    def seats(self, found: Class) -> list[Account]:
        """Return the accounts of the pupils, in the order in which they came."""
        return self._store.seats(found.code)

    def taken(self, found: Class) -> int:
        """Return the number of pupils."""
        return self._store.taken(found.code)

    def rename(self, teacher: User, code: str, seat: str, nickname: str) -> Account:
        """Change the nickname of a pupil; the account keeps its name.

        Raises:
            ClassNotFoundError: it is none of theirs.
            SeatNotFoundError: nobody has this seat.
            ConflictError: another pupil has the nickname.
            InvalidInputError: it is no nickname.
        """
        found = self.get(teacher, code)
        account = self._store.check_seat(code, seat)
        shown = clean_nickname(nickname)
        wanted = seat_of(shown, found.teacher)
        for other in self._store.seats(code):
            if other.name != account and wanted in {seat_of(other.nickname, ""), seat_in(other.name)}:
                raise ConflictError(f"the nickname {shown!r} is taken; choose another")
        return self._users.change(account, {"nickname": shown})

    def remove(self, teacher: User, code: str, seat: str) -> None:
        """Remove a pupil, and delete everything that the pupil made.

        Raises:
            ClassNotFoundError: it is none of theirs.
            SeatNotFoundError: nobody has this seat.
        """
        self.get(teacher, code)
        self._store.leave(code, [self._store.check_seat(code, seat)])

    def let_back(self, teacher: User, code: str, seat: str) -> str:
        """Return a code with which a pupil who lost the session enters the seat again, once, within ten minutes.

        Raises:
            ClassNotFoundError: it is none of theirs.
            ClassEndedError: it has ended.
            SeatNotFoundError: nobody has this seat.
        """
        if self.get(teacher, code).is_over:
            raise ClassEndedError("the class has ended; nobody can return to it")
        return self._store.new_return(code, self._store.check_seat(code, seat))

    def look(self, code: str, address: str) -> Class:
        """Return the class that somebody at a network address found by its code.

        Raises:
            ClassNotFoundError: there is none of this code.
            TooManyTriesError: too many wrong codes came from there.
        """
        try:
            return self._store.get(code)
        except ClassNotFoundError:
            self._store.count_try(f"code:{address}", MOST_JOINS)
            raise

    def join(self, code: str, nickname: str) -> str:
        """Take a seat under a nickname; return the token of its account.

        Raises:
            ClassNotFoundError: there is no class of this code.
            ClassEndedError: it has ended.
            ClassFullError: all seats are taken.
            ConflictError: the nickname is taken.
            InvalidInputError: it is no nickname.
            TooManyTriesError: too many tried to join within a minute.
        """
        found = self._store.get(code)
        if found.is_over:
            raise ClassEndedError
        self._store.count_try(f"join:{code}", MOST_JOINS)
        shown = clean_nickname(nickname)
        seat = seat_of(shown, found.teacher)
        if any(seat == seat_of(other.nickname, "") for other in self._store.seats(code)):
            raise ConflictError(f"the nickname {shown!r} is taken; choose another")
        return self._store.take_seat(code, seat, shown, self._quotas)

    def return_to(self, code: str, entry: str) -> str:
        """Enter a seat again with a code from the teacher; return a new token, which ends the session before.

        Raises:
            ClassNotFoundError: there is no class of this code.
            ClassEndedError: it has ended.
            SeatNotFoundError: the code is none of these, or was used.
            TooManyTriesError: too many tried it within a minute.
        """
        if self._store.get(code).is_over:
            raise ClassEndedError
        self._store.count_try(f"return:{code}", MOST_RETURNS)
        token = self._store.return_to_seat(code, entry.replace(" ", ""))
        if token is None:
            raise SeatNotFoundError("this code opens no seat; ask the teacher for a new one")
        return token

    @staticmethod
    def _check_end(until: float) -> None:
        if not 0 < until - time.time() <= LONGEST_S:
            raise InvalidInputError(f"until: a class ends within {LONGEST_S / 3600:g} hours from now")


def _clean_title(text: str) -> str:
    """Return a title as it is shown.

    Raises:
        InvalidInputError: it is empty or too long, or not printable.
    """
    title = " ".join(text.split())
    if not (1 <= len(title) <= MOST_TITLE and title.isprintable()):
        raise InvalidInputError(f"title: it has 1 to {MOST_TITLE} printable characters")
    return title


def seat_in(account: str) -> str:
    """Return the seat of an account."""
    return account.partition(".")[2]

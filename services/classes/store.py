"""Classes and their seats in Redis."""

import json
import secrets
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

from services.classes.record import LONGEST_S, RETURN_S, Class, new_code
from services.errors import (
    ClassEndedError,
    ClassFullError,
    ClassNotFoundError,
    ConflictError,
    QuotaExceededError,
    SeatNotFoundError,
    TooManyTriesError,
)
from services.jobs.record import JobKind
from services.names import CLASS_CODE_LENGTH, account_of, group_name
from services.store import keys
from services.store.connection import Connection
from services.users.accounts import Account, Role, digest_of, new_token

_MINUTE_S: Final = 60


class ClassStore:
    """Reads and writes classes; every change is one atomic step."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def start(self, title: str, teacher: str, seats: int, until: float, most: int | None) -> Class:
        """Record a class under a new code.

        Raises:
            QuotaExceededError: the teacher has `most` classes that have not ended.
        """
        fields = {"title": title, "teacher": teacher, "seats": seats, "until": until}
        texts = [text for name, value in fields.items() for text in (name, json.dumps(value))]
        while True:
            code = new_code()
            answer = self._connection.run(
                "classes/start_class", code, teacher, "" if most is None else most, *texts
            )
            if answer == b"started":
                return self.get(code)
            if answer == b"full":
                raise QuotaExceededError(
                    f"you have {most} classes that have not ended; end one first",
                    facts={"quota": "classes", "limit": most, "used": most},
                )

    def get(self, code: str) -> Class:
        """Return a class.

        Raises:
            ClassNotFoundError: there is none of this code.
        """
        stored: Any = self._connection.client.hgetall(keys.class_key(code)) if _is_code(code) else {}
        if not stored:
            raise ClassNotFoundError
        return Class.from_hash(code, stored)

    def all(self) -> list[Class]:
        """Return all classes, the newest first."""
        codes: Any = self._connection.client.smembers(keys.CLASSES)
        with self._connection.client.pipeline(transaction=False) as pipeline:
            for code in codes:
                pipeline.hgetall(keys.class_key(code.decode()))
            found = zip(codes, pipeline.execute(), strict=True)
        classes = (Class.from_hash(code.decode(), stored) for code, stored in found if stored)
        return sorted(classes, key=lambda each: each.created_at, reverse=True)

    def change(self, code: str, **fields: Any) -> Class:
        """Change fields of a class; return the class.

        Raises:
            ClassNotFoundError: there is none of this code, or it is being deleted.
        """
        texts = [text for name, value in fields.items() for text in (name, json.dumps(value))]
        if not self._connection.run("classes/change_class", code, *texts):
            raise ClassNotFoundError
        return self.get(code)

    def take_seat(self, code: str, seat: str, nickname: str, quotas: Mapping[str, float | None]) -> str:
        """Make the account of a new pupil; return its token.

        Raises:
            ClassNotFoundError: there is no class of this code.
            ClassEndedError: it has ended.
            ClassFullError: all seats are taken.
            ConflictError: the nickname is taken.
        """
        token = new_token()
        fields = {"role": Role.USER, "nickname": nickname, **quotas}
        texts = [text for name, value in fields.items() for text in (name, json.dumps(value))]
        answer: bytes = self._connection.run(
            "classes/take_seat", code, account_of(code, seat), digest_of(token), LONGEST_S, *texts
        )
        match answer:
            case b"taken":
                return token
            case b"missing":
                raise ClassNotFoundError
            case b"ended":
                raise ClassEndedError
            case b"full":
                raise ClassFullError
        raise ConflictError(
            f"the nickname {nickname!r} is taken; choose another, or ask the teacher for a code if it is yours"
        )

    def seats(self, code: str) -> list[Account]:
        """Return the accounts of a class's pupils, in the order in which they came."""
        names: Any = self._connection.client.smembers(keys.seats_of(code))
        with self._connection.client.pipeline(transaction=False) as pipeline:
            for name in names:
                pipeline.hgetall(keys.user_key(name.decode()))
            found = zip(names, pipeline.execute(), strict=True)
        accounts = [Account.from_hash(name.decode(), stored) for name, stored in found if stored]
        return sorted(accounts, key=lambda account: (account.created_at, account.name))

    def taken(self, code: str) -> int:
        """Return the number of a class's pupils."""
        return int(self._connection.client.scard(keys.seats_of(code)))

    def check_seat(self, code: str, seat: str) -> str:
        """Return the account of a seat.

        Raises:
            SeatNotFoundError: nobody has this seat.
        """
        account = account_of(code, seat)
        if not self._connection.client.sismember(keys.seats_of(code), account):
            raise SeatNotFoundError(f"nobody has the seat {seat!r} in this class")
        return account

    def new_return(self, code: str, account: str) -> str:
        """Return a new code with which a pupil enters an account again, once, within ten minutes."""
        entry = f"{secrets.randbelow(1_000_000):06}"
        with self._connection.client.pipeline() as pipeline:
            pipeline.set(keys.return_key(code, entry), account, ex=int(RETURN_S))
            pipeline.sadd(keys.traces_of(account), keys.return_key(code, entry))
            pipeline.execute()
        return entry

    def return_to_seat(self, code: str, entry: str) -> str | None:
        """Return a new token in exchange for such a code; None if it is none."""
        if not (entry.isascii() and entry.isdecimal()):
            return None
        token = new_token()
        found = self._connection.run("classes/return_to_seat", code, entry, digest_of(token), LONGEST_S)
        return token if found else None

    def count_try(self, what: str, most: int) -> None:
        """Count one of the tries of a minute.

        Raises:
            TooManyTriesError: there were `most` already.
        """
        key = keys.tries_key(what)
        with self._connection.client.pipeline() as pipeline:
            pipeline.set(key, 0, ex=_MINUTE_S, nx=True)
            pipeline.incr(key)
            _, tries = pipeline.execute()
        if tries > most:
            raise TooManyTriesError(retry_after_s=_MINUTE_S)

    def leave(self, code: str, accounts: Iterable[str]) -> None:
        """Take seats from their accounts, which are deleted from now on."""
        names = list(accounts)
        if names:
            self._connection.run("classes/leave_seats", code, *names)

    def leaving(self, code: str) -> dict[str, float]:
        """Return the accounts that are being deleted, with the time from which on in Unix seconds."""
        stored: Any = self._connection.client.hgetall(keys.leaving_of(code))
        return {name.decode(): float(since) for name, since in stored.items()}

    def job_ids(self, account: str) -> list[str]:
        """Return the ids of all jobs of an account."""
        ids: Any = self._connection.client.zrange(keys.jobs_of(account), 0, -1)
        return [job_id.decode() for job_id in ids]

    def has_crops(self, account: str) -> bool:
        """Return whether crops of an account wait or are on a chip."""
        lanes: Any = self._connection.client.smembers(keys.LANES)
        return any(lane.decode().rpartition(":")[2] == account for lane in lanes)

    def forget_account(self, of: Class, account: str) -> None:
        """Delete the records of an account; the teacher inherits the sums of its chip time."""
        self._connection.run("classes/forget_account", account, of.teacher, *JobKind)

    def left(self, code: str, accounts: Collection[str]) -> None:
        """Note that nothing is left of accounts."""
        self._connection.client.hdel(keys.leaving_of(code), *accounts)

    def forget(self, of: Class) -> None:
        """Delete the record of a class without seats."""
        with self._connection.client.pipeline() as pipeline:
            pipeline.srem(keys.classes_of(of.teacher), of.code)
            pipeline.hdel(keys.CHARGED, group_name(of.code))
            pipeline.delete(keys.class_key(of.code), keys.seats_of(of.code), keys.leaving_of(of.code))
            pipeline.delete(*(keys.tries_key(f"{what}:{of.code}") for what in ("join", "return")))
            pipeline.srem(keys.CLASSES, of.code)
            pipeline.execute()


def _is_code(text: str) -> bool:
    return len(text) == CLASS_CODE_LENGTH and text.isascii() and text.isalnum()

"""Webhooks as their users see them."""

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from services.cursors import read_cursor, write_cursor
from services.errors import ForbiddenError, InvalidInputError, QuotaExceededError
from services.jobs.record import JobKind
from services.names import class_of
from services.users.authentication import User
from services.webhooks.record import JOBS_HOOK, Delivery, DeliveryCounts, Event, Hook
from services.webhooks.signing import new_secret
from services.webhooks.store import WebhookStore
from services.webhooks.targets import Targets

ALL_EVENTS: Final[tuple[Event, ...]] = ("job.succeeded", "job.failed", "job.cancelled", "job.expired")
SWITCHED_OFF: Final = "switched off by its owner"


@dataclass(frozen=True, slots=True)
class DeliveryPage:
    """Some deliveries, and the cursor of the next ones."""

    deliveries: list[Delivery]
    next_cursor: str | None


class Webhooks:
    """The webhooks of users; each user reaches only their own."""

    def __init__(self, store: WebhookStore, targets: Targets, *, most: int) -> None:
        self._store = store
        self._targets = targets
        self._most = most

    def add(
        self,
        user: User,
        url: str,
        events: Sequence[Event] = ALL_EVENTS,
        kinds: Sequence[JobKind] = (),
        description: str = "",
    ) -> tuple[Hook, str]:
        """Add a webhook; return it with its secret, in plain text for the only time.

        Args:
            user: its owner.
            url: where it is sent.
            events: those that it hears of; none for jobs that name it alone.
            kinds: of the jobs, none for all but classifications.
            description: a text of the owner's.

        Raises:
            ForbiddenError: the user is a pupil of a class.
            InvalidInputError: nothing is sent to this address.
            QuotaExceededError: the user has too many.
        """
        _check_no_pupil(user)
        self._targets.check(url)
        hook_id, secret = f"h{secrets.token_hex(4)}", new_secret()
        fields = _fields(url=url, events=events, kinds=kinds, description=description)
        if not self._store.add(user.name, hook_id, fields | {"secret": secret}, most=self._most):
            raise self._too_many()
        return self._store.get(user.name, hook_id), secret

    def all(self, user: User) -> list[Hook]:
        """Return the webhooks of a user, the oldest first."""
        return self._store.all(user.name)

    def get(self, user: User, hook_id: str) -> Hook:
        """Return a webhook.

        Raises:
            WebhookNotFoundError: the user has none of this id.
        """
        return self._store.get(user.name, hook_id)

    def change(
        self,
        user: User,
        hook_id: str,
        *,
        url: str | None = None,
        events: Sequence[Event] | None = None,
        kinds: Sequence[JobKind] | None = None,
        description: str | None = None,
        active: bool | None = None,
    ) -> Hook:
        """Change what is not None, and return the webhook. One that is switched on again starts without failures.

        Raises:
            InvalidInputError: nothing is sent to this address, or the webhook has none of its own.
            WebhookNotFoundError: the user has none of this id.
        """
        if hook_id == JOBS_HOOK and not (url is None and events is None and kinds is None):
            raise InvalidInputError(
                f"the webhook {JOBS_HOOK!r} has neither address nor events: it sends to those that jobs name"
            )
        if url is not None:
            self._targets.check(url)
        fields = _fields(url=url, events=events, kinds=kinds, description=description)
        if active is not None:
            fields |= {"off": "" if active else SWITCHED_OFF}
        if active:
            fields |= {"failing_since": ""}
        if fields:
            self._store.change(user.name, hook_id, fields)
        return self._store.get(user.name, hook_id)

    def delete(self, user: User, hook_id: str) -> None:
        """Delete a webhook; its deliveries that wait have failed.

        Raises:
            WebhookNotFoundError: the user has none of this id.
        """
        self._store.delete(user.name, hook_id)

    def renew_secret(self, user: User, hook_id: str) -> str:
        """Return a new secret, which signs all tries from now on; the one before signs none.

        Raises:
            ForbiddenError: the user is a pupil of a class.
            WebhookNotFoundError: the user has none of this id; that of the addresses of jobs is made.
        """
        if hook_id == JOBS_HOOK:
            self._make_jobs_hook(user)
        secret = new_secret()
        self._store.change(user.name, hook_id, {"secret": secret})
        return secret

    def test(self, user: User, hook_id: str) -> Delivery:
        """Send a message that tells of no job, and return its delivery.

        Raises:
            ConflictError: the webhook is switched off, or has no address of its own.
            WebhookNotFoundError: the user has none of this id.
        """
        if self._store.get(user.name, hook_id).url is None:
            raise InvalidInputError(f"the webhook {JOBS_HOOK!r} has no address of its own to send a test to")
        delivery_id = f"test-{secrets.token_hex(8)}"
        self._store.test(user.name, hook_id, delivery_id)
        return self._store.delivery(user.name, delivery_id)

    def send_again(self, user: User, delivery_id: str) -> Delivery:
        """Let a delivery be tried now, and return it.

        Raises:
            ConflictError: its webhook is switched off or deleted.
            DeliveryNotFoundError: the user has none of this id.
        """
        self._store.send_again(user.name, delivery_id)
        return self._store.delivery(user.name, delivery_id)

    def page(self, user: User, limit: int, cursor: str | None, hook_id: str | None = None) -> DeliveryPage:
        """Return deliveries (to one webhook), the newest first, from a cursor on.

        Raises:
            InvalidCursorError: the cursor is not one of ours.
        """
        place = read_cursor(cursor) if cursor else None
        found = self._store.newest(user.name, limit + 1, place, hook=hook_id)
        shown, more = found[:limit], len(found) > limit
        return DeliveryPage(shown, write_cursor((shown[-1].created_at, shown[-1].id)) if more else None)

    def counts(self) -> DeliveryCounts:
        """Return the numbers of all users' deliveries."""
        return self._store.counts(time.time())

    def check_named(self, user: User, named: str) -> None:
        """Check what a job names: an address, or the id of one of the user's webhooks.

        Raises:
            ForbiddenError: the user is a pupil of a class.
            InvalidInputError: nothing is sent to this address.
            WebhookNotFoundError: the user has no webhook of this id.
        """
        if "://" not in named:
            self._store.get(user.name, named)
            return
        self._make_jobs_hook(user)
        self._targets.check(named)

    def _too_many(self) -> QuotaExceededError:
        return QuotaExceededError(
            f"your limit is {self._most} webhooks; delete one that nobody needs",
            facts={"quota": "webhooks", "limit": self._most, "used": self._most},
        )

    def _make_jobs_hook(self, user: User) -> None:
        _check_no_pupil(user)
        fields = _fields(url="", events=(), kinds=(), description="") | {"secret": new_secret()}
        most = self._most + 1 if self._most else 0
        if not self._store.add(user.name, JOBS_HOOK, fields, most=most):
            raise self._too_many()


def _check_no_pupil(user: User) -> None:
    if class_of(user.name) is not None:
        raise ForbiddenError("pupils of a class have no webhooks")


def _fields(
    *,
    url: str | None,
    events: Sequence[Event] | None,
    kinds: Sequence[JobKind] | None,
    description: str | None,
) -> dict[str, str]:
    """Return the fields of a record that are given."""
    given = {
        "url": url,
        "events": None if events is None else " ".join(dict.fromkeys(events)),
        "kinds": None if kinds is None else " ".join(dict.fromkeys(kinds)),
        "description": description,
    }
    return {name: text for name, text in given.items() if text is not None}

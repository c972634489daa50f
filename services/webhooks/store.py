"""Webhooks and their deliveries in Redis; every change is one atomic step."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from services.cursors import Place
from services.errors import ConflictError, DeliveryNotFoundError, WebhookNotFoundError
from services.jobs.record import flat_fields
from services.store import keys
from services.store.connection import Connection
from services.store.scripts import pairs
from services.webhooks.record import Claimed, Delivery, DeliveryCounts, Hook, body_of
from services.webhooks.retries import OFF_AFTER_S

LEASE_S: Final = 30
"""A delivery whose process dies is claimed by another one after this time; a try takes ten seconds and a look-up."""
MOST_OF_HOOK: Final = 2
"""Deliveries of one webhook that are tried at the same time."""
MOST_OF_USER: Final = 4
"""Deliveries of one user that are tried at the same time."""
_SCAN: Final = 200

Outcome = Literal["delivered", "retry", "failed", "gone"]


class WebhookStore:
    """Reads and writes the webhooks of users."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, user: str, hook_id: str, fields: Mapping[str, str], *, most: int) -> bool:
        """Add a webhook; return False where the user has `most` already. One of this id stays as it is."""
        told: bytes = self._run("add_hook", user, hook_id, most, *flat_fields(fields))
        return told != b"full"

    def change(self, user: str, hook_id: str, fields: Mapping[str, str]) -> None:
        """Change fields of a webhook.

        Raises:
            WebhookNotFoundError: the user has none of this id.
        """
        if not self._run("change_hook", user, hook_id, *flat_fields(fields)):
            raise no_hook(hook_id)

    def delete(self, user: str, hook_id: str) -> None:
        """Delete a webhook; deliveries that wait have failed.

        Raises:
            WebhookNotFoundError: the user has none of this id.
        """
        if not self._run("delete_hook", user, hook_id):
            raise no_hook(hook_id)

    def get(self, user: str, hook_id: str) -> Hook:
        """Return a webhook.

        Raises:
            WebhookNotFoundError: the user has none of this id.
        """
        stored: Any = self._connection.client.hgetall(keys.hook_key(user, hook_id)) if _is_id(hook_id) else {}
        if not stored:
            raise no_hook(hook_id)
        return Hook.from_hash(hook_id, stored)

    def all(self, user: str) -> list[Hook]:
        """Return the webhooks of a user, the oldest first."""
        ids: Any = self._connection.client.zrange(keys.hooks_of(user), 0, -1)
        with self._connection.client.pipeline(transaction=False) as pipeline:
            for hook_id in ids:
                pipeline.hgetall(keys.hook_key(user, hook_id.decode()))
            return [
                Hook.from_hash(hook_id.decode(), stored)
                for hook_id, stored in zip(ids, pipeline.execute(), strict=True)
                if stored
            ]

    def test(self, user: str, hook_id: str, delivery_id: str) -> None:
        """Record a delivery that tells of no job.

        Raises:
            ConflictError: the webhook is switched off.
            WebhookNotFoundError: the user has none of this id.
        """
        match self._run("test_hook", user, hook_id, delivery_id):
            case b"missing":
                raise no_hook(hook_id)
            case b"off":
                raise ConflictError(_OFF)

    def send_again(self, user: str, delivery_id: str) -> None:
        """Let a delivery be tried now.

        Raises:
            ConflictError: its webhook is switched off or deleted.
            DeliveryNotFoundError: the user has none of this id.
        """
        match self._run("send_again", user, delivery_id) if _is_id(delivery_id) else b"missing":
            case b"missing":
                raise DeliveryNotFoundError(
                    f"there is no delivery {delivery_id!r} of yours; it may have expired"
                )
            case b"deleted":
                raise ConflictError("the webhook of this delivery was deleted")
            case b"off":
                raise ConflictError(_OFF)

    def delivery(self, user: str, delivery_id: str) -> Delivery:
        """Return a delivery.

        Raises:
            DeliveryNotFoundError: the user has none of this id.
        """
        found = self._deliveries(user, [delivery_id])
        if not found:
            raise DeliveryNotFoundError(f"there is no delivery {delivery_id!r} of yours; it may have expired")
        return found[0]

    def newest(
        self, user: str, count: int, before: Place | None = None, *, hook: str | None = None
    ) -> list[Delivery]:
        """Return deliveries of a user (to one webhook), newest first, those after the place `before`."""
        found: list[Delivery] = []
        while len(found) < count:
            places = self._places(user, before)
            if not places:
                break
            before = places[-1]
            page = self._deliveries(user, [delivery_id for _, delivery_id in places])
            found += [delivery for delivery in page if hook in {None, delivery.hook}]
        return found[:count]

    def claim(self, count: int) -> list[Claimed]:
        """Return deliveries whose time has come, which no other process tries meanwhile."""
        claimed = self._run("claim_deliveries", count, LEASE_S, MOST_OF_HOOK, MOST_OF_USER)
        return [_claimed(*each) for each in claimed]

    def finish(
        self,
        claimed: Claimed,
        outcome: Outcome,
        *,
        status: int | None,
        took_s: float,
        problem: str,
        pause_s: float = 0.0,
    ) -> bool:
        """Record what came of a try; return whether the webhook was switched off by it."""
        told: bytes = self._run(
            "finish_delivery",
            claimed.user,
            claimed.hook,
            claimed.id,
            claimed.number,
            outcome,
            "" if status is None else status,
            round(1000 * took_s),
            problem,
            pause_s,
            OFF_AFTER_S,
        )
        return told == b"off"

    def counts(self, now: float) -> DeliveryCounts:
        """Return the numbers of deliveries; `now` in Unix seconds."""
        with self._connection.client.pipeline(transaction=False) as pipeline:
            pipeline.hgetall(keys.HOOKS_COUNTED)
            pipeline.zcard(keys.HOOKS_WAITING)
            pipeline.zrange(keys.HOOKS_WAITING, 0, 0, withscores=True)
            counted, waiting, oldest = pipeline.execute()
        delivered, failed, tried = (int(counted.get(name, 0)) for name in (b"delivered", b"failed", b"tried"))
        return DeliveryCounts(
            delivered, failed, tried, waiting, max(0.0, now - oldest[0][1]) if oldest else 0.0
        )

    def _places(self, user: str, before: Place | None) -> list[Place]:
        found: Any = self._connection.client.zrange(
            keys.deliveries_of(user),
            f"{before[0]:.6f}" if before else "+inf",
            "-inf",
            desc=True,
            byscore=True,
            withscores=True,
            offset=0,
            num=_SCAN,
        )
        places = [(at, delivery_id.decode()) for delivery_id, at in found]
        return [place for place in places if before is None or place < before]

    def _deliveries(self, user: str, ids: Sequence[str]) -> list[Delivery]:
        with self._connection.client.pipeline(transaction=False) as pipeline:
            for delivery_id in ids:
                pipeline.hgetall(keys.delivery_key(user, delivery_id))
            return [
                Delivery.from_hash(delivery_id, stored)
                for delivery_id, stored in zip(ids, pipeline.execute(), strict=True)
                if b"state" in stored
            ]

    def _run(self, script: str, *arguments: str | float) -> Any:
        return self._connection.run(f"webhooks/{script}", *arguments)


_OFF: Final = "the webhook is switched off; switch it on first (`active`: true)"


def no_hook(hook_id: str) -> WebhookNotFoundError:
    """Return the error for a webhook that the user does not have."""
    return WebhookNotFoundError(f"there is no webhook {hook_id!r} of yours; see `GET /v1/webhooks`")


def _is_id(text: str) -> bool:
    return text.isascii() and text.replace("-", "").isalnum()


def _claimed(
    user: bytes,
    hook: bytes,
    delivery_id: bytes,
    number: int,
    fields: Sequence[bytes],
    of_hook: Sequence[bytes],
) -> Claimed:
    stored = {name: value.decode() for name, value in pairs(fields).items()}
    body = body_of(stored[b"event"], float(stored[b"at"]), stored[b"told"])
    return Claimed(
        user.decode(),
        hook.decode(),
        delivery_id.decode(),
        number,
        stored[b"url"] or of_hook[0].decode(),
        of_hook[1].decode(),
        body,
    )

"""Webhooks: your addresses that hear of the ends of your jobs, and the verification of what they receive."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from hxserve.classification import fresh_key
from hxserve.errors import WebhookNotVerifiedError
from hxserve.transport import Transport, json_object, segment

_PATH: Final = "/v1/webhooks"
_PAGE: Final = 100
_PREFIX: Final = "whsec_"


def verify(
    secret: str,
    headers: Mapping[str, str],
    body: bytes | str,
    *,
    tolerance_s: float = 300.0,
    now: float | None = None,
) -> dict[str, Any]:
    """Return a received message after its signature and its time were checked.

    Args:
        secret: of the webhook, as it was shown once.
        headers: of the request; their names in any case.
        body: of the request, exactly as it came.
        tolerance_s: the most that the clocks of sender and receiver, and the way between them, may differ.
        now: Unix seconds; None for the clock of this machine.

    Returns:
        The message: its `type`, `timestamp` and `data`. Its id, `webhook-id`, is the same when it comes again.

    Raises:
        WebhookNotVerifiedError: it was not signed with this secret, or not within the tolerance.
        ValueError: the secret is none of a webhook.
    """
    key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    content = body.encode() if isinstance(body, str) else body
    given = {name.lower(): value for name, value in headers.items()}
    try:
        message_id, at, signatures = (
            given[f"webhook-{name}"].strip() for name in ("id", "timestamp", "signature")
        )
    except KeyError as error:
        raise WebhookNotVerifiedError(f"the request has no header {error.args[0]}") from None
    if not (at.isascii() and at.isdigit()):
        raise WebhookNotVerifiedError(f"webhook-timestamp is {at!r}, no time in Unix seconds")
    signature = hmac.new(key, f"{message_id}.{at}.".encode() + content, hashlib.sha256).digest()
    versions = (each.partition(",") for each in signatures.split())
    if not any(version == "v1" and _is_same(text, signature) for version, _, text in versions):
        raise WebhookNotVerifiedError(
            "the request was not signed with this secret, or its body is another one"
        )
    if abs((time.time() if now is None else now) - int(at)) > tolerance_s:
        raise WebhookNotVerifiedError(f"the request was sent more than {tolerance_s:g} s from now")
    message: dict[str, Any] = json.loads(content)
    return message


def _is_same(text: str, signature: bytes) -> bool:
    try:
        return hmac.compare_digest(base64.b64decode(text, validate=True), signature)
    except (binascii.Error, ValueError):
        return False


class Webhooks:
    """Your webhooks: `client.webhooks`. A webhook is a dictionary, as `GET /v1/webhooks/{id}` describes it."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(self) -> list[dict[str, Any]]:
        """Return your webhooks, the oldest first."""
        hooks: list[dict[str, Any]] = self._transport.call_json("GET", _PATH)["webhooks"]
        return hooks

    def show(self, webhook: str) -> dict[str, Any]:
        """Return a webhook."""
        return self._transport.call_json("GET", _path(webhook))

    def add(
        self,
        url: str,
        *,
        events: Sequence[str] | None = None,
        kinds: Sequence[str] | None = None,
        description: str | None = None,
    ) -> dict[str, Any]:
        """Add a webhook; return it with its `secret`, which is shown this once.

        Args:
            url: where it is sent, https or http.
            events: of `job.succeeded`, `job.failed`, `job.cancelled` and `job.expired`; None for all, an empty list for
                jobs that name the webhook alone.
            kinds: of the jobs; None for all but classifications.
            description: a text of yours.

        Raises:
            ServiceError: nothing is sent to this address, or there are too many.
        """
        given = {"url": url, "events": events, "kinds": kinds, "description": description}
        body = {name: value for name, value in given.items() if value is not None}
        # Sent once: a repetition would add another one.
        return json_object(self._transport.call("POST", _PATH, json=body, retry=False))

    def change(self, webhook: str, /, **changes: Any) -> dict[str, Any]:
        """Change a webhook, and return it.

        Args:
            webhook: its id.
            **changes: `url`, `events`, `kinds`, `description`, and `active`, which switches it on or off.
        """
        return json_object(self._transport.call("PATCH", _path(webhook), json=changes))

    def delete(self, webhook: str) -> None:
        """Delete a webhook; its deliveries that wait have failed."""
        self._transport.delete(_path(webhook))

    def renew_secret(self, webhook: str = "jobs") -> str:
        """Return a new secret of a webhook, shown this once; it signs from now on.

        Args:
            webhook: its id; `jobs` is that of the addresses that jobs name.
        """
        answer = self._transport.call("POST", f"{_path(webhook)}/secret", headers=fresh_key(), retry=False)
        secret: str = json_object(answer)["secret"]
        return secret

    def test(self, webhook: str) -> dict[str, Any]:
        """Send a message of the type `webhook.test`; return its delivery."""
        return json_object(self._transport.call("POST", f"{_path(webhook)}/test", retry=False))

    def deliveries(self, webhook: str | None = None, *, limit: int | None = None) -> Iterator[dict[str, Any]]:
        """Yield deliveries, newest first, at most `limit`.

        Args:
            webhook: the id of one; None for all.
            limit: the most.
        """
        cursor: str | None = None
        while limit is None or limit > 0:
            count = _PAGE if limit is None else min(limit, _PAGE)
            query = {"webhook": webhook, "limit": count, "cursor": cursor}
            page = self._transport.call_json("GET", f"{_PATH}/deliveries", query=query)
            yield from page["deliveries"]
            limit = None if limit is None else limit - len(page["deliveries"])
            cursor = page["next_cursor"]
            if not cursor:
                return

    def send_again(self, delivery: str) -> dict[str, Any]:
        """Send a delivery again, with the same id; return it."""
        path = f"{_PATH}/deliveries/{segment(delivery)}/again"
        return json_object(self._transport.call("POST", path))


def _path(webhook: str) -> str:
    return f"{_PATH}/{segment(webhook)}"

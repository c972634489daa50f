"""The users of a service, for its admins."""

from collections.abc import Mapping
from typing import Any

from hxserve.transport import Transport, json_object, segment


class Users:
    """Managing users: `client.users`.

    Quotas are `max_queued_jobs`, `max_waiting_crops`, `chip_seconds_per_day`, `requests_per_second`,
    `operations_per_second`, `operation_bytes_per_second`, `kept_crops`, `open_corrections` and `dataset_bytes`: a
    number, "unlimited", or None for the service's default; one that is not given stays as it is.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(self) -> list[dict[str, Any]]:
        """Return all users with their roles, quotas and the facts about their tokens."""
        users: list[dict[str, Any]] = self._transport.call_json("GET", "/v1/users")["users"]
        return users

    def show(self, name: str) -> dict[str, Any]:
        """Return one user."""
        return self._transport.call_json("GET", _path(name))

    def add(
        self,
        name: str,
        role: str = "user",
        *,
        expires_in_s: float | None = None,
        quotas: Mapping[str, float | str | None] | None = None,
    ) -> dict[str, Any]:
        """Add a user; `token` in the answer is shown this once.

        Args:
            name: lower-case letters, digits, `.`, `_` and `-`.
            role: `user` or `admin`.
            expires_in_s: life of the token; None for one without end.
            quotas: limits by name that differ from the service's defaults.
        """
        body = {"name": name, "role": role, "expires_in": expires_in_s, "quotas": quotas or {}}
        return self._create("/v1/users", body)

    def change(
        self,
        name: str,
        *,
        role: str | None = None,
        disabled: bool | None = None,
        quotas: Mapping[str, float | str | None] | None = None,
    ) -> dict[str, Any]:
        """Change a user's role or quotas, disable or enable them; return the user."""
        given = {"role": role, "disabled": disabled}
        body = {field: value for field, value in given.items() if value is not None} | {
            "quotas": quotas or {}
        }
        return self._transport.call_json("PATCH", _path(name), json=body)

    def issue_token(
        self, name: str, *, expires_in_s: float | None = None, revoke: bool = False
    ) -> dict[str, Any]:
        """Issue a new token, shown this once; with `revoke` it is the user's only one."""
        return self._create(f"{_path(name)}/tokens", {"expires_in": expires_in_s, "revoke": revoke})

    def revoke_tokens(self, name: str, token_id: str | None = None) -> int:
        """Revoke the token of this id, or all tokens of a user; return their number."""
        path = f"{_path(name)}/tokens" + (f"/{segment(token_id)}" if token_id else "")
        revoked: int = self._transport.call_json("DELETE", path)["revoked"]
        return revoked

    def _create(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        # Sent once: a repetition could not show the same token again.
        return json_object(self._transport.call("POST", path, json=body, retry=False))


def _path(name: str) -> str:
    return f"/v1/users/{segment(name)}"

"""Requests about aliases: promotions, rollbacks and their history."""

from typing import Any

from hxserve.transport import Transport, segment


class PromotionRequests:
    """The part of the client for safe promotion."""

    _transport: Transport

    def history(self, name: str, alias: str = "production") -> dict[str, Any]:
        """Return an alias with its `changes`, newest first, each with user, time, reason and figures."""
        return self._transport.call_json("GET", f"{alias_path(name, alias)}/history")

    def rollback(self, name: str, alias: str = "production", *, why: str = "") -> dict[str, Any]:
        """Let an alias name the version that it named before; again: the one before that. Return its history.

        Raises:
            ConnectionFailedError: no answer came. The request is not repeated, because two rollbacks lead further back.
            ServiceError: there is no earlier version.
        """
        path = f"{alias_path(name, alias)}/rollback"
        return self._transport.call_json("POST", path, json={"why": why}, retry=False)

    def rollout(
        self,
        name: str,
        candidate: str | int,
        alias: str = "production",
        *,
        share: float = 0.0,
        shadow: float = 0.0,
    ) -> dict[str, Any]:
        """Let a candidate answer a share of the senders under an alias, and read a share of the others' crops, too.

        Args:
            name: the model's.
            candidate: a number or an alias.
            alias: the alias.
            share: of the senders, 0..1; a sender is always answered by the same version.
            shadow: share of the other crops that the candidate reads in spare chip time, 0..1; nobody is charged.
        """
        body = {"candidate": str(candidate), "share": share, "shadow": shadow}
        return self._transport.call_json("PUT", f"{alias_path(name, alias)}/rollout", json=body)

    def show_rollout(self, name: str, alias: str = "production") -> dict[str, Any]:
        """Return the rollout of an alias, with what its candidate has read."""
        return self._transport.call_json("GET", f"{alias_path(name, alias)}/rollout")

    def end_rollout(self, name: str, alias: str = "production") -> None:
        """End the rollout of an alias: all senders are answered by its version again."""
        self._transport.delete(f"{alias_path(name, alias)}/rollout")

    def _promote(
        self, name: str, version: str, alias: str, comparison: str, margin: float | None, why: str
    ) -> dict[str, Any]:
        body: dict[str, Any] = {"version": version, "comparison": comparison, "why": why}
        if margin is not None:
            body["margin"] = margin
        return self._transport.call_json("POST", f"{alias_path(name, alias)}/promote", json=body)


def alias_path(name: str, alias: str) -> str:
    """Return the path of an alias."""
    return f"/v1/models/{segment(name)}/aliases/{segment(alias)}"

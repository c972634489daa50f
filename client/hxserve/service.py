"""Requests about the service: its chips, its queue, its usage, and the user of the token."""

from collections.abc import Mapping
from typing import Any

from hxserve.classification import fresh_key
from hxserve.errors import ConnectionFailedError
from hxserve.transport import Transport, json_object, segment


class ServiceRequests:
    """The part of the client for the service as a whole."""

    _transport: Transport

    def chip(self) -> dict[str, Any]:
        """Return the chips, their holders, their calibration and last self-test."""
        return self._transport.call_json("GET", "/v1/chip")

    def drain_chip(
        self, chip: str | None = None, *, message: str = "", finish: bool = False
    ) -> list[dict[str, Any]]:
        """Put a chip into maintenance: crops are served on, new long work waits. Needs an admin's token.

        Args:
            chip: its id; all chips when None.
            message: shown to its users.
            finish: let long work that runs finish, instead of pausing it.

        Returns:
            The chips as they are then.
        """
        body = {"chip": chip, "message": message, "running": "finish" if finish else "pause"}
        return self._steer_chips("drain", body)

    def resume_chip(self, chip: str | None = None) -> list[dict[str, Any]]:
        """End the maintenance of a chip, or of all; the chips as they are then. Needs an admin's token."""
        return self._steer_chips("resume", {"chip": chip})

    def series(self, chip: str, name: str, limit: int = 500) -> list[dict[str, float]]:
        """Return the newest points of a chip's series `canary` or `shadow`, oldest first."""
        path = f"/v1/chip/{segment(chip)}/series/{segment(name)}"
        points: list[dict[str, float]] = self._transport.call_json("GET", path, query={"limit": limit})[
            "points"
        ]
        return points

    def sample(self, digit: int) -> dict[str, Any]:
        """Return a random picture of a digit from the test set: 784 `pixels`, 0..255, and the name of the `dataset`."""
        return self._transport.call_json("GET", f"/v1/samples/{digit}")

    def queue(self) -> dict[str, Any]:
        """Return the waiting work, and the expected wait of new work."""
        return self._transport.call_json("GET", "/v1/queue")

    def statistics(self) -> list[dict[str, Any]]:
        """Return the outcomes of crop requests since the service started, by version, with its chip calls by size."""
        found: list[dict[str, Any]] = self._transport.call_json("GET", "/v2/models/stats")["model_stats"]
        return found

    def usage(self) -> dict[str, Any]:
        """Return one's own chip time by kind of work, and that of all users together; admins see each user's."""
        return self._transport.call_json("GET", "/v1/usage")

    def me(self) -> dict[str, Any]:
        """Return the user of the token, their quotas, and the remainder of each."""
        return self._transport.call_json("GET", "/v1/me")

    def is_ready(self) -> bool:
        """Return whether the service accepts work now; the request is not repeated."""
        try:
            return self._transport.request("GET", "/readyz", retry=False).status == 200
        except ConnectionFailedError:
            return False

    def tell_letters(self, status: dict[str, Any]) -> None:
        """Report the state of a letter centre to the service, for its page; see `hxserve_letters.status_reporter`.

        Raises:
            ServiceError: the service refused.
        """
        self._transport.call("PUT", "/v1/letters", json=status)

    def _steer_chips(self, what: str, body: Mapping[str, Any]) -> list[dict[str, Any]]:
        answer = self._transport.call("POST", f"/v1/chip/{what}", json=body, headers=fresh_key())
        chips: list[dict[str, Any]] = json_object(answer)["chips"]
        return chips

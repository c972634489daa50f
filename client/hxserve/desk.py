"""The coding desk, on which people key the postcodes of letters that a letter centre could not read."""

from collections.abc import Iterable, Mapping
from typing import Any

from hxserve.transport import Transport, segment


class Desk:
    """Your desk: `client.desk`. Letters are dictionaries, as `PUT /v1/desk/letters/{id}` describes them."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def counts(self) -> dict[str, int]:
        """Return the numbers of letters that are `waiting`, and that were `keyed`."""
        desk = self._transport.call_json("GET", "/v1/desk")
        return {name: desk[name] for name in ("waiting", "keyed")}

    def put(self, letter_id: str, letter: Mapping[str, Any]) -> None:
        """Put a rejected letter on the desk; sent again under the same id, it stays as it is.

        Raises:
            ServiceError: the desk is full, or the letter is not as it should be.
        """
        self._transport.call("PUT", f"/v1/desk/letters/{segment(letter_id)}", json=dict(letter))

    def claim(self) -> dict[str, Any] | None:
        """Return the letter that has waited longest, for this coder alone, with its `id`; None if none waits."""
        letter: dict[str, Any] | None = self._transport.call_json("POST", "/v1/desk/claims")["letter"]
        return letter

    def key(self, letter_id: str, postcode: str | None) -> None:
        """Key the five digits of a postcode, or None if it cannot be read.

        Raises:
            ServiceError: the letter is not on the desk any more, or these are not five digits.
        """
        path = f"/v1/desk/letters/{segment(letter_id)}/postcode"
        self._transport.call("PUT", path, json={"postcode": postcode})

    def take_back(self, letter_id: str) -> dict[str, Any]:
        """Take back a keyed postcode and return its letter, which is claimed again.

        Raises:
            ServiceError: it was collected already.
        """
        path = f"/v1/desk/letters/{segment(letter_id)}/postcode"
        letter: dict[str, Any] = self._transport.call_json("DELETE", path)["letter"]
        return letter

    def collect(self, received: Iterable[str] = ()) -> list[dict[str, Any]]:
        """Return the keyed letters, as `id`, `number` and `postcode`; the newest a few seconds later.

        Args:
            received: ids of letters that were returned before; the others are returned again.
        """
        body = {"received": list(received)}
        answer = self._transport.call_json("POST", "/v1/desk/collections", json=body)
        letters: list[dict[str, Any]] = answer["letters"]
        return letters

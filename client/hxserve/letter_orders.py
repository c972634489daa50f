"""Orders of the letter centre that admins start from the page."""

from collections.abc import Mapping
from typing import Any

from hxserve.transport import Transport, json_object

_PATH = "/v1/letters/order"


class LetterOrders:
    """The order of the service's letter centre, for admins: `client.letter_orders`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def show(self) -> dict[str, Any]:
        """Return `ready`, whether a process carries out orders, and the newest `order` with its `state`."""
        return self._transport.call_json("GET", _PATH)

    def place(self, /, **params: Any) -> dict[str, Any]:
        """Order a run of the letter centre; return what `show` returns.

        Args:
            **params: `model`, `version`, `letters`, `machines`, and `rate` in letters per hour and machine.

        Raises:
            ServiceError: a centre sorts already, or no process carries out orders.
        """
        # Not repeated: the order would be found busy with itself.
        return json_object(self._transport.call("POST", _PATH, json=params, retry=False))

    def stop(self) -> None:
        """Stop the run, if there is one."""
        self._transport.call("DELETE", _PATH)

    def beat(
        self, order_id: str | None = None, *, ended: bool = False, problem: Mapping[str, str] | None = None
    ) -> dict[str, Any] | None:
        """Give a sign of life of a process that carries out orders; return the order that it shall carry out now.

        Args:
            order_id: the order that it carries out.
            ended: that order has ended.
            problem: the error with which it ended: `code` and `message`.
        """
        body = {"id": order_id, "ended": ended, "problem": problem}
        order: dict[str, Any] | None = self._transport.call_json("POST", f"{_PATH}/beats", json=body)["order"]
        return order

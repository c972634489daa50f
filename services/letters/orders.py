"""Orders of a letter centre: one at a time, carried out by a process that waits for them, handed out at most once."""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from services.errors import ConflictError
from services.store import keys
from services.store.connection import Connection
from services.store.scripts import pairs

ALIVE_S: Final = 10
"""A process without a sign of life for this long is gone, and the order that it had is lost."""
KEEP_S: Final = 3600
"""The result of an order is shown for this long."""

OrderState = Literal["waiting", "running", "stopping", "stopped", "ended", "lost"]


@dataclass(frozen=True, slots=True)
class Order:
    """An order: a run of the letter centre; `problem` has `code` and `message` of the error with which it ended."""

    id: str
    user: str
    state: OrderState
    params: Mapping[str, Any]
    problem: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class OrdersView:
    """The newest order, and whether a process is there that carries out orders."""

    ready: bool
    order: Order | None


class OrderStore:
    """The order of the service's letter centre, in Redis."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def place(self, user: str, params: Mapping[str, Any]) -> str:
        """Record an order; return its id.

        Raises:
            ConflictError: another one waits or is carried out, or no process carries out orders.
        """
        order_id = secrets.token_hex(6)
        match self._run("place_order", order_id, user, json.dumps(params), ALIVE_S, KEEP_S):
            case b"absent":
                raise ConflictError(
                    "no process waits for orders of a letter centre; start one with `hxserve letters --on-demand`"
                )
            case b"busy":
                raise ConflictError("a letter centre sorts already; stop it, or wait until it has ended")
        return order_id

    def beat(
        self, order_id: str | None, *, ended: bool = False, problem: Mapping[str, str] | None = None
    ) -> Order | None:
        """Note a sign of life of a process that carries out orders; return the order that it shall carry out now.

        Args:
            order_id: the order that it carries out, if it has one.
            ended: that order has ended.
            problem: the error with which it ended.
        """
        said = json.dumps(problem) if problem else ""
        found = self._run("beat_order", order_id or "", str(int(ended)), said, ALIVE_S)
        return _order(pairs(found)) if found else None

    def stop(self) -> None:
        """Stop the order that waits or is carried out; without one, do nothing."""
        self._run("stop_order")

    def view(self) -> OrdersView:
        """Return the newest order of the last hour, and whether orders are carried out."""
        with self._connection.client.pipeline() as pipeline:
            pipeline.exists(keys.CENTRE_ON_DEMAND)
            pipeline.exists(keys.CENTRE_LEASE)
            pipeline.hgetall(keys.CENTRE_ORDER)
            ready, held, found = pipeline.execute()
        return OrdersView(bool(ready), _order(found, held=bool(held)) if found else None)

    def _run(self, script: str, *arguments: str | float) -> Any:
        return self._connection.run(f"letters/{script}", *arguments)


def _order(found: Mapping[bytes, bytes], *, held: bool = True) -> Order:
    """Return a stored order; one that is not held, although it has not ended, is lost."""
    fields = {name.decode(): value.decode() for name, value in found.items()}
    state: Any = fields["state"]
    if not held and state not in {"ended", "stopped"}:
        state = "lost"
    problem = json.loads(fields["problem"]) if "problem" in fields else None
    return Order(fields["id"], fields["user"], state, json.loads(fields["params"]), problem)

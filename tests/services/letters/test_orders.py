"""Orders of a letter centre: one at a time, handed out once, lost with the process that carries it out."""

from typing import Final

import pytest

from services.errors import ConflictError
from services.letters.orders import Order, OrderStore
from services.store import keys
from services.store.connection import Connection

PARAMS: Final = {"letters": 7}


@pytest.fixture
def orders(connection: Connection) -> OrderStore:
    """Orders, for which a process waits."""
    store = OrderStore(connection)
    assert store.beat(None) is None
    return store


def _state(orders: OrderStore) -> str:
    order = orders.view().order
    assert order is not None
    return order.state


def test_an_order_is_handed_out_once_and_ends(orders: OrderStore) -> None:
    order_id = orders.place("ada", PARAMS)
    waiting = _state(orders)

    [first, second] = [orders.beat(None), orders.beat(None)]
    running = _state(orders)
    kept = orders.beat(order_id)
    ended = orders.beat(order_id, ended=True)

    assert (waiting, running, _state(orders)) == ("waiting", "running", "ended")
    assert first == kept == Order(order_id, "ada", "running", PARAMS)
    assert second is ended is None
    assert orders.beat(None) is None


def test_without_a_process_and_beside_another_order_none_is_placed(
    orders: OrderStore, connection: Connection
) -> None:
    orders.place("ada", PARAMS)
    with pytest.raises(ConflictError):
        orders.place("grace", PARAMS)

    connection.client.delete(keys.CENTRE_ON_DEMAND)  # as if its ten seconds were over

    assert orders.view().ready is False
    with pytest.raises(ConflictError, match="--on-demand"):
        orders.place("grace", PARAMS)


def test_an_order_that_waits_is_stopped_at_once_and_never_handed_out(orders: OrderStore) -> None:
    orders.place("ada", PARAMS)

    orders.stop()

    assert _state(orders) == "stopped"
    assert orders.beat(None) is None


def test_an_order_that_runs_is_stopped_by_its_process_whatever_that_ended_with(orders: OrderStore) -> None:
    order_id = orders.place("ada", PARAMS)
    orders.beat(None)

    orders.stop()
    shall_run, stopping = orders.beat(order_id), _state(orders)
    orders.beat(order_id, ended=True, problem={"code": "internal_error", "message": "ended by a signal"})
    orders.stop()

    assert (shall_run, stopping, _state(orders)) == (None, "stopping", "stopped")
    order = orders.view().order
    assert order is not None
    assert order.problem is None


def test_an_error_stays_with_its_order_until_the_next(orders: OrderStore) -> None:
    problem = {"code": "model_not_found", "message": "there is no such model"}
    order_id = orders.place("ada", PARAMS)
    orders.beat(None)
    orders.beat(order_id, ended=True, problem=problem)

    failed = orders.view().order
    orders.place("ada", PARAMS)
    following = orders.view().order

    assert failed is not None
    assert following is not None
    assert (failed.problem, following.problem) == (problem, None)


@pytest.mark.parametrize("taken", [True, False])
def test_an_order_whose_process_is_silent_is_lost_and_another_may_be_placed(
    orders: OrderStore, connection: Connection, taken: bool
) -> None:
    lost = orders.place("ada", PARAMS)
    if taken:
        orders.beat(None)

    connection.client.delete(keys.CENTRE_LEASE)  # as if its ten seconds were over
    state, too_late = _state(orders), orders.beat(lost if taken else None)
    another = orders.place("grace", PARAMS)

    assert (state, too_late) == ("lost", None)
    assert orders.beat(lost, ended=True) is None
    found = orders.beat(None)
    assert found is not None
    assert found.id == another


def test_process_and_order_are_forgotten_when_nobody_renews_them(
    orders: OrderStore, connection: Connection
) -> None:
    order_id = orders.place("ada", PARAMS)
    orders.beat(None)
    connection.client.expire(keys.CENTRE_LEASE, 3)
    connection.client.expire(keys.CENTRE_ON_DEMAND, 3)

    orders.beat(order_id)

    for key in (keys.CENTRE_LEASE, keys.CENTRE_ON_DEMAND):
        left_s: int = connection.client.ttl(key)
        assert 3 < left_s <= 10

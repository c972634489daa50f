"""How much waited, as a series."""

import time

from services.crops.depths import DepthKeeper, DepthStore
from services.store.connection import Connection


def test_of_many_who_note_it_at_once_one_makes_a_point(connection: Connection) -> None:
    stores = [DepthStore(connection) for _ in range(3)]

    noted = [store.note() for store in stores]

    assert noted == [True, False, False]
    [point] = stores[0].lately(1)
    assert (point.crops, point.queued, point.running) == (0, 0, 0)
    assert abs(point.at - time.time()) < 60


def test_points_come_in_the_order_of_time(connection: Connection) -> None:
    store = DepthStore(connection)

    for _ in range(4):
        assert store.note(every_s=0)

    times = [point.at for point in store.lately(1)]
    assert len(times) == 4
    assert times == sorted(times)


def test_a_keeper_notes_at_once_and_ends_when_it_is_told_to(connection: Connection) -> None:
    keeper = DepthKeeper(DepthStore(connection))

    keeper.start()
    until = time.monotonic() + 10
    while not DepthStore(connection).lately(1) and time.monotonic() < until:
        time.sleep(0.01)
    keeper.stop()

    assert len(DepthStore(connection).lately(1)) == 1

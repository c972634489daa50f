"""How much waited, as a series."""

import time

from services.crops.queue_metrics import QueueMetricsStore
from services.store.connection import Connection


def test_of_many_who_note_it_at_once_one_makes_a_point(connection: Connection) -> None:
    stores = [QueueMetricsStore(connection) for _ in range(3)]

    noted = [store.note() for store in stores]

    assert noted == [True, False, False]
    [point] = stores[0].lately(1)
    assert (point.crops, point.queued, point.running) == (0, 0, 0)
    assert abs(point.at - time.time()) < 60


def test_points_come_in_the_order_of_time(connection: Connection) -> None:
    store = QueueMetricsStore(connection)

    for _ in range(4):
        assert store.note(every_s=0)

    times = [point.at for point in store.lately(1)]
    assert len(times) == 4
    assert times == sorted(times)

"""What a process does every few seconds."""

import threading

from services.errors import RedisUnavailableError
from services.housekeeping import Housekeeping


def test_each_duty_is_done_at_once_also_after_one_that_fails() -> None:
    done = threading.Event()

    def fail() -> None:
        raise RedisUnavailableError

    housekeeping = Housekeeping(fail, done.set)
    housekeeping.start()

    assert done.wait(10)
    housekeeping.stop()

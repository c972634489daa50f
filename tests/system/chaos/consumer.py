"""`python -m tests.system.chaos.consumer URL FILE SECONDS [dies|vanishes]`: a Celery worker that only notes its turns.

It has the settings of the real one but for the visibility timeout, which is SECONDS. With `dies` it is killed in its
turn, before the message is acknowledged; with `vanishes` between taking a message and noting that it has.
"""

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any, Final

import kombu.transport.redis

from worker.celery_app import create_app

CHIP: Final = "chip-1"
NOTHING: Final = "nothing"


def main() -> None:
    """Consumes until it is killed."""
    url, file, visibility_s, fate = sys.argv[1:5]

    def turn() -> bool:
        with Path(file).open("a") as notes:
            notes.write(f"{time.time():.3f}\n")
        if fate == "dies":
            _end()
        return False

    app = create_app(url, CHIP, turn)
    options = {**app.conf.broker_transport_options, "visibility_timeout": float(visibility_s)}
    app.conf.broker_transport_options = options
    if fate == "vanishes":
        vars(kombu.transport.redis)["QoS"].append = _end
    worker = app.Worker(without_gossip=True, without_mingle=True, without_heartbeat=True, quiet=True)
    worker.start()


def _end(*arguments: Any) -> None:
    del arguments
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()

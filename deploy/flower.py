"""`python -m deploy.flower`: Celery's Flower on the Redis of the service, with its passwords from files.

As flags or variables, which Flower expects, they would be visible in lists of processes. Flower shows workers and
wake-ups; jobs and crops are not Celery's.
"""

import sys
from pathlib import Path
from typing import Final

from celery import Celery

from deploy.command import run_command
from services.chips.wakeups import broker_url
from services.passwords import read_secret
from services.settings import load_settings

PASSWORD_FILE: Final = Path("/run/secrets/flower_password")


def _serve() -> None:
    app = Celery("hxserve", broker=broker_url(load_settings().redis_url))
    password = read_secret(PASSWORD_FILE, "password of Flower")
    app.start(["flower", "--address=0.0.0.0", "--port=5555", f"--basic_auth=hxserve:{password}"])


if __name__ == "__main__":
    sys.exit(run_command(_serve))

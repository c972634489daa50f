"""`python -m deploy.flower`: Celery's Flower on the service's Redis, with its passwords from files.

Given as flags or variables, as Flower wants them, whoever may look at processes could read them. What it shows are
workers and wake-ups; jobs and crops are not Celery's, the page and `/metrics` show them.
"""

import sys
from pathlib import Path
from typing import Final

from celery import Celery

from services.chips.wakeups import broker_url
from services.errors import HxserveError
from services.passwords import read_secret
from services.settings import load_settings

PASSWORD_FILE: Final = Path("/run/secrets/flower_password")
USER: Final = "hxserve"
PORT: Final = 5555


def main() -> int:
    """Serves until it is told to stop; the exit status."""
    try:
        app = Celery("hxserve", broker=broker_url(load_settings().redis_url))
        password = read_secret(PASSWORD_FILE, "password of Flower")
    except HxserveError as error:
        print(f"flower: {error.code}: {error.message}", file=sys.stderr)  # noqa: T201 the reason for not starting
        return 1
    app.start(["flower", "--address=0.0.0.0", f"--port={PORT}", f"--basic_auth={USER}:{password}"])
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""`python -m worker.health`: whether the worker of this container, or of this host, holds its chip and takes turns.

For supervisors that ask from outside. It looks only at Redis and imports no torch, so it may be asked often.
"""

import sys
from contextlib import closing

from services.chips.store import ChipRecord, ChipStore
from services.errors import HxserveError
from services.settings import Settings, load_settings
from services.store.connection import Connection
from worker.leasing import this_process


def lacks(record: ChipRecord) -> str:
    """Return why this host does not serve the chip; empty if it does."""
    if record.holder is None:
        return f"no worker holds chip {record.chip}"
    here = this_process()
    if any(record.holder.get(name) != here[name] for name in ("host", "pid_namespace")):
        return f"chip {record.chip} is held by a worker on {record.holder.get('host')}"
    return "" if record.is_serving else f"chip {record.chip} is {record.state}"


def main() -> int:
    """Print the worker's state; return exit status 0 if it serves."""
    try:
        record = _look(load_settings())
    except HxserveError as error:
        print(f"{error.code}: {error.message}", file=sys.stderr)  # noqa: T201 the reason, for the supervisor's log
        return 1
    lacking = lacks(record)
    print(lacking or f"chip {record.chip} is {record.state}")  # noqa: T201 the output of the command
    return 1 if lacking else 0


def _look(settings: Settings) -> ChipRecord:
    with closing(Connection(settings.redis_url, retries=0)) as connection:
        return ChipStore(connection, lease_s=settings.lease_s).record(settings.chip_id)


if __name__ == "__main__":
    sys.exit(main())

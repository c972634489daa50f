"""The processes of a service on one machine: their commands and their variables."""

import os
import sys
from importlib.util import find_spec
from typing import Final

from services.settings import Settings

WORKER: Final = [sys.executable, "-m", "worker"]
GRPC: Final = [sys.executable, "-m", "api.grpc"]
LETTERS: Final = [sys.executable, "-m", "hxserve", "letters", "--on-demand"]


def has_letters() -> bool:
    """Return whether the letter centre is installed here."""
    return find_spec("hxserve_letters") is not None


def processes_of(*, standby: bool = False) -> dict[str, list[str]]:
    """Return the commands of a service by name, in the order in which they are started.

    With `standby` two workers share the chip; the one that ends is restarted as the standby of the other.
    """
    api = [sys.executable, "-m", "api"]
    if not standby:
        return {"worker": WORKER, "api": api}
    return {"worker": [*WORKER, "--standby"], "standby": [*WORKER, "--standby"], "api": api}


def environment_of(
    settings: Settings, redis_url: str, port: int, grpc_port: int | None = None
) -> dict[str, str]:
    """Return the variables of all processes of a service."""
    values = settings.model_dump(mode="json", exclude_none=True)
    values |= {"redis_url": redis_url, "port": port, "data_dir": settings.data_dir.resolve()}
    values |= {"admin_token_file": settings.token_file.resolve()}
    values |= {} if grpc_port is None else {"grpc_port": grpc_port}
    # The address has the password by now, or is that of the embedded Redis.
    values.pop("redis_password_file", None)
    inherited = {name: value for name, value in os.environ.items() if name != "HXSERVE_REDIS_PASSWORD_FILE"}
    return inherited | {f"HXSERVE_{name.upper()}": str(value) for name, value in values.items()}


def chip_variables(settings: Settings, number: int, chips: int) -> dict[str, str]:
    """Return the variables that give each worker a chip of its own and a share of the cores."""
    if chips == 1:
        return {}
    return {
        "HXSERVE_CHIP_ID": _following(settings.chip_id, number - 1),
        "HXSERVE_VIRTUAL_CHIP": _following(settings.virtual_chip, number - 1),
        "HXSERVE_THREADS": str(settings.threads or max(1, ((os.cpu_count() or 2) - 1) // chips)),
    }


def _following(name: str, steps: int) -> str:
    """Return a name with the number at its end raised: chip-1 and 2 give chip-3."""
    stem = name.rstrip("0123456789")
    return f"{stem}{int(name[len(stem) :]) + steps}" if stem != name else f"{name}-{steps + 1}"

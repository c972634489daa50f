"""Taking the chip's lease at start, from a dead predecessor at once, from a silent one when it has run out."""

import logging
import time
from collections.abc import Mapping
from typing import Any, Final

from services.errors import LeaseHeldError
from services.store.chips import ChipStore, Lease
from worker.holder import is_dead, this_process

_LOOK_EVERY_S: Final = 0.2
_log = logging.getLogger(__name__)


def take_lease(chips: ChipStore, chip: str, *, lease_s: float) -> Lease:
    """The lease of a chip.

    Raises:
        LeaseHeldError: a living worker renewed it while this one watched.
    """
    until = time.monotonic() + 1.5 * lease_s
    while True:
        holder = chips.record(chip).holder
        dead = holder if holder and is_dead(holder) else None
        try:
            return chips.take(chip, this_process(), dead=dead)
        except LeaseHeldError:
            if time.monotonic() > until or (holder and _lives_here(holder)):
                raise
            _log.info("chip %s is held; waiting whether its worker still lives", chip)
            time.sleep(_LOOK_EVERY_S)


def _lives_here(holder: Mapping[str, Any]) -> bool:
    """Whether the holder certainly runs on this machine, so that there is nothing to wait for."""
    here = this_process()
    if not here["pid_namespace"]:  # without /proc, processes of two containers look alike
        return False
    return all(holder.get(name) == here[name] for name in ("host", "pid_namespace"))

"""Acquisition of the chip's lease: from a dead predecessor at once, from a silent one after it ran out."""

import logging
import time
from collections.abc import Mapping
from typing import Any, Final

from services.chips.store import ChipStore, Lease
from services.errors import LeaseHeldError, RedisUnavailableError
from worker.holder import is_dead, this_process

_LOOK_EVERY_S: Final = 0.2
_log = logging.getLogger(__name__)


def take_lease(chips: ChipStore, chip: str, *, lease_s: float) -> Lease:
    """Take the lease of a chip.

    Raises:
        LeaseHeldError: a living worker renewed it while this one watched.
    """
    until = time.monotonic() + 1.5 * lease_s
    while True:
        holder = chips.record(chip).holder
        try:
            return _try_to_take(chips, chip, holder)
        except LeaseHeldError:
            if time.monotonic() > until or (holder and _lives_here(holder)):
                raise
            _log.info("chip %s is held; waiting whether its worker still lives", chip)
            time.sleep(_LOOK_EVERY_S)


def stand_by(chips: ChipStore, chip: str) -> Lease:
    """Wait, through restarts of Redis, until no worker holds the chip's lease, and take it."""
    is_waiting = False
    while True:
        try:
            return _try_to_take(chips, chip, chips.record(chip).holder)
        except LeaseHeldError:
            if not is_waiting:
                _log.info("standing by for chip %s", chip)
            is_waiting = True
        except RedisUnavailableError as error:
            _log.warning("standing by is interrupted: %s", error.message)
        time.sleep(_LOOK_EVERY_S)


def _try_to_take(chips: ChipStore, chip: str, holder: Mapping[str, Any] | None) -> Lease:
    dead = holder if holder and is_dead(holder) else None
    return chips.take(chip, this_process(), dead=dead)


def _lives_here(holder: Mapping[str, Any]) -> bool:
    """Return whether the holder certainly runs on this machine, so that waiting is pointless."""
    here = this_process()
    if not here["pid_namespace"]:  # without /proc, processes of two containers look alike
        return False
    return all(holder.get(name) == here[name] for name in ("host", "pid_namespace"))

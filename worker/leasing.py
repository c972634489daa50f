"""Acquisition of the chip's lease: from a dead predecessor at once, from a silent one after it ran out.

A lease names its holder, so that the next worker on the same machine recognises a dead one.
"""

import logging
import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from services.chips.store import ChipStore, Lease
from services.errors import LeaseHeldError, RedisUnavailableError

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


def this_process() -> dict[str, Any]:
    """Return a mapping that identifies this process among all that ever ran."""
    return {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "pid_namespace": _pid_namespace(),
        "started": _start_of(os.getpid()),
    }


def is_dead(holder: Mapping[str, Any]) -> bool:
    """Return whether a holder is certainly dead; on another machine or in another container that is never certain."""
    here = this_process()
    if holder.get("host") != here["host"] or holder.get("pid_namespace") != here["pid_namespace"]:
        return False
    return here["pid_namespace"] != "" and _start_of(int(holder["pid"])) != holder.get("started")


def _pid_namespace() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def _start_of(pid: int) -> str:
    """Return the start time of a process in clock ticks since boot, with the boot's id; empty without a process.

    Source: proc(5), field 22 of /proc/<pid>/stat; the command name before it may hold anything up to a `)`.
    """
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return ""
    if after_name[0] == "Z":
        return ""
    return f"{boot}:{after_name[19]}"

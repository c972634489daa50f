"""Identity of lease holders: the next worker on the same machine recognises a dead holder."""

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any


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

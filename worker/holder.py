"""Who holds a lease, so that the next worker on the same machine can tell a dead holder from a living one."""

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def this_process() -> dict[str, Any]:
    """What identifies this process among all that ever ran."""
    return {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "pid_namespace": _pid_namespace(),
        "started": _start_of(os.getpid()),
    }


def is_dead(holder: Mapping[str, Any]) -> bool:
    """Whether a holder certainly runs no more; one on another machine or in another container is never certain."""
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
    """Start time of a process in clock ticks since boot, with the boot's id; nothing when there is none.

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

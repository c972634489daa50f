"""How many connections this process may have: the operating system counts each as an open file."""

import logging
import resource
from typing import Final

RESERVED: Final = 1_500
"""Descriptors for what is not a client: Redis (up to 1,024 connections), files, libraries."""

_log = logging.getLogger("api")


def room_for(connections: int) -> int:
    """Raises the soft limit of open files so far that `connections` clients fit; says how many do."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = connections + RESERVED
    reached = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    if soft != resource.RLIM_INFINITY and soft < reached:
        resource.setrlimit(resource.RLIMIT_NOFILE, (reached, hard))
    fitting = max(connections + reached - needed, connections // 100, 1)
    if fitting < connections:
        _log.warning(
            "%d connections are served instead of %d: the hard limit of open files is %d (ulimit -Hn)",
            fitting,
            connections,
            hard,
        )
    return fitting

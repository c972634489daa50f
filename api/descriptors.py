"""The limit of open files (file descriptors): each connection is one."""

import logging
import resource
from typing import Final

RESERVED: Final = 1_500
"""Descriptors for other uses than clients: Redis (up to 1,024 connections), files, libraries."""

_log = logging.getLogger("api")


def room_for(connections: int) -> int:
    """Raise the soft limit of open files so that `connections` clients fit; return the number that do."""
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

"""All that a service keeps, as text, to find what should be gone."""

from pathlib import Path
from typing import Any

from services.store.connection import Connection


def everything_in(connection: Connection, *folders: Path) -> str:
    """Return the names and contents of all keys, and of all files in folders, as one text."""
    client: Any = connection.client
    found = []
    for folder in folders:
        paths = list(folder.rglob("*"))
        found += [str(path.relative_to(folder)) for path in paths]
        found += [path.read_bytes().decode(errors="replace") for path in paths if path.is_file()]
    for key in client.scan_iter():
        found.append(key.decode())
        match client.type(key):
            case b"string":
                found.append(repr(client.get(key)))
            case b"hash":
                found.append(repr(client.hgetall(key)))
            case b"set":
                found.append(repr(client.smembers(key)))
            case b"zset":
                found.append(repr(client.zrange(key, 0, -1)))
            case b"stream":
                found.append(repr(client.xrange(key)))
            case b"list":
                found.append(repr(client.lrange(key, 0, -1)))
    return "\n".join(found)

"""gevent's own WSGI server as it comes, or the service's own, which bounds it."""

from gevent import monkey

monkey.patch_all()

import signal  # noqa: E402  # everything that waits is imported after gevent has patched it
import socket  # noqa: E402
import sys  # noqa: E402
from collections.abc import Callable  # noqa: E402
from typing import Any  # noqa: E402

import gevent  # noqa: E402
from gevent import pywsgi  # noqa: E402
from gevent.event import Event  # noqa: E402
from gevent.pool import Pool  # noqa: E402

from api.server import BoundedServer  # noqa: E402
from benchmarks.wsgi_app import create_app  # noqa: E402

_FAREWELL_S = 5.0
_CONNECTIONS = 4000


def serve_app(app: Callable[..., Any], port: int, *, bounded: bool = True) -> None:
    """Serves until SIGTERM, then lets what is running finish; `bounded` is the service's own server."""
    if bounded:
        server = BoundedServer(app, "127.0.0.1", port)
    else:
        listener = socket.create_server(("127.0.0.1", port), backlog=1024)
        server = pywsgi.WSGIServer(listener, app, log=None, error_log=None, spawn=Pool(_CONNECTIONS))
    stopping = Event()
    gevent.signal_handler(signal.SIGTERM, stopping.set)
    server.start()
    stopping.wait()
    server.stop(timeout=_FAREWELL_S)


if __name__ == "__main__":
    serve_app(create_app(), int(sys.argv[1]), bounded=sys.argv[2] == "bounded")

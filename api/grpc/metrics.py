"""`GET /metrics` of the gRPC process: a small HTTP server for Prometheus, in threads of its own."""

import threading
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4

from api.application import Application
from api.authentication import Authenticator
from api.metrics import render
from api.problems import status_of
from services.errors import HxserveError, NotFoundError, SettingsError

PATH: Final = "/metrics"


class MetricsServer(ThreadingHTTPServer):
    """The server; its port is `server_port`."""

    daemon_threads = True

    def __init__(self, services: Application, authenticator: Authenticator, port: int) -> None:
        """Bind the port, and answer from now on.

        Raises:
            SettingsError: it is not available.
        """
        self.services = services
        self.authenticator = authenticator
        try:
            super().__init__((services.settings.host, port), _Scrape)
        except OSError as error:
            raise SettingsError(
                f"{services.settings.host}:{port} cannot be served ({error.strerror}); choose another port"
            ) from None
        threading.Thread(target=self.serve_forever, name="metrics", daemon=True).start()

    def stop(self) -> None:
        """End."""
        self.shutdown()
        self.server_close()


class _Scrape(BaseHTTPRequestHandler):
    """A request of Prometheus, which authentication reads as any other."""

    server: MetricsServer
    server_version = "hxserve"
    sys_version = ""
    method: Final = "GET"
    host: Final = ""
    cookies: Final[Mapping[str, str]] = {}
    timeout = 10.0
    """Seconds of silence after which a client is given up."""

    def do_GET(self) -> None:
        """Answer with the metrics."""
        kind, status = CONTENT_TYPE_PLAIN_0_0_4, HTTPStatus.OK
        try:
            if self.path != PATH:
                raise NotFoundError(f"there is no {self.path} here; there is {PATH}")
            self.server.authenticator.user_of(self)
            body = render(self.server.services)
        except HxserveError as error:
            kind, status, body = "text/plain", status_of(type(error)), error.message.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Log nothing: scrapes are many."""
        del arguments

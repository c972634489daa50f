"""`python -m api`: the API on gevent's WSGI server."""

from gevent import monkey

monkey.patch_all()

import logging  # noqa: E402 everything after the patch, so that all of it waits without blocking
import signal  # noqa: E402
import sys  # noqa: E402
from contextlib import ExitStack  # noqa: E402

import gevent  # noqa: E402
from gevent.event import Event  # noqa: E402

from api.server.server import Server, room_for  # noqa: E402
from api.wsgi import open_app  # noqa: E402
from services.errors import HxserveError, SettingsError  # noqa: E402
from services.logs import configure_logging  # noqa: E402
from services.settings import Settings, load_settings  # noqa: E402

_log = logging.getLogger("api")


def main() -> int:
    """Serve until a signal comes; return the exit status."""
    try:
        settings = load_settings()
        configure_logging(settings.log_level, settings.log_format, process="api")
        _serve(settings)
    except HxserveError as error:
        print(f"api: {error.code}: {error.message}", file=sys.stderr)  # noqa: T201 the reason for not starting
        return 1
    return 0


def _serve(settings: Settings) -> None:
    with ExitStack() as stack:
        app, application = open_app(settings, stack)
        try:
            server = Server(
                app.extensions["crops"],
                settings.host,
                settings.port,
                connections=room_for(settings.max_connections),
                silence_s=settings.client_timeout_s,
            )
        except OSError as error:
            raise SettingsError(
                f"{settings.host}:{settings.port} cannot be served ({error.strerror}); choose another port"
            ) from None
        told_to_stop = Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            gevent.signal_handler(number, told_to_stop.set)
        server.start()
        _log.info("listening on http://%s:%d", settings.host, server.port)
        told_to_stop.wait()
        # Long polls and event streams end now, so that stopping takes no longer than the longest real request.
        application.listener.stop()
        server.stop()


if __name__ == "__main__":
    sys.exit(main())

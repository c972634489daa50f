"""`python -m api`: the API on gevent's WSGI server."""

from gevent import monkey

monkey.patch_all()

import logging  # noqa: E402 everything after the patch, so that all of it waits without blocking
import signal  # noqa: E402
import sys  # noqa: E402
from contextlib import ExitStack  # noqa: E402

import gevent  # noqa: E402
from gevent.pywsgi import WSGIServer  # noqa: E402

from api.wsgi import open_app  # noqa: E402
from services.errors import HxserveError, SettingsError  # noqa: E402
from services.logs import configure_logging  # noqa: E402
from services.settings import Settings, load_settings  # noqa: E402

_STOP_TIMEOUT_S = 5.0
_log = logging.getLogger("api")


def main() -> int:
    """Serves until it is told to stop; the exit status."""
    try:
        settings = load_settings()
        configure_logging(settings.log_level)
        with ExitStack() as stack:
            server = _bind(settings, stack)
            for number in (signal.SIGTERM, signal.SIGINT):
                gevent.signal_handler(number, server.stop, _STOP_TIMEOUT_S)
            server.serve_forever(_STOP_TIMEOUT_S)
    except HxserveError as error:
        print(f"api: {error.message} [{error.code}]", file=sys.stderr)  # noqa: T201 the reason for not starting
        return 1
    return 0


def _bind(settings: Settings, stack: ExitStack) -> WSGIServer:
    app = open_app(settings, stack)
    server = WSGIServer((settings.host, settings.port), app, log=None, error_log=_log)
    try:
        server.start()
    except OSError as error:
        raise SettingsError(
            f"{settings.host}:{settings.port} cannot be served ({error.strerror}); choose another port"
        ) from None
    _log.info("listening on http://%s:%d", settings.host, server.server_port)
    return server


if __name__ == "__main__":
    sys.exit(main())

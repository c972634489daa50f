"""`python -m api.grpc`: the Open Inference Protocol over gRPC, beside the API."""

import asyncio
import logging
import signal
import sys
from contextlib import ExitStack
from importlib.util import find_spec

from api.authentication import Authenticator
from api.server.server import room_for
from api.wsgi import open_services
from services.errors import HxserveError, SettingsError
from services.logs import configure_logging
from services.settings import Settings, load_settings

_log = logging.getLogger("api.grpc")


def main() -> int:
    """Serve until a signal comes; return the exit status."""
    try:
        settings = load_settings()
        configure_logging(settings.log_level, settings.log_format, process="grpc")
        if settings.grpc_port is None:
            raise SettingsError(
                "HXSERVE_GRPC_PORT is not set; give the port of the gRPC service, 8001 for example"
            )
        if find_spec("grpc") is None:
            raise SettingsError("gRPC is not installed here; install `hxserve-server[api,grpc]`")
        asyncio.run(_serve(settings))
    except HxserveError as error:
        print(f"grpc: {error.code}: {error.message}", file=sys.stderr)  # noqa: T201 the reason for not starting
        return 1
    return 0


async def _serve(settings: Settings) -> None:
    from api.grpc.metrics import MetricsServer  # noqa: PLC0415 this is an extra
    from api.grpc.server import GrpcServer  # noqa: PLC0415 the same

    with ExitStack() as stack:
        services, tokens = open_services(settings, stack, "grpc")
        room_for(settings.max_connections)
        authenticator = Authenticator(tokens, services.sessions)
        server = GrpcServer(services, authenticator)
        if settings.grpc_metrics_port is not None:
            stack.callback(MetricsServer(services, authenticator, settings.grpc_metrics_port).stop)
        told_to_stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, told_to_stop.set)
        await server.start()
        _log.info("listening on %s:%d", settings.host, server.port)
        await told_to_stop.wait()
        services.listener.stop()
        await server.stop()


if __name__ == "__main__":
    sys.exit(main())

"""The gRPC server: its port, its limits, and what it has beside the protocol: health and reflection."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any, Final

import grpc
from grpc_health.v1 import health_pb2
from grpc_health.v1._async import HealthServicer
from grpc_health.v1.health_pb2_grpc import add_HealthServicer_to_server
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.reflection import SERVICE_NAME as REFLECTION
from grpc_reflection.v1alpha.reflection import enable_server_reflection

from api.application import Application
from api.authentication import Authenticator
from api.grpc.messages import POOL, SERVICE
from api.grpc.service import Inference
from api.readiness import readiness
from services.errors import SettingsError
from services.settings import Settings

HEALTH: Final = "grpc.health.v1.Health"
_LOOK_EVERY_S: Final = 1.0
_FAREWELL_S: Final = 5.0
_MESSAGE_HEAD_BYTES: Final = 64 * 1024
"""Of a message: what may come beside its tensors."""
_MOST_METADATA_BYTES: Final = 16 * 1024
_log = logging.getLogger("api.grpc")


class GrpcServer:
    """The server of one process: `start`, then `stop`."""

    def __init__(self, services: Application, authenticator: Authenticator) -> None:
        """Bind the port of the settings.

        Raises:
            SettingsError: it is not available, or the certificate cannot be used.
        """
        settings = services.settings
        self._services = services
        self._server = grpc.aio.server(
            options=tuple(_options(settings).items()), maximum_concurrent_rpcs=settings.max_connections
        )
        self._inference = Inference(services, authenticator)
        self._server.add_generic_rpc_handlers((self._inference,))
        self._health = HealthServicer()
        add_HealthServicer_to_server(self._health, self._server)
        for described in (health_pb2, reflection_pb2):
            POOL.AddSerializedFile(described.DESCRIPTOR.serialized_pb)
        enable_server_reflection((SERVICE, HEALTH, REFLECTION), self._server, pool=POOL)
        self.port: Final = self._bind(settings)
        self._watch: asyncio.Task[None] | None = None

    def _bind(self, settings: Settings) -> int:
        address = f"{settings.host}:{settings.grpc_port or 0}"
        credentials = _credentials(settings)
        try:
            if credentials is None:
                return int(self._server.add_insecure_port(address))
            return int(self._server.add_secure_port(address, credentials))
        except RuntimeError:
            raise SettingsError(
                f"{address} cannot be served; choose another port, or check the certificate and its key"
            ) from None

    async def start(self) -> None:
        """Begin to serve."""
        await self._say(health_pb2.HealthCheckResponse.NOT_SERVING)
        await self._server.start()
        self._watch = asyncio.create_task(self._watch_health())

    async def stop(self) -> None:
        """Accept no more, and let calls finish for a few seconds."""
        if self._watch is not None:
            self._watch.cancel()
        await self._health.enter_graceful_shutdown()
        await self._server.stop(_FAREWELL_S)
        self._inference.calls.close()

    async def _watch_health(self) -> None:
        """Say by the health service whether a chip serves."""
        status = health_pb2.HealthCheckResponse
        while True:
            lacks, _ = await self._inference.calls.in_thread(readiness, self._services)
            await self._say(status.NOT_SERVING if lacks else status.SERVING)
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _say(self, status: int) -> None:
        for service in ("", SERVICE):
            await self._health.set(service, status)


def _options(settings: Settings) -> Mapping[str, Any]:
    return {
        # Another process on the port is an error, not a partner.
        "grpc.so_reuseport": 0,
        "grpc.max_receive_message_length": settings.max_body_bytes + _MESSAGE_HEAD_BYTES,
        "grpc.max_send_message_length": -1,
        "grpc.max_metadata_size": _MOST_METADATA_BYTES,
        "grpc.server_handshake_timeout_ms": int(1000 * settings.client_timeout_s),
        # A client that is gone without a word is noticed; one that pings more often than this is not served.
        "grpc.keepalive_time_ms": 30_000,
        "grpc.keepalive_timeout_ms": int(1000 * settings.client_timeout_s),
        "grpc.http2.min_ping_interval_without_data_ms": 5_000,
    }


def _credentials(settings: Settings) -> Any:
    """Return the certificate of the settings; None without one.

    Raises:
        SettingsError: one of the two files is missing.
    """
    certificate, key = settings.grpc_certificate, settings.grpc_key
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise SettingsError(
            "HXSERVE_GRPC_CERTIFICATE and HXSERVE_GRPC_KEY belong together; give both or neither"
        )
    try:
        return grpc.ssl_server_credentials([(key.read_bytes(), certificate.read_bytes())])
    except OSError as error:
        raise SettingsError(f"{error.filename} cannot be read ({error.strerror})") from None

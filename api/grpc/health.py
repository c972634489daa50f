"""`python -m api.grpc.health 127.0.0.1:8001`: exit with 0 if the process on that port says that a chip serves."""

import sys
from typing import Final

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

_TIMEOUT_S: Final = 4.0


def main(address: str) -> int:
    """Ask the process; return the exit status."""
    with grpc.insecure_channel(address) as channel:
        try:
            answer = HealthStub(channel).Check(HealthCheckRequest(), timeout=_TIMEOUT_S)
        except grpc.RpcError as error:
            print(error.code().name, file=sys.stderr)  # noqa: T201 what the engine shows of a check
            return 1
    return int(answer.status != HealthCheckResponse.SERVING)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

"""`python -m benchmarks.celery_api PORT`: the API of the design with one Celery task per request."""

from gevent import monkey

monkey.patch_all()

import base64  # noqa: E402  # everything that waits is imported after gevent has patched it
import socket  # noqa: E402
import sys  # noqa: E402

from flask import Flask, Response, jsonify, request  # noqa: E402
from gevent import pywsgi  # noqa: E402

from benchmarks.celery_per_request import classify  # noqa: E402

_WAIT_LIMIT_S = 60.0


def create_app() -> Flask:
    """Create an application with one route: crops in, digits out."""
    app = Flask(__name__)

    @app.post("/classify")
    def answer() -> Response:
        crops = base64.b64encode(request.get_data()).decode()
        digits = classify.delay(crops).get(timeout=_WAIT_LIMIT_S)
        return jsonify(predictions=[{"digit": digit} for digit in digits])

    return app


def serve(port: int) -> None:
    """Serve until the process ends.

    gevent's server sends an answer in two pieces; without TCP_NODELAY, which accepted sockets inherit, each would
    wait for a delayed acknowledgement.
    """
    listener = socket.create_server(("127.0.0.1", port), backlog=1024)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    pywsgi.WSGIServer(listener, create_app(), log=None).serve_forever()


if __name__ == "__main__":
    serve(int(sys.argv[1]))

"""`python -m benchmarks.celery_api PORT`: the API of the alternative with one Celery task per request."""

from gevent import monkey

monkey.patch_all()

import base64  # noqa: E402  # everything that waits is imported after gevent has patched it
import sys  # noqa: E402

from flask import Flask, Response, jsonify, request  # noqa: E402

from benchmarks.celery_per_request import classify  # noqa: E402
from benchmarks.wsgi_gevent import serve_app  # noqa: E402

_WAIT_LIMIT_S = 60.0


def create_app() -> Flask:
    """One route: crops in, digits out."""
    app = Flask(__name__)

    @app.post("/classify")
    def answer() -> Response:
        crops = base64.b64encode(request.get_data()).decode()
        digits = classify.delay(crops).get(timeout=_WAIT_LIMIT_S)
        return jsonify(predictions=[{"digit": digit} for digit in digits])

    return app


if __name__ == "__main__":
    serve_app(create_app(), int(sys.argv[1]))

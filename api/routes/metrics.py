"""The route that Prometheus asks."""

import time

from flask import Blueprint, Flask, Response, g, request
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4

from api.application import application
from api.documentation import SPEC, answers
from api.metrics import render
from api.request_times import RequestTimes

routes = Blueprint("metrics", __name__)


@routes.get("/metrics")
@SPEC.validate(resp=answers(200, None), tags=["health"])
def show_metrics() -> Response:
    """Show metrics in Prometheus' text format.

    What requests and crops took is counted by each API process for itself; what waits, chips and workers are the same
    from all.
    """
    app = application()
    return Response(render(app, app.request_times), content_type=CONTENT_TYPE_PLAIN_0_0_4)


def measure_requests(app: Flask, times: RequestTimes) -> None:
    """Counts how long the requests take that Flask answers."""

    @app.before_request
    def begin() -> None:
        g.began = time.perf_counter()

    @app.after_request
    def end(response: Response) -> Response:
        route = request.url_rule.rule if request.url_rule else None
        times.note(request.method, route, response.status_code, time.perf_counter() - g.began)
        return response

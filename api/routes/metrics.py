"""The route of the metrics."""

from flask import Blueprint, Response
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4

from api.application import application
from api.documentation import SPEC, answers
from api.metrics import render

routes = Blueprint("metrics", __name__)


@routes.get("/metrics")
@SPEC.validate(resp=answers(200, None), tags=["health"])
def show_metrics() -> Response:
    """Show metrics in Prometheus' text format.

    Each API process counts its own requests and crops; the queue, chips and workers are the same from all.
    """
    return Response(render(application()), content_type=CONTENT_TYPE_PLAIN_0_0_4)

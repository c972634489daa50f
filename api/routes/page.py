"""The pages: draw a digit, train, watch jobs and the chip. What they show comes from the interface under `/v1`."""

from typing import Any

from flask import Blueprint, request

from api.pages import render_page
from api.routes.login import open_session

routes = Blueprint("page", __name__)


@routes.get("/")
def draw() -> Any:
    """A digit to draw, and what the chip reads in it; with a token in the address it signs in first."""
    if "token" in request.args:
        return open_session(request.args["token"], "/")
    return render_page("draw.html", "draw")

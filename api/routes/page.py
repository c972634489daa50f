"""The first page: what runs here, and where to go."""

from flask import Blueprint, Response

from api.application import application
from services.errors import RedisUnavailableError

routes = Blueprint("page", __name__)

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>hxserve</title>
<h1>hxserve</h1>
<p>One neuromorphic chip, many users. {state}</p>
<ul>
<li><a href="/docs">Every call of this service</a>, made with the token that <code>hxserve up</code> printed
<li><a href="/readyz">Whether it is ready</a>
</ul>
<p>From a terminal: <code>hxserve train</code>, then <code>hxserve classify photo.png</code>.</p>
</html>
"""


@routes.get("/")
def show_page() -> Response:
    """The page."""
    try:
        served = sum(record.is_serving for record in application().chips.records())
        state = f"Chips at work: {served}." if served else "No chip is at work right now."
    except RedisUnavailableError:
        state = "The record store does not answer right now."
    return Response(_PAGE.format(state=state), content_type="text/html; charset=utf-8")

"""Assembly of the Flask application."""

from typing import Any, Final

from flask import Flask, Request
from flask.json.provider import DefaultJSONProvider
from werkzeug.exceptions import RequestEntityTooLarge

from api.application import Application
from api.authentication import Authenticator, register_authentication
from api.compression import decompress_bodies
from api.crops.endpoint import Endpoint
from api.documentation import register_documentation
from api.pages import register_pages
from api.problems import register_problems
from api.protection import protect
from api.request_ids import observe_requests
from api.routes import (
    aliases,
    batches,
    challenges,
    chip,
    classes,
    classification,
    corrections,
    crops,
    dataset_uploads,
    datasets,
    desk,
    health,
    inference,
    jobs,
    letter_orders,
    letters,
    login,
    me,
    metrics,
    models,
    page,
    programs,
    pulse,
    queue,
    repository,
    seats,
    uploads,
    usage,
    users,
    webhooks,
)
from api.routes import (
    class_pages as _class_pages,  # noqa: F401 its pages are of `page`
)
from services.users.authentication import Tokens

_ROUTES: Final = (
    *(page, login, classes, seats, challenges),
    *(jobs, batches, uploads, classification, crops, corrections, models, aliases, chip, programs, pulse),
    *(queue, usage, users, me, webhooks, datasets, dataset_uploads),
    *(letters, letter_orders, desk, health, inference, repository, metrics),
)


class _Json(DefaultJSONProvider):
    """Compact JSON; a text nested too deep for Python is refused as invalid."""

    sort_keys = False
    compact = True

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        """Parse a JSON text."""
        try:
            return super().loads(s, **kwargs)
        except RecursionError:
            raise ValueError("the JSON is nested too deep") from None


class _WholeRequest(Request):
    """A request that never passes the beginning of a body for all of it."""

    def get_data(self, cache: bool = True, as_text: bool = False, parse_form_data: bool = False) -> bytes:  # type: ignore[override] # no caller here asks for text
        """Return the body.

        Raises:
            RequestEntityTooLarge: it is larger than allowed. Werkzeug itself cuts a body of unknown length at the
                limit.
        """
        body: bytes = super().get_data(cache, as_text, parse_form_data)  # type: ignore[call-overload] # the same
        limit = self.max_content_length
        is_cut = limit is not None and len(body) >= limit and self.content_length is None
        if is_cut and self.input_stream.read(1):
            raise RequestEntityTooLarge
        return body


def create_app(application: Application, tokens: Tokens) -> Flask:
    """Build the web application over these services."""
    app = build_routes()
    connect(app, application, tokens)
    return app


def build_routes() -> Flask:
    """Build the web application without services; `connect` it before its first request."""
    app = Flask("api")
    app.request_class = _WholeRequest
    app.json = _Json(app)
    observe_requests(app)
    register_authentication(app)
    decompress_bodies(app)
    register_pages(app)
    register_problems(app)
    for module in _ROUTES:
        app.register_blueprint(module.routes)
    register_documentation(app)
    app.after_request(protect)
    return app


def connect(app: Flask, application: Application, tokens: Tokens) -> None:
    """Let the routes use these services."""
    app.config["MAX_CONTENT_LENGTH"] = application.settings.max_body_bytes
    app.config["MAX_FORM_PARTS"] = application.settings.max_crops_per_request
    authenticator = Authenticator(tokens, application.sessions)
    app.extensions |= {
        "hxserve": application,
        "authenticator": authenticator,
        "crops": Endpoint(app, application, authenticator),
        "snapshots": {},
    }

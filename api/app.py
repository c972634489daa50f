"""Assembly of the Flask application."""

from typing import Any, Final

from flask import Flask
from flask.json.provider import DefaultJSONProvider

from api.application import Application
from api.authentication import Authenticator, register_authentication
from api.crops.endpoint import CropEndpoint
from api.documentation import register_documentation
from api.pages import register_pages
from api.problems import register_problems
from api.protection import protect
from api.request_ids import identify_requests, log_answers
from api.requests import WholeRequest
from api.routes import (
    chip,
    classification,
    crops,
    health,
    inference,
    jobs,
    letters,
    login,
    metrics,
    models,
    page,
    pulse,
    queue,
    repository,
    usage,
    users,
)
from services.users.authentication import Tokens

_ROUTES: Final = (
    *(page, login, jobs, classification, crops, models, chip, pulse, queue, usage, users),
    *(letters, health, inference, repository, metrics),
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


def create_app(application: Application, tokens: Tokens) -> Flask:
    """Build the web application over these services."""
    app = build_routes()
    connect(app, application, tokens)
    return app


def build_routes() -> Flask:
    """Build the web application without services; `connect` it before its first request."""
    app = Flask("api")
    app.request_class = WholeRequest
    app.json = _Json(app)
    identify_requests(app)
    metrics.measure_requests(app)
    log_answers(app)
    register_authentication(app)
    register_pages(app)
    register_problems(app)
    for module in _ROUTES:
        app.register_blueprint(module.routes)
    app.register_blueprint(users.own_routes)
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
        "crops": CropEndpoint(app, application, authenticator),
        "snapshots": {},
    }

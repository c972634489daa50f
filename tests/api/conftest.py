"""What the tests of the API share: the application over a real Redis, a chip without torch, a model."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from api.app import build_routes, connect
from api.application import Application, open_application
from services.models.files import ModelStore
from services.settings import Settings
from services.store.connection import Connection
from services.users.accounts import Role
from services.users.authentication import Tokens
from tests.api.requests import TOKEN, Clock, Enter, client_of
from tests.services.chip import Chip, open_chip
from tests.services.samples import an_origin


@pytest.fixture
def limits() -> dict[str, float]:
    """Settings that a test wants otherwise."""
    return {}


@pytest.fixture
def application(
    connection: Connection, redis_url: str, tmp_path: Path, limits: dict[str, float]
) -> Iterator[Application]:
    del connection  # it has emptied Redis
    settings = Settings.model_validate(
        {"redis_url": redis_url, "data_dir": tmp_path, "max_body_bytes": 2**20} | limits
    )
    with open_application(settings, lambda _: None) as application:
        yield application


@pytest.fixture(scope="session")
def routes() -> Flask:
    """The routes of all tests, built once."""
    return build_routes()


@pytest.fixture
def app(routes: Flask, application: Application, clock: Clock) -> Flask:
    tokens = Tokens(TOKEN, application.users, application.settings.user_quotas, clock)
    connect(routes, application, tokens)
    return routes


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A client with the admin's token."""
    return client_of(app, TOKEN)


@pytest.fixture
def stranger(app: Flask) -> FlaskClient:
    """A client without a token."""
    return app.test_client()


@pytest.fixture
def clock() -> Clock:
    """The time by which tokens are remembered."""
    return Clock()


@pytest.fixture
def enter(app: Flask, application: Application) -> Enter:
    """Lets somebody in: a client with the token of a new user."""

    def enter(name: str, role: Role = Role.USER, **own_quotas: float | None) -> FlaskClient:
        _, issued = application.users.add(name, role, own_quotas)
        return client_of(app, issued.secret)

    return enter


@pytest.fixture
def models(application: Application) -> ModelStore:
    """The registry, with two versions of the model `digits`."""
    for job in ("a", "b"):
        application.models.publish(an_origin(job=job), f"weights of {job}".encode())
    return application.models


@pytest.fixture
def idle_chip(connection: Connection, models: ModelStore) -> Iterator[Chip]:
    """A chip that works only when it is told to."""
    del models
    with open_chip(connection) as chip:
        yield chip


@pytest.fixture
def chip(idle_chip: Chip) -> Chip:
    """A chip that answers at once."""
    idle_chip.start()
    return idle_chip

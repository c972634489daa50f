"""Errors over HTTP: each class has its status, and nothing but problem documents comes out."""

import re
from http import HTTPStatus
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from api.app import create_app
from api.application import Application
from api.problems import STATUS_OF, problem, status_of
from services.errors import HxserveError, NotAuthenticatedError, QueueFullError, UnavailableError
from services.users.authentication import Tokens
from tests.api.requests import TOKEN, refused
from tests.services.test_errors import TREE


@pytest.mark.parametrize("kind", TREE)
def test_every_error_has_a_status_and_a_document(app: Flask, kind: type[HxserveError]) -> None:
    with app.app_context():
        response = problem(kind())

    body = response.get_json()
    assert response.content_type == "application/problem+json"
    assert response.status_code == body["status"] == status_of(kind)
    assert (body["code"], body["detail"], body["retryable"]) == (kind.code, kind().message, kind.retryable)


@pytest.mark.parametrize("kind", [kind for kind in TREE if kind is not HxserveError])
def test_no_error_below_the_root_has_its_status_by_neglect(kind: type[HxserveError]) -> None:
    assert any(cls in STATUS_OF for cls in kind.__mro__ if cls is not HxserveError)


def test_the_table_has_only_statuses_of_errors() -> None:
    assert all(status >= HTTPStatus.BAD_REQUEST for status in STATUS_OF.values())


def test_the_documentation_lists_every_error_with_its_status() -> None:
    text = Path("docs/http.md").read_text("utf-8")
    listed = re.findall(r"^\| `(\w+)` \| (\d+) \| (yes)? ?\| \S.* \|$", text, re.MULTILINE)

    known = sorted((kind.code, str(int(status_of(kind))), "yes" if kind.retryable else "") for kind in TREE)
    assert listed == known


@pytest.mark.parametrize(
    ("error", "seconds"),
    [(QueueFullError(retry_after_s=7.2), "7"), (QueueFullError(), "1"), (UnavailableError(), "1")],
)
def test_who_is_turned_away_learns_when_to_come_back(app: Flask, error: HxserveError, seconds: str) -> None:
    with app.app_context():
        assert problem(error).headers["Retry-After"] == seconds


def test_who_has_no_token_learns_the_scheme(app: Flask) -> None:
    with app.app_context():
        assert problem(NotAuthenticatedError()).headers["WWW-Authenticate"] == 'Bearer realm="hxserve"'


@pytest.mark.parametrize("path", ["/v1/nothing", "/v3", "/v1/models/digits/nothing", "/static/x"])
def test_an_unknown_path_is_a_problem_that_names_it(client: FlaskClient, path: str) -> None:
    assert path in refused(client.get(path), 404, "not_found")


def test_a_wrong_method_is_a_problem_that_names_those_allowed(client: FlaskClient) -> None:
    response = client.put("/v1/jobs")

    refused(response, 405, "method_not_allowed")
    assert {"GET", "POST"} <= set(response.headers["Allow"].split(", "))


def test_an_unforeseen_error_tells_the_client_nothing_of_the_inside(application: Application) -> None:
    def fail() -> str:
        raise RuntimeError("the secret")

    app = create_app(application, Tokens(TOKEN))
    app.add_url_rule("/v1/fail", view_func=fail)

    response = app.test_client().get("/v1/fail", headers={"Authorization": f"Bearer {TOKEN}"})

    refused(response, 500, "internal_error")
    assert "secret" not in response.get_data(as_text=True)


def test_every_answer_forbids_guessing_its_type(client: FlaskClient) -> None:
    assert client.get("/healthz").headers["X-Content-Type-Options"] == "nosniff"
    assert client.get("/v1/nothing").headers["X-Content-Type-Options"] == "nosniff"

"""Whose request it is: nobody gets in without the token."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.api.requests import TOKEN, refused

PRIVATE = [
    ("GET", "/v1/jobs"),
    ("POST", "/v1/jobs"),
    ("GET", "/v1/jobs/x"),
    ("GET", "/v1/jobs/x/events"),
    ("POST", "/v1/jobs/x/cancel"),
    ("POST", "/v1/models/digits/classify"),
    ("GET", "/v1/models"),
    ("DELETE", "/v1/models/digits"),
    ("GET", "/v1/models/digits/versions/1/weights"),
    ("GET", "/v1/chip"),
    ("GET", "/v1/queue"),
    ("GET", "/v1/usage"),
    ("GET", "/v1/nothing"),
]


@pytest.mark.parametrize(("method", "path"), PRIVATE)
def test_without_a_token_nothing_is_done(stranger: FlaskClient, method: str, path: str) -> None:
    response = stranger.open(path, method=method)

    assert "Authorization: Bearer" in refused(response, 401, "not_authenticated")


@pytest.mark.parametrize(
    "header",
    [
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        "Bearer",
        "Bearer ",
        TOKEN,
        f"Basic {TOKEN}",
        f"Token {TOKEN}",
        f"Bearer {TOKEN} {TOKEN}",
        "Bearer tökén",
        "Bearer \x80\xff",
    ],
)
def test_another_token_or_scheme_is_no_token(stranger: FlaskClient, header: str) -> None:
    response = stranger.get("/v1/jobs", headers={"Authorization": header.encode("latin-1").decode("latin-1")})

    refused(response, 401, "not_authenticated")


@pytest.mark.parametrize("header", [f"Bearer {TOKEN}", f"bearer {TOKEN}", f"BEARER  {TOKEN} "])
def test_the_scheme_is_read_whatever_its_case(stranger: FlaskClient, header: str) -> None:
    assert stranger.get("/v1/jobs", headers={"Authorization": header}).status_code == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/openapi.json", "/docs"])
def test_health_and_documentation_are_for_everybody(stranger: FlaskClient, path: str) -> None:
    assert stranger.get(path).status_code in {200, 503}


def test_every_route_but_the_public_ones_asks_for_a_token(app: Flask, stranger: FlaskClient) -> None:
    public = {
        "/healthz",
        "/readyz",
        "/openapi.json",
        "/docs",
        "/login",
        "/login/link",
        "/logout",
        "/c",
        "/c/<code>",
        "/v2/health/live",
        "/v2/health/ready",
        "/static/<path:filename>",
    }
    pages = {rule.rule for rule in app.url_map.iter_rules() if rule.endpoint.startswith("page.")}
    private = {rule.rule for rule in app.url_map.iter_rules()} - public - pages

    answers = {path: stranger.open(path.replace("<", "").replace(">", "")).status_code for path in private}

    assert {path for path, status in answers.items() if status not in {401, 405}} == set()
    assert {stranger.get(path).location.partition("?")[0] for path in pages} == {"/login"}


def test_a_token_in_the_address_does_not_let_into_the_interface(stranger: FlaskClient) -> None:
    refused(stranger.get(f"/v1/jobs?token={TOKEN}"), 401, "not_authenticated")

"""One's own account over HTTP: tokens, and the link that signs in a second device."""

import re
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from api.application import Application
from api.qr import qr_svg
from services.store.connection import Connection
from services.users.authentication import LONGEST_MEMORY_S
from services.users.sessions import LINK_S
from tests.api.requests import Clock, Enter, client_of, refused

HERE = {"Origin": "http://localhost"}


def _codes(connection: Connection) -> list[Any]:
    return list(connection.client.scan_iter("hx:link:*"))


def _code_of(client: FlaskClient) -> str:
    made = client.post("/v1/me/sign-in-links")
    assert made.status_code == 201
    link: str = made.get_json()["link"]
    assert link.startswith("http://localhost/login/link#")
    return link.partition("#")[2]


def test_a_token_of_ones_own_lets_in_and_is_listed(app: Flask, enter: Enter) -> None:
    ada = enter("ada")

    made = ada.post("/v1/me/tokens", json={"expires_in": 60}).get_json()

    other = client_of(app, made["token"])
    listed = other.get("/v1/me/tokens").get_json()["tokens"]
    assert [token["current"] for token in listed if token["id"] == made["token_id"]] == [True]
    assert [token["current"] for token in listed] == [True, False]
    assert made["token"] not in other.get("/v1/me/tokens").get_data(as_text=True)


def test_no_token_outlives_the_one_that_asked_for_it(
    app: Flask, application: Application, enter: Enter
) -> None:
    enter("ada")
    short = application.users.issue_token("ada", expires_in_s=100.0)

    for asked in (None, 1_000_000.0):
        client_of(app, short.secret).post("/v1/me/tokens", json={"expires_in": asked})

    ends = [token.expires_at for token in application.users.tokens("ada") if token.expires_at]
    assert len(ends) == 3
    assert max(ends) <= (short.token.expires_at or 0) + 0.01


def test_a_token_is_revoked_by_its_owner_alone(enter: Enter, application: Application) -> None:
    ada, grace = enter("ada"), enter("grace")
    [token] = application.users.tokens("ada")

    refused(grace.delete(f"/v1/me/tokens/{token.id}"), 404, "not_found")
    refused(ada.delete("/v1/me/tokens/0"), 404, "not_found")

    assert ada.delete(f"/v1/me/tokens/{token.id}").get_json() == {"revoked": 1}
    assert application.users.tokens("ada") == []


def test_the_bearer_of_the_token_file_has_no_tokens_to_give(client: FlaskClient) -> None:
    assert client.get("/v1/me/tokens").get_json() == {"tokens": []}
    refused(client.post("/v1/me/tokens", json={}), 409, "conflict")


def test_a_link_signs_in_one_other_device_once(app: Flask, enter: Enter) -> None:
    code = _code_of(enter("ada"))
    telephone, other = app.test_client(), app.test_client()

    answer = telephone.post("/login/link", data={"code": code}, headers=HERE)
    again = other.post("/login/link", data={"code": code}, headers=HERE)

    assert (answer.status_code, answer.location) == (303, "/")
    assert telephone.get("/v1/me").get_json()["name"] == "ada"
    assert again.status_code == 401
    assert "Set-Cookie" not in again.headers


def test_a_link_ends_after_two_minutes_and_is_stored_as_a_digest(
    enter: Enter, connection: Connection
) -> None:
    code = _code_of(enter("ada"))

    [key] = _codes(connection)

    assert 0 < connection.client.ttl(key) <= LINK_S <= 120
    assert code.encode() not in key + (connection.client.get(key) or b"")


def test_a_link_contains_no_token_and_its_code_is_sent_to_nobody_by_being_opened(
    app: Flask, application: Application, enter: Enter
) -> None:
    enter("ada")
    secret = application.users.issue_token("ada").secret

    made = client_of(app, secret).post("/v1/me/sign-in-links").get_json()

    assert secret not in str(made)
    assert "?" not in made["link"]
    assert made["qr"] == qr_svg(made["link"])
    assert re.match(r"<svg [^>]*xmlns=", made["qr"])


def test_a_device_that_a_link_signed_in_is_out_when_its_token_is_revoked(
    app: Flask, enter: Enter, application: Application, clock: Clock
) -> None:
    ada, telephone = enter("ada"), app.test_client()
    telephone.post("/login/link", data={"code": _code_of(ada)}, headers=HERE)
    unused = _code_of(ada)

    application.users.revoke_tokens("ada")
    clock.now += LONGEST_MEMORY_S

    refused(telephone.get("/v1/me"), 401, "not_authenticated")
    assert app.test_client().post("/login/link", data={"code": unused}, headers=HERE).status_code == 401


@pytest.mark.parametrize(
    "headers", [{}, {"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}]
)
def test_a_page_of_another_site_signs_nobody_in_by_a_link(
    app: Flask, enter: Enter, headers: dict[str, str], connection: Connection
) -> None:
    code = _code_of(enter("ada"))

    refused(app.test_client().post("/login/link", data={"code": code}, headers=headers), 403, "cross_site")

    assert len(_codes(connection)) == 1, "the link is still good"

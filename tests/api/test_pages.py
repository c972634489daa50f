"""The pages: who sees them, in which language, with which headers."""

import re

import pytest
from flask import Flask
from flask.testing import FlaskClient

from api.application import Application
from api.texts import LANGUAGES, catalogue
from services.errors import HxserveError
from services.jobs.recipes import RECIPES
from services.jobs.record import JobKind
from tests.api.requests import TOKEN, Enter, refused
from tests.services.chip import Chip

HERE = {"Origin": "http://localhost"}


@pytest.fixture
def visitor(app: Flask) -> FlaskClient:
    """A browser whose user is signed in."""
    browser = app.test_client()
    assert browser.get(f"/?token={TOKEN}").status_code == 303
    return browser


def test_without_a_session_a_page_sends_to_the_form(stranger: FlaskClient) -> None:
    answer = stranger.get("/")

    assert (answer.status_code, answer.location) == (302, "/login?next=/")


def test_the_link_with_a_token_signs_in_and_goes_on_without_it(stranger: FlaskClient) -> None:
    answer = stranger.get(f"/?token={TOKEN}")
    [cookie] = answer.headers.getlist("Set-Cookie")

    assert (answer.status_code, answer.location) == (303, "/")
    assert {"HttpOnly", "SameSite=Strict"} <= set(cookie.split("; "))
    assert TOKEN not in cookie
    assert stranger.get("/").status_code == 200


def test_a_link_from_elsewhere_goes_on_by_a_page_of_ours(stranger: FlaskClient) -> None:
    answer = stranger.get(f"/?token={TOKEN}", headers={"Sec-Fetch-Site": "cross-site"})

    assert answer.status_code == 200
    assert 'http-equiv="refresh" content="0;url=/"' in answer.get_data(as_text=True)


def test_a_token_that_is_not_known_opens_nothing(stranger: FlaskClient) -> None:
    answer = stranger.post("/login", data={"token": "x" * 30}, headers=HERE)

    assert answer.status_code == 401
    assert "not known" in answer.get_data(as_text=True)
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize(
    ("wanted", "where"),
    [
        ("/chip", "/chip"),
        ("//evil.example", "/"),
        ("https://evil.example", "/"),
        ("/\\evil.example", "/"),
        ("", "/"),
    ],
)
def test_signing_in_goes_on_to_pages_of_this_site_only(
    stranger: FlaskClient, wanted: str, where: str
) -> None:
    answer = stranger.post("/login", data={"token": TOKEN, "next": wanted}, headers=HERE)

    assert (answer.status_code, answer.location) == (303, where)


def test_a_session_serves_for_the_interface_too(visitor: FlaskClient) -> None:
    assert visitor.get("/v1/jobs").status_code == 200


def test_signing_out_ends_the_session(visitor: FlaskClient, app: Flask) -> None:
    name = "hxserve-session-web"
    session = visitor.get_cookie(name)
    assert session is not None

    visitor.post("/logout", headers=HERE)
    other = app.test_client()
    other.set_cookie(name, session.value)

    assert refused(other.get("/v1/jobs"), 401, "not_authenticated").startswith("the session has ended")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://localhost"},
    ],
)
@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/models/digits/classify", "/logout", "/login"])
def test_a_page_of_another_site_changes_nothing(
    visitor: FlaskClient, path: str, headers: dict[str, str]
) -> None:
    answer = visitor.post(path, data=b"x" * 784, headers=headers, content_type="application/octet-stream")

    refused(answer, 403, "cross_site")


@pytest.mark.parametrize("headers", [HERE, {"Sec-Fetch-Site": "same-origin"}])
def test_pages_of_this_site_may(visitor: FlaskClient, headers: dict[str, str]) -> None:
    job = {"kind": "training", "model": "digits"}

    assert visitor.post("/v1/jobs", json=job, headers=headers).status_code == 202


def test_a_token_goes_before_a_session(visitor: FlaskClient) -> None:
    answer = visitor.get("/v1/jobs", headers={"Authorization": "Bearer of-nobody"})

    refused(answer, 401, "not_authenticated")


def test_pages_run_no_code_but_their_own(visitor: FlaskClient) -> None:
    answer = visitor.get("/")
    policy = dict(part.split(" ", 1) for part in answer.headers["Content-Security-Policy"].split("; "))

    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert not re.search(r"<[^>]+ (?:style|on\w+)=", answer.get_data(as_text=True))


@pytest.mark.parametrize(
    ("asked", "chosen", "shown"),
    [("de-DE,de;q=0.9,en;q=0.5", None, "de"), ("fr", None, "en"), ("de", "en", "en"), ("en", "de", "de")],
)
def test_a_page_speaks_the_language_chosen_or_else_the_browsers(
    visitor: FlaskClient, asked: str, chosen: str | None, shown: str
) -> None:
    if chosen:
        assert visitor.get(f"/?lang={chosen}").location == "/"

    page = visitor.get("/", headers={"Accept-Language": asked}).get_data(as_text=True)

    assert f'<html lang="{shown}"' in page


def test_every_kind_of_error_has_words() -> None:
    kinds, codes = [HxserveError], set()
    while kinds:
        kind = kinds.pop()
        codes.add(kind.code)
        kinds += kind.__subclasses__()

    assert {f"error.{code}" for code in codes} == {name for name in catalogue() if name.startswith("error.")}


@pytest.mark.parametrize(
    ("language", "words"), [("en", "there is no job"), ("de", "Diesen Auftrag gibt es nicht: there")]
)
def test_an_error_is_said_in_the_readers_language(visitor: FlaskClient, language: str, words: str) -> None:
    answer = visitor.get("/jobs/none", headers={"Accept-Language": language})

    assert answer.status_code == 404
    assert words in answer.get_data(as_text=True)


BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.mark.parametrize("path", ["/nothing", "/jobs/of/nobody", "/models.html"])
def test_a_browser_is_shown_a_page_at_an_unknown_address(visitor: FlaskClient, path: str) -> None:
    answer = visitor.get(path, headers=BROWSER)

    assert (answer.status_code, answer.mimetype) == (404, "text/html")
    assert "There is no page at this address" in answer.text
    assert "script-src 'self'" in answer.headers["Content-Security-Policy"]


def test_the_administration_is_shown_to_admins_alone(enter: Enter, visitor: FlaskClient) -> None:
    ada = enter("ada")

    assert ada.get("/admin").status_code == 403
    assert 'href="/admin"' not in ada.get("/jobs").text
    assert visitor.get("/admin").status_code == 200
    assert 'href="/admin"' in visitor.get("/jobs").text


@pytest.mark.parametrize("path", ["/v1/nothing", "/v2/nothing"])
def test_the_interface_has_no_pages_not_even_for_browsers(visitor: FlaskClient, path: str) -> None:
    assert visitor.get(path, headers=BROWSER).is_json


def test_a_program_is_told_of_an_unknown_address_in_json(client: FlaskClient) -> None:
    for accept in ("*/*", "application/json", "application/json, text/html;q=0.9"):
        refused(client.get("/nothing", headers={"Accept": accept}), 404, "not_found")


def test_a_browser_without_a_session_signs_in_before_it_learns_of_an_address(stranger: FlaskClient) -> None:
    assert stranger.get("/nothing", headers=BROWSER).location == "/login?next=/nothing"


def test_who_had_a_session_is_told_that_it_has_ended(stranger: FlaskClient) -> None:
    first = stranger.get("/chip")
    stranger.set_cookie("hxserve-session-web", "of-nobody")
    later = stranger.get("/chip?a=1")

    assert first.location == "/login?next=/chip"
    assert later.location == "/login?ended=1&next=/chip?a%3D1"
    assert "Your session has ended" not in stranger.get(first.location).get_data(as_text=True)
    assert "Your session has ended" in stranger.get(later.location).get_data(as_text=True)


def test_a_choice_keeps_the_rest_of_the_address(visitor: FlaskClient) -> None:
    answer = visitor.get("/?model=digits@1&lang=de")

    assert answer.location == "/?model=digits%401"


def test_a_choice_that_there_is_not_is_ignored(visitor: FlaskClient) -> None:
    assert visitor.get("/?lang=xx&theme=pink").status_code == 200


def test_the_colours_chosen_are_kept_for_the_session_of_the_browser(visitor: FlaskClient) -> None:
    answer = visitor.get("/?theme=dark")
    [cookie] = answer.headers.getlist("Set-Cookie")

    assert "Expires" not in cookie
    assert "Max-Age" not in cookie
    assert 'data-theme="dark"' in visitor.get("/").get_data(as_text=True)


def test_every_text_is_there_in_each_language_with_the_same_places() -> None:
    for name, text in catalogue().items():
        assert set(text) == set(LANGUAGES), name
        assert len({frozenset(re.findall(r"\{(\w+)\}", t)) for t in text.values()}) == 1, name


def test_every_kind_of_job_and_every_recipe_has_a_name_on_the_page() -> None:
    needed = {f"job.{kind}" for kind in JobKind} | {f"train.{name}" for name in RECIPES}

    assert needed - set(catalogue()) == set()


def test_the_form_for_a_training_shows_each_recipes_numbers_but_of_those_that_continue_a_version(
    client: FlaskClient,
) -> None:
    page = client.get("/train").text

    assert '<option value="adapt"' not in page
    for name, facts in RECIPES.items():
        if facts.adapts:
            continue
        option = page.partition(f'<option value="{name}"')[2].partition(">")[0]
        assert f'data-epochs="{facts.epochs}"' in option
        assert f'data-learning_rate="{facts.learning_rate}"' in option


@pytest.mark.usefixtures("idle_chip")
def test_maintenance_is_announced_on_every_page(visitor: FlaskClient, client: FlaskClient) -> None:
    job = client.post("/v1/jobs", json={"kind": "training", "model": "digits"}).get_json()["id"]
    pages = ("/", "/train", "/models", "/jobs", f"/jobs/{job}", "/chip", "/letters", "/me", "/corrections")

    before = [visitor.get(path).get_data(as_text=True) for path in pages]
    client.post("/v1/chip/drain", json={"message": "new <b>cables</b>"})
    during = [visitor.get(path).get_data(as_text=True) for path in pages]

    assert not any("chip-1 is in maintenance" in page for page in before)
    for page in during:
        assert "chip-1 is in maintenance" in page
        assert "new &lt;b&gt;cables&lt;/b&gt;" in page


@pytest.mark.parametrize(("backend", "shown"), [("mock", False), ("emulator", True)])
def test_epochs_in_the_loop_are_asked_for_where_there_is_a_chip(
    visitor: FlaskClient, idle_chip: Chip, application: Application, backend: str, shown: bool
) -> None:
    application.chips.renew(idle_chip.lease, {"ready": True, "backend": backend})

    page = visitor.get("/train").get_data(as_text=True)

    assert ('name="chip_epochs"' in page) == shown
    assert (f'data-chip_epochs="{RECIPES["strong"].chip_epochs}"' in page) == shown

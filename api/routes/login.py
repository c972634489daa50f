"""Signing in at the page with a token, and out."""

from typing import Any

from flask import Blueprint, Response, current_app, make_response, redirect, request

from api.authentication import Door, refuse_cross_site
from api.pages import render_page
from services.errors import NotAuthenticatedError

routes = Blueprint("login", __name__)


@routes.get("/login")
def show_login() -> str:
    """The form for a token."""
    return _form("", ended="ended" in request.args)


@routes.post("/login")
def sign_in() -> Any:
    """Opens a session with the token of the form."""
    refuse_cross_site(request)
    return open_session(request.form.get("token", "").strip(), request.form.get("next", ""))


@routes.post("/logout")
def sign_out() -> Any:
    """Ends the session."""
    refuse_cross_site(request)
    response = redirect("/login", 303)
    door().sign_out(request, response)
    return response


def open_session(token: str, then: str) -> Any:
    """Opens a session and goes on to a page of this site, whose address holds no token; or the form again."""
    # A browser told to go on at another site's behest would leave the new cookie out; a page of ours may tell it.
    from_elsewhere = request.headers.get("Sec-Fetch-Site") == "cross-site"
    target = then if then.startswith("/") and not then.startswith(("//", "/\\")) else "/"
    response: Any = (
        make_response(render_page("onward.html", target=target)) if from_elsewhere else redirect(target, 303)
    )
    try:
        door().sign_in(token, request, response)
    except NotAuthenticatedError:
        return Response(_form("unknown"), 401, content_type="text/html; charset=utf-8")
    return response


def door() -> Door:
    """What tells whose requests are."""
    found: Door = current_app.extensions["door"]
    return found


def _form(problem: str, *, ended: bool = False) -> str:
    then = request.values.get("next", "/")
    return render_page("login.html", problem=problem, ended=ended, next=then)

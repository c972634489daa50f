"""Sign in at the page with a token or a sign-in link, and sign out."""

from typing import Any

from flask import Blueprint, Response, make_response, redirect, request

from api.authentication import authenticator, refuse_cross_site
from api.pages import render_page
from services.errors import NotAuthenticatedError

routes = Blueprint("login", __name__)


@routes.get("/login")
def show_login() -> str:
    """Show the form for a token."""
    return _form("", ended="ended" in request.args)


@routes.post("/login")
def sign_in() -> Any:
    """Open a session with the token of the form."""
    refuse_cross_site(request)
    return open_session(request.form.get("token", "").strip(), request.form.get("next", ""))


@routes.get("/login/link")
def show_link() -> str:
    """Show the button of a sign-in link; its code, in the address's fragment, has not been sent."""
    return render_page("link.html", problem="")


@routes.post("/login/link")
def sign_in_by_link() -> Any:
    """Open a session with the code of a sign-in link."""
    refuse_cross_site(request)
    response = redirect("/", 303)
    try:
        authenticator().sign_in_by_code(request.form.get("code", ""), request, response)
    except NotAuthenticatedError:
        return Response(
            render_page("link.html", problem="used"), 401, content_type="text/html; charset=utf-8"
        )
    return response


@routes.post("/logout")
def sign_out() -> Any:
    """End the session."""
    refuse_cross_site(request)
    response = redirect("/login", 303)
    authenticator().sign_out(request, response)
    return response


def open_session(token: str, then: str) -> Any:
    """Open a session and redirect to a page of this site without the token in its address, or show the form again."""
    # After a link on another site, a browser that follows a redirect omits the new cookie; a page of ours sends it on.
    from_elsewhere = request.headers.get("Sec-Fetch-Site") == "cross-site"
    target = then if then.startswith("/") and not then.startswith(("//", "/\\")) else "/"
    response: Any = (
        make_response(render_page("onward.html", target=target)) if from_elsewhere else redirect(target, 303)
    )
    try:
        authenticator().sign_in(token, request, response)
    except NotAuthenticatedError:
        return Response(_form("unknown"), 401, content_type="text/html; charset=utf-8")
    return response


def _form(problem: str, *, ended: bool = False) -> str:
    then = request.values.get("next", "/")
    return render_page("login.html", problem=problem, ended=ended, next=then)

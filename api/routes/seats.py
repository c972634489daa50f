"""The link of a class: pick a nickname, or come back with a code, and be in."""

from collections.abc import Mapping
from typing import Any, Final

from flask import Blueprint, redirect, request, url_for

from api.application import application
from api.authentication import authenticator, refuse_cross_site
from api.pages import language, render_page
from api.problems import status_of
from api.texts import Texts
from services.classes.nicknames import MOST_CHARACTERS
from services.errors import (
    ConflictError,
    HxserveError,
    InvalidInputError,
    NotAuthenticatedError,
    QuotaExceededError,
)
from services.names import class_of
from services.users.authentication import User

routes = Blueprint("seats", __name__, url_prefix="/c")

_OF_A_NICKNAME: Final[Mapping[type[HxserveError], str]] = {
    ConflictError: "class.nickname_taken",
    InvalidInputError: "class.nickname_bad",
}
"""The texts for pupils of the errors of a nickname."""


@routes.get("")
def ask_code() -> Any:
    """Show the form for the code of a class, or go on to the class of the code that was typed."""
    code = request.args.get("code", "").strip()
    return redirect(url_for("seats.show_door", code=code.upper()), 303) if code else _door("", "")


@routes.get("/<code>")
def show_door(code: str) -> Any:
    """Show the form for a nickname; a pupil who is in already goes on."""
    code = code.lower()
    found = application().classes.look(code, request.remote_addr or "")
    present = _present_user()
    if present is not None and class_of(present.name) == code:
        return redirect("/", 303)
    return _door(found.title, code, is_over=found.is_over, present=present)


@routes.post("/<code>")
def take_seat(code: str) -> Any:
    """Take a seat under the nickname of the form, or enter one again with a code; the browser is signed in."""
    refuse_cross_site(request)
    code, classes = code.lower(), application().classes
    found = classes.look(code, request.remote_addr or "")
    try:
        if "entry" in request.form:
            token = classes.return_to(code, request.form["entry"])
        else:
            token = classes.join(code, request.form.get("nickname", ""))
    except HxserveError as error:
        texts = Texts(language())
        text = None if "entry" in request.form else _OF_A_NICKNAME.get(type(error))
        words = texts(text, most=MOST_CHARACTERS) if text else texts.problem(error.code, error.message)
        return _door(found.title, code, is_over=found.is_over, problem=words), status_of(type(error))
    response: Any = redirect("/", 303)
    authenticator().sign_in(token, request, response)
    return response


@routes.errorhandler(HxserveError)
def show_problem(error: HxserveError) -> Any:
    """Show an error with the form for the code of a class."""
    words = Texts(language()).problem(error.code, error.message)
    return _door("", "", problem=words), status_of(type(error))


def _door(
    title: str, code: str, *, is_over: bool = False, present: User | None = None, problem: str = ""
) -> str:
    return render_page(
        "seat.html",
        title=title,
        code=code,
        is_over=is_over,
        present=present,
        problem=problem,
        returns="entry" in request.form,
        most=MOST_CHARACTERS,
        nickname=request.form.get("nickname", ""),
    )


def _present_user() -> User | None:
    try:
        return authenticator().user_of(request)
    except (NotAuthenticatedError, QuotaExceededError):
        return None

"""Pages of a class: for the teacher all classes, one live and its code for the projector; the challenges for all."""

from flask import request

from api.application import application
from api.authentication import current_user
from api.pages import render_page
from api.qr import qr_svg
from api.routes.classes import link_of
from api.routes.page import routes
from services.classes.classes import MOST_TITLE
from services.classes.nicknames import MOST_CHARACTERS
from services.classes.record import MOST_SEATS

_OWN_HOSTS = ("127.0.0.1", "localhost", "[::1]")


@routes.get("/classes")
def list_classes() -> str:
    """Show your classes, and the form to start one."""
    return render_page("classes.html", "class", most_seats=MOST_SEATS, most_title=MOST_TITLE)


@routes.get("/classes/<code>")
def show_class(code: str) -> str:
    """Show a class: its pupils and what they do, kept up to date."""
    found = application().classes.get(current_user(), code)
    return render_page("class.html", "class", "job", found=found, most=MOST_CHARACTERS)


@routes.get("/classes/<code>/screen")
def show_screen(code: str) -> str:
    """Show the code of a class as large as the screen."""
    found = application().classes.get(current_user(), code)
    link = link_of(code)
    return render_page(
        "screen.html",
        "class",
        found=found,
        qr=qr_svg(link),
        door=f"{request.host}/c",
        is_local=request.host.startswith(_OWN_HOSTS),
    )


@routes.get("/challenges")
def show_challenges() -> str:
    """Show the challenges and their board."""
    return render_page("challenges.html", "challenge", "draw", most=MOST_CHARACTERS)

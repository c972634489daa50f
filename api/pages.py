"""What all pages share: language and colours as the reader wants them, and headers that keep strangers' code out."""

from typing import Any, Final
from urllib.parse import urlencode

from flask import Flask, Response, g, redirect, render_template, request

from api.texts import LANGUAGES, Texts
from services.users.authentication import User

_LANGUAGE: Final = "hxserve-lang"
_THEME: Final = "hxserve-theme"
_THEMES: Final = ("auto", "light", "dark")
_BLUEPRINTS: Final = frozenset({"page", "login"})

_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)


def register_pages(app: Flask) -> None:
    """Lets every page take the reader's choices and carry the policy."""

    @app.before_request
    def take_choices() -> Any:
        if request.blueprint not in _BLUEPRINTS or request.method != "GET":
            return None
        choices = {_LANGUAGE: ("lang", LANGUAGES), _THEME: ("theme", _THEMES)}
        chosen = {
            cookie: request.args[name]
            for cookie, (name, known) in choices.items()
            if request.args.get(name) in known
        }
        if not chosen:
            return None
        rest = [
            (name, value) for name, value in request.args.items(multi=True) if name not in {"lang", "theme"}
        ]
        response = redirect(f"{request.path}?{urlencode(rest)}" if rest else request.path)
        for cookie, value in chosen.items():
            # Without an end of its own a cookie goes with the browser's session: nothing is remembered longer.
            response.set_cookie(cookie, value, samesite="Lax", httponly=True, secure=request.is_secure)
        return response

    @app.after_request
    def keep_strangers_out(response: Response) -> Response:
        if request.blueprint in _BLUEPRINTS:
            response.headers["Content-Security-Policy"] = _POLICY
            response.headers["Referrer-Policy"] = "no-referrer"
            response.headers["Vary"] = "Accept-Language, Cookie"
        return response


def render_page(template: str, *sections: str, **values: Any) -> str:
    """A page in the reader's language.

    Args:
        template: its file.
        sections: of the catalogue, that the page's scripts need too.
        values: what the template shows.
    """
    texts = Texts(language())
    user: User | None = g.get("user")
    theme = request.cookies.get(_THEME, "auto")
    return render_template(
        template,
        t=texts,
        lang=texts.language,
        theme=theme if theme in _THEMES else "auto",
        user=user,
        script_texts=texts.of("js", "error", *sections),
        **values,
    )


def language() -> str:
    """The language of the reader's choice, else of their browser."""
    chosen = request.cookies.get(_LANGUAGE)
    if chosen in LANGUAGES:
        return chosen
    return request.accept_languages.best_match(LANGUAGES) or LANGUAGES[0]

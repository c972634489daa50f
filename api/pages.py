"""Pages: the reader's language and theme, and headers that allow a page to load from this service alone."""

from typing import Any, Final
from urllib.parse import urlencode

from flask import Flask, Response, g, redirect, render_template, request

from api.texts import LANGUAGES, Texts

_THEMES: Final = ("auto", "light", "dark")
_CHOICES: Final = {"lang": LANGUAGES, "theme": _THEMES}
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
    """Let each page store the reader's choices and send its policy."""

    @app.before_request
    def store_choices() -> Any:
        if request.blueprint not in _BLUEPRINTS or request.method != "GET":
            return None
        chosen = {name: request.args[name] for name in _CHOICES if request.args.get(name) in _CHOICES[name]}
        if not chosen:
            return None
        rest = [(name, value) for name, value in request.args.items(multi=True) if name not in _CHOICES]
        response = redirect(f"{request.path}?{urlencode(rest)}" if rest else request.path)
        for name, value in chosen.items():
            # A cookie without an expiry ends with the browser's session: nothing is stored longer.
            response.set_cookie(
                f"hxserve-{name}", value, samesite="Lax", httponly=True, secure=request.is_secure
            )
        return response

    @app.after_request
    def restrict(response: Response) -> Response:
        if request.blueprint in _BLUEPRINTS:
            response.headers["Content-Security-Policy"] = _POLICY
            response.headers["Referrer-Policy"] = "no-referrer"
            response.headers["Vary"] = "Accept-Language, Cookie"
        return response


def render_page(template: str, *sections: str, **values: Any) -> str:
    """Render a page in the reader's language.

    `sections` are those of the catalogue that the page's scripts use, `values` the template's variables.
    """
    texts = Texts(language())
    theme = request.cookies.get("hxserve-theme")
    return render_template(
        template,
        t=texts,
        lang=texts.language,
        theme=theme if theme in _THEMES else "auto",
        user=g.get("user"),
        script_texts=texts.of("js", "error", *sections),
        **values,
    )


def language() -> str:
    """Return the language that the reader has chosen, else the browser's."""
    chosen = request.cookies.get("hxserve-lang")
    if chosen in LANGUAGES:
        return chosen
    return request.accept_languages.best_match(LANGUAGES) or LANGUAGES[0]

"""Pages: the reader's language and theme, and headers that allow a page to load from this service alone."""

from typing import Any, Final
from urllib.parse import urlencode

from flask import Flask, Response, g, redirect, render_template, request

from api.application import application
from api.texts import LANGUAGES, Texts
from services.names import class_of
from services.users.authentication import User

_THEMES: Final = ("auto", "light", "dark")
_CHOICES: Final = {"lang": LANGUAGES, "theme": _THEMES}
_BLUEPRINTS: Final = frozenset({"page", "login", "seats"})
_INTERFACES: Final = ("/v1/", "/v2/", "/static/")
_PAGES: Final = (
    ("/", "draw"),
    ("/train", "train"),
    ("/models", "models"),
    ("/jobs", "jobs"),
    ("/chip", "chip"),
    ("/letters", "letters"),
)
"""The pages in the head of each page; those after the fourth are in the menu alone where the screen is narrow."""
_MORE: Final = (
    ("/datasets", "datasets"),
    ("/teach", "teach"),
    ("/challenges", "challenges"),
    ("/corrections", "corrections"),
    ("/me", "me"),
)
"""Those in the menu."""
_CLASSES: Final = ("/classes", "classes")
_ADMIN: Final = ("/admin", "admin")

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
        if request.blueprint in _BLUEPRINTS or g.get("is_page"):
            response.headers["Content-Security-Policy"] = _POLICY
            response.headers["Referrer-Policy"] = "no-referrer"
            response.headers["Vary"] = "Accept-Language, Cookie"
        return response


def render_page(template: str, *sections: str, **values: Any) -> str:
    """Render a page in the reader's language.

    `sections` are those of the catalogue that the page's scripts use, `values` the template's variables.
    """
    texts, user = Texts(language()), g.get("user")
    theme = request.cookies.get("hxserve-theme")
    g.is_page = True
    if "maintained" not in values:
        values["maintained"] = (
            [record for record in application().chips.records() if record.drain] if user else []
        )
    return render_template(
        template,
        t=texts,
        lang=texts.language,
        theme=theme if theme in _THEMES else "auto",
        user=user,
        pages=_PAGES,
        more=_more_of(user) if user else (),
        script_texts=texts.of("js", "error", *sections),
        **values,
    )


def _more_of(user: User) -> tuple[tuple[str, str], ...]:
    """Return the pages in the menu of a user: no classes for pupils, administration for admins alone."""
    classes = () if class_of(user.name) else (_CLASSES,)
    return (*_MORE, *classes, *((_ADMIN,) if user.is_admin else ()))


def language() -> str:
    """Return the language that the reader has chosen, else the browser's."""
    chosen = request.cookies.get("hxserve-lang")
    if chosen in LANGUAGES:
        return chosen
    return request.accept_languages.best_match(LANGUAGES) or LANGUAGES[0]


def is_page_wanted() -> bool:
    """Return whether this request asks for a page: by its address, or as a browser that shows an unknown one."""
    if request.blueprint == "page":
        return True
    kinds = request.accept_mimetypes
    return (
        not request.path.startswith(_INTERFACES)
        and kinds.best_match(("application/json", "text/html")) == "text/html"
    )

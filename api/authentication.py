"""Whose request this is."""

from flask import Flask, g, request
from werkzeug.datastructures import Headers

from services.users import Tokens, User

_PUBLIC = frozenset({"/healthz", "/readyz", "/openapi.json", "/docs", "/"})


def register_authentication(app: Flask, tokens: Tokens) -> None:
    """Lets nobody without a valid token past the public pages."""

    @app.before_request
    def authenticate() -> None:
        if request.path not in _PUBLIC:
            g.user = user_of(request.headers, tokens)


def user_of(headers: Headers, tokens: Tokens) -> User:
    """The user whose bearer token came with a request.

    Raises:
        NotAuthenticatedError: none came, or it is not known.
    """
    scheme, _, token = headers.get("Authorization", "").partition(" ")
    return tokens.user_of(token.strip() if scheme.lower() == "bearer" else None)


def current_user() -> User:
    """The user whose request is being answered."""
    user: User = g.user
    return user

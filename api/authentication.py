"""Whose request this is."""

from flask import Flask, g, request

from services.users import Tokens, User

_PUBLIC = frozenset({"/healthz", "/readyz", "/openapi.json", "/docs", "/"})


def register_authentication(app: Flask, tokens: Tokens) -> None:
    """Lets nobody without a valid token past the public pages."""

    @app.before_request
    def authenticate() -> None:
        if request.path not in _PUBLIC:
            scheme, _, token = request.headers.get("Authorization", "").partition(" ")
            g.user = tokens.user_of(token.strip() if scheme.lower() == "bearer" else None)


def current_user() -> User:
    """The user whose request is being answered."""
    user: User = g.user
    return user

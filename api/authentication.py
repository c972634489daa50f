"""Whose request this is."""

from flask import Flask, g, request
from werkzeug.datastructures import Headers

from services.errors import ForbiddenError
from services.rates import RequestRates
from services.users import Tokens, User

_PUBLIC = frozenset({"/healthz", "/readyz", "/openapi.json", "/docs", "/"})


class Door:
    """Who comes in, and how often."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens
        self._rates = RequestRates()

    def user_of(self, headers: Headers) -> User:
        """The user whose bearer token came with a request.

        Raises:
            NotAuthenticatedError: none came, or it opens nothing.
            QuotaExceededError: the user has sent too many requests lately.
        """
        return self.user_with(bearer_token(headers))

    def user_with(self, token: str | None) -> User:
        """The user who has this token.

        Raises:
            NotAuthenticatedError: it is none, or opens nothing.
            QuotaExceededError: the user has sent too many requests lately.
        """
        user = self._tokens.user_of(token)
        self._rates.admit(user)
        return user


def bearer_token(headers: Headers) -> str | None:
    """The bearer token among the headers of a request, if there is one."""
    scheme, _, token = headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def register_authentication(app: Flask, door: Door) -> None:
    """Lets nobody without a valid token past the public pages."""

    @app.before_request
    def authenticate() -> None:
        if request.path not in _PUBLIC:
            g.user = door.user_of(request.headers)


def current_user() -> User:
    """The user whose request is being answered."""
    user: User = g.user
    return user


def only_admins() -> None:
    """Does nothing if an admin asks.

    Raises:
        ForbiddenError: somebody else does.
    """
    if not current_user().is_admin:
        raise ForbiddenError

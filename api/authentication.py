"""Authentication of requests: by a bearer token, or by the session of a user who signed in at the page.

The page's session is a cookie that scripts cannot read and that browsers send from this site's pages alone. What
changes something is besides accepted only when the browser says that one of these pages sent it.
"""

from collections.abc import Mapping
from typing import Final, Protocol
from urllib.parse import urlsplit

from flask import Flask, current_app, g, redirect, request, url_for
from werkzeug.wrappers import Request, Response

from api.pages import is_page_wanted
from services.errors import CrossSiteError, ForbiddenError, NotAuthenticatedError
from services.users.accounts import digest_of
from services.users.authentication import Tokens, User
from services.users.rates import Rates
from services.users.sessions import SessionStore

_PUBLIC: Final = frozenset(
    {
        "/healthz",
        "/readyz",
        "/openapi.json",
        "/docs",
        "/login",
        "/login/link",
        "/logout",
        "/v2/health/live",
        "/v2/health/ready",
    }
)
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class HttpRequest(Protocol):
    """The part of a request that authentication reads, whichever server parsed it."""

    @property
    def method(self) -> str:
        """Its method, in capitals."""

    @property
    def host(self) -> str:
        """The host, with its port if it has one, that the client asked."""

    @property
    def cookies(self) -> Mapping[str, str]:
        """Its cookies."""

    @property
    def headers(self) -> "SupportsGet":
        """Its headers."""


class SupportsGet(Protocol):
    """Headers of a request."""

    def get(self, name: str, /) -> str | None:
        """Return the value of a header, named in lower case, if it is there."""


class Authenticator:
    """Finds the user of a request, and counts the requests of each."""

    def __init__(self, tokens: Tokens, sessions: SessionStore) -> None:
        self._tokens = tokens
        self._sessions = sessions
        self._rates = Rates()

    def user_of(self, request: HttpRequest) -> User:
        """Return the user whose token or session came with a request; a token goes before a session.

        Raises:
            NotAuthenticatedError: neither came, or it opens nothing.
            CrossSiteError: a page of another site used the session.
            QuotaExceededError: the user has sent too many requests lately.
        """
        user = self._bearer_of(request)
        self.admit(user)
        return user

    def known_user(self, request: HttpRequest) -> User | None:
        """Return the user of a request if Redis need not be asked; the request is not counted, so call `admit`."""
        token = bearer_token(request)
        return self._tokens.known_user(token) if token else None

    def admit(self, user: User) -> None:
        """Count a request.

        Raises:
            QuotaExceededError: the user has sent too many requests lately.
        """
        self._rates.admit(user)

    def admit_operation(self, user: User, size: int) -> None:
        """Count an operation of a program, and the bytes of its body.

        Raises:
            QuotaExceededError: the user has sent too many, or too large ones, lately.
        """
        self._rates.admit(user, "operations_per_second")
        self._rates.admit(user, "operation_bytes_per_second", size)

    def _bearer_of(self, request: HttpRequest) -> User:
        return self._tokens.user_of_digest(self.digest_of(request))

    def digest_of(self, request: HttpRequest) -> str:
        """Return the digest of the token that came with a request, or that opened its session.

        Raises:
            NotAuthenticatedError: neither came, or the session has ended.
            CrossSiteError: a page of another site used the session.
        """
        token = bearer_token(request)
        session = session_of(request) if request.headers.get("authorization") is None else None
        if session is None:
            if not token:
                raise NotAuthenticatedError
            return digest_of(token)
        refuse_cross_site(request)
        digest = self._sessions.digest_of(session)
        if digest is None:
            raise NotAuthenticatedError("the session has ended; sign in again")
        return digest

    def sign_in(self, token: str, request: Request, response: Response) -> User:
        """Open a session for the bearer of a token, and add its cookie to the response.

        Raises:
            NotAuthenticatedError: the token is not known.
        """
        user = self._tokens.user_of(token)
        self._open_session(digest_of(token), request, response)
        return user

    def sign_in_by_code(self, code: str, request: Request, response: Response) -> User:
        """Open a session with the code of a sign-in link, which is used up.

        Raises:
            NotAuthenticatedError: the code was used or has expired, or its token was revoked.
        """
        digest = self._sessions.accept(code)
        if digest is None:
            raise NotAuthenticatedError("the link was used or has expired; make a new one")
        user = self._tokens.user_of_digest(digest)
        self._open_session(digest, request, response)
        return user

    def _open_session(self, digest: str, request: Request, response: Response) -> None:
        response.set_cookie(
            _cookie_of(request),
            self._sessions.open(digest),
            httponly=True,
            secure=request.is_secure,
            samesite="Strict",
        )

    def sign_out(self, request: HttpRequest, response: Response) -> None:
        """End the session of a request, if it has one."""
        session = session_of(request)
        if session:
            self._sessions.close(session)
        response.delete_cookie(_cookie_of(request), httponly=True, samesite="Strict")


def bearer_token(request: HttpRequest) -> str | None:
    """Return the bearer token of a request, if it has one."""
    scheme, _, token = (request.headers.get("authorization") or "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def register_authentication(app: Flask) -> None:
    """Require a valid token or session for all but the public pages."""

    @app.before_request
    def authenticate() -> Response | None:
        if request.path in _PUBLIC or request.endpoint == "static" or request.blueprint == "seats":
            return None
        if request.path == "/" and "token" in request.args:
            return None  # the link that `hxserve up` prints: the page signs its bearer in
        try:
            g.user = authenticator().user_of(request)
        except NotAuthenticatedError:
            if not is_page_wanted():
                raise
            ended = "1" if session_of(request) else None
            return redirect(url_for("login.show_login", ended=ended, next=request.full_path.rstrip("?")))
        return None


def authenticator() -> Authenticator:
    """Return the authenticator of the application that answers this request."""
    found: Authenticator = current_app.extensions["authenticator"]
    return found


def current_user() -> User:
    """Return the user whose request is being answered."""
    user: User = g.user
    return user


def only_admins() -> None:
    """Refuse requests of other users than admins.

    Raises:
        ForbiddenError: the user is no admin.
    """
    if not current_user().is_admin:
        raise ForbiddenError


def session_of(request: HttpRequest) -> str | None:
    """Return the session that a browser names."""
    return request.cookies.get(_cookie_of(request))


def refuse_cross_site(request: HttpRequest) -> None:
    """Refuse changes that a page of another site asks for.

    Browsers say where a request comes from: in `Sec-Fetch-Site` over a trustworthy connection, else in `Origin`.

    Raises:
        CrossSiteError: the request came from another site, or does not say where from.
    """
    if request.method in _SAFE:
        return
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None:
        is_ours = site in {"same-origin", "none"}
    else:
        is_ours = origin is not None and urlsplit(origin).netloc == request.host
    if not is_ours:
        raise CrossSiteError


def _cookie_of(request: HttpRequest) -> str:
    """Return the name of the session cookie; a browser shares cookies between ports of a host, services must not."""
    return f"hxserve-session-{request.host.rpartition(':')[2] if ':' in request.host else 'web'}"

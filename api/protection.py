"""Headers that every answer carries."""

from typing import TypeVar

from werkzeug.wrappers import Response

SomeResponse = TypeVar("SomeResponse", bound=Response)


def protect(response: SomeResponse) -> SomeResponse:
    """The answer, with what keeps browsers from guessing and keeping."""
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Cache-Control", "no-store")
    return response

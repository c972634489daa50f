"""Security headers of every answer."""

from typing import Final, TypeVar

from werkzeug.wrappers import Response

SomeResponse = TypeVar("SomeResponse", bound=Response)

NOTHING: Final = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
"""The content policy of answers that are no pages: a browser that shows one loads and runs nothing."""

HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": NOTHING,
}


def protect(response: SomeResponse) -> SomeResponse:
    """Add headers that keep browsers from guessing, keeping, framing and running an answer; return the answer.

    A page that needs more says so itself. No header lets scripts of other origins read an answer.
    """
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    return response

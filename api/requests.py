"""Requests whose bodies are read whole or refused."""

import flask
from werkzeug import Request
from werkzeug.exceptions import RequestEntityTooLarge


class WholeRequest(Request):
    """A request that never passes the beginning of a body for all of it."""

    def get_data(self, cache: bool = True, as_text: bool = False, parse_form_data: bool = False) -> bytes:  # type: ignore[override] # nobody here asks for text
        """The body.

        Raises:
            RequestEntityTooLarge: it is larger than allowed. Werkzeug itself cuts a body of unknown length at the
                limit.
        """
        body: bytes = super().get_data(cache, as_text, parse_form_data)  # type: ignore[call-overload] # the same
        limit = self.max_content_length
        if (
            limit is not None
            and len(body) >= limit
            and self.content_length is None
            and self.input_stream.read(1)
        ):
            raise RequestEntityTooLarge
        return body


class FlaskRequest(WholeRequest, flask.Request):
    """The same for Flask."""

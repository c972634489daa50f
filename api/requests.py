"""Requests to Flask, whose bodies are read whole or refused."""

import flask
from werkzeug.exceptions import RequestEntityTooLarge


class WholeRequest(flask.Request):
    """A request that never passes the beginning of a body for all of it."""

    def get_data(self, cache: bool = True, as_text: bool = False, parse_form_data: bool = False) -> bytes:  # type: ignore[override] # no caller here asks for text
        """Return the body.

        Raises:
            RequestEntityTooLarge: it is larger than allowed. Werkzeug itself cuts a body of unknown length at the
                limit.
        """
        body: bytes = super().get_data(cache, as_text, parse_form_data)  # type: ignore[call-overload] # the same
        limit = self.max_content_length
        is_cut = limit is not None and len(body) >= limit and self.content_length is None
        if is_cut and self.input_stream.read(1):
            raise RequestEntityTooLarge
        return body

"""gRPC calls as HTTP/2 frames: calls are built before the load, frames are read as cheaply as possible.

One call at a time on each connection. Nothing of HPACK is needed beyond literals without an index, which any server
reads; of an answer's head only its place is looked at.
"""

import struct
from collections.abc import Mapping
from typing import Final

from benchmarks.load.messages import Response

_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RESET, _SETTINGS, _PING, _GOAWAY, _WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
_END_STREAM, _END_HEADERS, _ACK, _PADDED = 1, 4, 1, 8
_INITIAL_WINDOW_SIZE: Final = 4
_DEFAULT_WINDOW: Final = 65_535
_WIDE: Final = 1 << 30
_MOST_FRAME_BYTES: Final = 16_384


def build_call(path: str, message: bytes, *, headers: Mapping[str, str] | None = None) -> bytes:
    """Return a call as `GrpcWire.request` takes it.

    Args:
        path: as `/package.Service/Method`.
        message: the serialised request.
        headers: further metadata.
    """
    fields = {
        ":method": "POST",
        ":scheme": "http",
        ":path": path,
        ":authority": "127.0.0.1",
        "te": "trailers",
    }
    fields |= {
        "content-type": "application/grpc",
        **{name.lower(): value for name, value in (headers or {}).items()},
    }
    block = b"".join(b"\0" + _literal(name) + _literal(value) for name, value in fields.items())
    return struct.pack(">I", len(block)) + block + struct.pack(">BI", 0, len(message)) + message


def _literal(text: str) -> bytes:
    """Return a string of HPACK without Huffman coding (RFC 7541, 5.2)."""
    raw = text.encode("ascii")
    if len(raw) < 127:
        return bytes([len(raw)]) + raw
    prefix, rest = b"\x7f", len(raw) - 127
    while rest >= 128:
        prefix, rest = prefix + bytes([rest % 128 + 128]), rest // 128
    return prefix + bytes([rest]) + raw


def _frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


class GrpcWire:
    """The state of one connection: the number of its call, and the windows of flow control."""

    opening: Final = (
        _PREFACE
        + _frame(_SETTINGS, 0, 0, struct.pack(">HI", _INITIAL_WINDOW_SIZE, _WIDE))
        + _frame(_WINDOW_UPDATE, 0, 0, struct.pack(">I", _WIDE))
    )

    def __init__(self) -> None:
        self._stream = -1
        self._unsent = memoryview(b"")
        self._initial_window = self._window = self._stream_window = _DEFAULT_WINDOW
        self._received = b""
        self._body: list[bytes] = []
        self._taken = 0

    def request(self, call: bytes) -> bytes:
        """Begin a call; return what is to be sent now."""
        self._stream += 2
        (length,) = struct.unpack_from(">I", call)
        self._unsent = memoryview(call)[4 + length :]
        self._stream_window, self._body = self._initial_window, []
        return _frame(_HEADERS, _END_HEADERS, self._stream, call[4 : 4 + length]) + self._fitting()

    def _fitting(self) -> bytes:
        """Return the frames of the message that the windows have room for."""
        frames = []
        while self._unsent and (room := min(self._window, self._stream_window, _MOST_FRAME_BYTES)) > 0:
            part, self._unsent = self._unsent[:room], self._unsent[room:]
            self._window -= len(part)
            self._stream_window -= len(part)
            frames.append(_frame(_DATA, 0 if self._unsent else _END_STREAM, self._stream, bytes(part)))
        return b"".join(frames)

    def receive(self, data: bytes) -> tuple[Response | None, bytes]:
        """Read what has arrived; return the answer when it is complete, and what is to be sent now.

        Raises:
            ValueError: the server ends the connection or the call.
        """
        received = self._received + data if self._received else data
        at, response, reply = 0, None, b""
        while len(received) - at >= 9:
            size = int.from_bytes(received[at : at + 3])
            if len(received) - at < 9 + size:
                break
            kind, flags = received[at + 3], received[at + 4]
            payload = received[at + 9 : at + 9 + size]
            at += 9 + size
            if kind == _DATA:
                self._body.append(payload)
                self._taken += size
            elif kind in {_RESET, _GOAWAY}:
                raise ValueError(
                    f"the server ended the {'call' if kind == _RESET else 'connection'}: {payload!r}"
                )
            else:
                reply += self._control(
                    kind, flags, int.from_bytes(received[at - size - 4 : at - size]), payload
                )
            if kind in {_DATA, _HEADERS} and flags & _END_STREAM:
                response = self._response(payload)
        self._received = received[at:]
        if self._taken > _WIDE // 2:
            reply += _frame(_WINDOW_UPDATE, 0, 0, struct.pack(">I", self._taken))
            self._taken = 0
        return response, reply + (self._fitting() if self._unsent else b"")

    def _control(self, kind: int, flags: int, stream: int, payload: bytes) -> bytes:
        """Act on a frame without data; return the reply to it."""
        if kind == _SETTINGS and not flags & _ACK:
            for at in range(0, len(payload), 6):
                name, value = struct.unpack_from(">HI", payload, at)
                if name == _INITIAL_WINDOW_SIZE:
                    self._stream_window += value - self._initial_window
                    self._initial_window = value
            return _frame(_SETTINGS, _ACK, 0)
        if kind == _PING and not flags & _ACK:
            return _frame(_PING, _ACK, 0, payload)
        if kind == _WINDOW_UPDATE:
            (more,) = struct.unpack(">I", payload)
            if stream == 0:
                self._window += more
            elif stream == self._stream:
                self._stream_window += more
        return b""

    def _response(self, head: bytes) -> Response:
        """Return the answer to the call; one without a message is an error."""
        body = b"".join(self._body)
        return (
            Response(200, head, body[5:], closing=False) if body else Response(500, head, head, closing=False)
        )

"""An operation of a program: one multiply-accumulate on the chip, and its answer."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Final, Self

import msgpack

MOST_BYTES: Final = 8 * 2**20
"""The most bytes of inputs and weights of one operation."""

MOST_MACS: Final = 2**27
"""The most multiply-accumulates of one operation: about half a second on a real chip."""


class _Packed:
    """A dataclass that travels as a MessagePack list of its fields."""

    __slots__ = ()

    def pack(self) -> bytes:
        """Return it as bytes."""
        packed: bytes = msgpack.packb([getattr(self, field.name) for field in fields(self)])  # type: ignore[arg-type] # of a dataclass
        return packed

    @classmethod
    def unpack(cls, packed: bytes) -> Self:
        """Return it from the bytes that `pack` made."""
        return cls(*msgpack.unpackb(packed))


@dataclass(frozen=True, slots=True)
class Operation(_Packed):
    """A multiply-accumulate of inputs (batch, rows), uint8 0..31, and weights (rows, columns), int8 -63..63.

    `weights` are empty where `digest` names weights that the session keeps. Both are row by row. Each input is sent
    `num_sends` times, `wait_between_events` FPGA cycles of 8 ns apart. `session` is the id of the program's session.
    """

    session: str
    rows: int
    columns: int
    inputs: bytes
    weights: bytes
    digest: str
    num_sends: int
    wait_between_events: int

    @property
    def batch(self) -> int:
        """The number of input vectors."""
        return len(self.inputs) // self.rows


@dataclass(frozen=True, slots=True)
class Readouts(_Packed):
    """The answer to an operation: (batch, columns) int8, LSB, row by row; or why there is none.

    `calibration` is the sha256 of the calibration that was loaded, empty without one; times are seconds.
    """

    readouts: bytes = b""
    columns: int = 0
    chip: str = ""
    backend: str = ""
    calibration: str = ""
    waiting_s: float = 0.0
    chip_s: float = 0.0
    problem: Mapping[str, str] | None = None

"""Operations and their answers as safetensors."""

import hashlib
import json
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from hxserve.errors import AnswerNotUnderstoodError

_NAMES_REMEMBERED: Final = 1024

Byte = TypeVar("Byte", np.int8, np.uint8)


@dataclass(frozen=True, slots=True)
class Weights:
    """Weights of an operation and their name.

    Attributes:
        values: (rows, columns), -63..63.
        name: `<sha256 of the bytes>:<rows>x<columns>`.
    """

    values: NDArray[np.int8]
    name: str

    @classmethod
    def of(cls, weights: torch.Tensor) -> "Weights":
        """Return weights that hold integers, (rows, columns), with their name."""
        values = _bytes_of(weights, np.int8)
        rows, columns = values.shape
        digest = hashlib.sha256(values.data).hexdigest()
        return cls(values, f"{digest}:{rows}x{columns}")


class SentWeights:
    """Which weights a session was sent, and how often; safe to share between threads.

    Weights that change with each step of a training are used once. So they are sent to be kept at their second use, and
    named from the third on.
    """

    def __init__(self) -> None:
        self._uses: OrderedDict[str, int] = OrderedDict()
        self._lock = threading.Lock()

    def note_use(self, name: str, least: int = 1) -> int:
        """Count a use of weights, as at least the `least`-th; return which one it is."""
        with self._lock:
            uses = max(self._uses.pop(name, 0) + 1, least)
            self._uses[name] = uses
            if len(self._uses) > _NAMES_REMEMBERED:
                self._uses.popitem(last=False)
            return uses

    def forget(self, name: str) -> None:
        """Let the next use of weights be the second: the service keeps them no longer."""
        with self._lock:
            self._uses[name] = 1


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to an operation.

    Attributes:
        readouts: (batch, columns), float32 holding integers -128..127.
        calibration_sha256: of the chip's calibration then; None if the backend has none.
    """

    readouts: torch.Tensor
    calibration_sha256: str | None


def encode_operation(
    inputs: torch.Tensor,
    weights: Weights,
    *,
    by_name: bool,
    keep: bool,
    num_sends: int,
    wait_between_events: int,
) -> bytes:
    """Return the body of an operation.

    Args:
        inputs: (batch, rows), integers 0..31 of any type.
        weights: with which to multiply.
        by_name: name the weights instead of sending them.
        keep: ask the service to keep the sent weights.
        num_sends: how often each input is sent.
        wait_between_events: FPGA cycles of 8 ns between two events.
    """
    metadata = {"num_sends": str(num_sends), "wait_between_events": str(wait_between_events)}
    tensors: dict[str, NDArray[Any]] = {"inputs": _bytes_of(inputs, np.uint8)}
    if by_name:
        metadata["weights"] = weights.name
    else:
        tensors["weights"] = weights.values
    if keep:
        metadata["keep"] = "true"
    return save(tensors, metadata)


def decode_answer(content: bytes, shape: tuple[int, int]) -> Answer:
    """Read the answer to an operation whose readouts have this shape, (batch, columns).

    Raises:
        AnswerNotUnderstoodError: it is something else.
    """
    try:
        readouts = load(content)["readouts"]
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        calibration = header["__metadata__"]["calibration"]
    except (SafetensorError, KeyError, ValueError) as error:
        raise AnswerNotUnderstoodError(f"the service sent readouts that cannot be read ({error!r})") from None
    if readouts.dtype != np.int8 or readouts.shape != shape:
        raise AnswerNotUnderstoodError(
            f"the service sent {readouts.dtype} readouts of {readouts.shape}, expected int8 of {shape}"
        )
    return Answer(torch.from_numpy(readouts.astype(np.float32)), calibration or None)


def _bytes_of(values: torch.Tensor, dtype: type[Byte]) -> NDArray[Byte]:
    """Return integers as bytes, row by row; numpy's single thread is several times as fast here as torch's many."""
    return np.ascontiguousarray(values.detach().cpu().numpy().astype(dtype))

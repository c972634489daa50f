"""Rounded weights of matrices that are used again, as a network's are when it classifies."""

import weakref
from dataclasses import dataclass, field

import torch

from hxtorch_emulator.perceptron.products import has_fast_integers, operand
from hxtorch_emulator.perceptron.ranges import round_weights


@dataclass(frozen=True, slots=True)
class RoundedWeights:
    """The synaptic weights nearest to a matrix.

    Attributes:
        integers: (rows, columns), -63..63, float32.
        factor: the same in the type this machine multiplies fastest.
    """

    integers: torch.Tensor
    factor: torch.Tensor


@dataclass(slots=True)
class _KeptWeights:
    """Prepared forms of the matrices that are alive, by their identity, with the version they had."""

    entries: dict[int, tuple["weakref.ref[torch.Tensor]", int, RoundedWeights]] = field(default_factory=dict)

    def find(self, weights: torch.Tensor) -> RoundedWeights | None:
        entry = self.entries.get(id(weights))
        if entry is None or entry[0]() is not weights or entry[1] != weights._version:
            return None
        return entry[2]

    def keep(self, weights: torch.Tensor, rounded: RoundedWeights) -> None:
        key = id(weights)
        self.entries[key] = (
            weakref.ref(weights, lambda reference: self._forget(key, reference)),
            weights._version,
            rounded,
        )

    def _forget(self, key: int, reference: "weakref.ref[torch.Tensor]") -> None:
        if key in self.entries and self.entries[key][0] is reference:
            del self.entries[key]


_kept = _KeptWeights()


def rounded_weights(weights: torch.Tensor, *, saturate: bool = False) -> RoundedWeights:
    """Round ``weights``, (rows, columns); the result is valid until the next call.

    Those of a matrix that nothing learns are kept while it lives and is not changed. A change is noticed by
    torch's version counter, which counts every operation in place but not one through ``.data``; so what
    shares memory in ways torch does not count (views, parameters, arrays of numpy) is rounded anew each time.

    Args:
        weights: rounding to -63..63, unless they are saturated.
        saturate: clamp ``weights`` themselves to the range first, in place.

    Raises:
        OverflowError: a rounded weight is outside -63..63.
    """
    if saturate or not _is_counted(weights):
        return _round(weights, saturate=saturate)
    found = _kept.find(weights)
    if found is None:
        found = _round(weights)
        with torch.inference_mode(False):
            integers = found.integers.clone()
            factor = found.factor.clone() if has_fast_integers() else integers
        found = RoundedWeights(integers, factor)
        _kept.keep(weights, found)
    return found


def _round(weights: torch.Tensor, *, saturate: bool = False) -> RoundedWeights:
    integers = round_weights(weights, saturate=saturate)
    return RoundedWeights(integers, operand("weights", integers))


def _is_counted(weights: torch.Tensor) -> bool:
    """Return whether torch counts the changes of ``weights``, as far as can be told."""
    return not (
        weights.requires_grad
        or weights.is_inference()
        or weights._is_view()
        or not weights.untyped_storage().resizable()
    )

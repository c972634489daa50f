"""Single layers of hxtorch and torch as data: the arguments with which they were made, and their weights."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import torch
from torch import Tensor

from hxserve.errors import NotExpressibleError

_WEIGHT_MAX: Final = 63.0
_EXPECTED: Final = (
    "expected Linear, Conv1d, Conv2d, ExpandedConv1d, ReLU or ConvertingReLU of hxtorch.perceptron.nn, or Flatten or "
    "Unflatten of torch.nn"
)
_WITHOUT_EFFECT: Final = (torch.nn.Identity, torch.nn.Dropout)
"""Modules that compute nothing in an evaluation."""
_KINDS: Final = (
    ("ExpandedConv1d", "expanded_conv1d"),
    ("Conv1d", "conv1d"),
    ("Conv2d", "conv2d"),
    ("Linear", "linear"),
)


@dataclass(frozen=True, slots=True)
class ExpressedLayer:
    """A layer as data.

    Attributes:
        layers: as a network states them; none for a module without an effect.
        kind: first part of its weights' names, `linear` or `conv`; empty without weights.
        weights: `weight`, -63..63, and `bias`.
    """

    layers: list[dict[str, Any]]
    kind: str = ""
    weights: Mapping[str, Tensor] = field(default_factory=dict)


def express_layer(
    name: str, layer: torch.nn.Module, before: tuple[int, ...], after: tuple[int, ...], kinds: Any
) -> ExpressedLayer:
    """Return a layer as data.

    Args:
        name: of the layer in its module.
        layer: to be expressed.
        before: shape of its input, without the batch.
        after: shape of its output, likewise.
        kinds: `hxtorch.perceptron.nn`.

    Raises:
        NotExpressibleError: it is no layer of a network on the chip.
    """
    for kind, type_ in _KINDS:
        if _is_a(layer, getattr(kinds, kind)):
            return _express_mac(name, layer, type_, kinds)
    if _is_a(layer, kinds.ConvertingReLU):
        return ExpressedLayer([{"type": "converting_relu", "shift": layer.shift}])
    if _is_a(layer, kinds.ReLU):
        return ExpressedLayer([{"type": "relu"}])
    if isinstance(layer, torch.nn.Flatten | torch.nn.Unflatten):
        return ExpressedLayer(express_reshape(before, after))
    if isinstance(layer, _WITHOUT_EFFECT):
        return ExpressedLayer([])
    raise NotExpressibleError(f"`{name}` is a {type(layer).__module__}.{type(layer).__name__}; {_EXPECTED}")


def express_reshape(before: tuple[int, ...], after: tuple[int, ...]) -> list[dict[str, Any]]:
    """Return the layers that give the values of a crop another shape."""
    if before == after:
        return []
    flatten = [{"type": "flatten"}] if len(before) > 1 else []
    return flatten + ([{"type": "unflatten", "unflattened_size": list(after)}] if len(after) > 1 else [])


def _is_a(layer: torch.nn.Module, kind: Any) -> bool:
    """Return whether a layer computes as those of a kind do: a subclass must not have a `forward` of its own."""
    return isinstance(layer, kind) and type(layer).forward is kind.forward


def _express_mac(name: str, layer: Any, type_: str, kinds: Any) -> ExpressedLayer:
    """Return a layer that multiplies and accumulates as data."""
    if layer.input_transform is not None or layer.weight_transform not in {None, kinds.clamp_weight_}:
        raise NotExpressibleError(
            f"`{name}` transforms its inputs or weights; expected no input_transform, and clamp_weight_ as "
            "weight_transform: apply the transform to the weights once, before"
        )
    arguments = {
        "type": type_,
        "num_sends": layer.num_sends,
        "wait_between_events": layer.wait_between_events,
        "bias": layer.bias is not None,
    }
    if type_ == "linear":
        arguments |= {"out_features": layer.out_features, "avg": layer.avg}
    else:
        arguments |= _convolution_arguments(name, layer, type_)
    weights = {"weight": layer.weight.detach().clamp(-_WEIGHT_MAX, _WEIGHT_MAX)}
    if layer.bias is not None:
        weights["bias"] = layer.bias.detach()
    copies = {key: tensor.to("cpu", torch.float32).clone().contiguous() for key, tensor in weights.items()}
    return ExpressedLayer([arguments], "linear" if type_ == "linear" else "conv", copies)


def _convolution_arguments(name: str, layer: Any, type_: str) -> dict[str, Any]:
    padding = (0,) * len(layer.kernel_size) if layer.padding == "valid" else layer.padding
    if isinstance(padding, str) or (any(padding) and layer.padding_mode != "zeros"):
        raise NotExpressibleError(
            f"`{name}` pads with padding={layer.padding!r} and padding_mode={layer.padding_mode!r}; expected numbers, "
            "and zeros"
        )
    sizes = {"kernel_size": layer.kernel_size, "stride": layer.stride, "padding": padding}
    arguments: dict[str, Any] = {
        key: size[0] if type_ != "conv2d" else list(size) for key, size in sizes.items()
    }
    if type_ == "expanded_conv1d":
        arguments["num_expansions"] = layer.num_expansions
    return {"out_channels": layer.out_channels, **arguments}

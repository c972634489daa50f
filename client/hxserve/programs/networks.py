"""Networks of hxtorch's layers as data, found by running a module once on a few crops."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import product
from typing import Any, Final

import torch
from torch import Tensor

import hxtorch_emulator
from hxserve.errors import NotExpressibleError
from hxserve.programs.layers import express_layer, express_reshape

DIGITS: Final = 10
_SHAPES: Final = ((784,), (1, 28, 28), (28, 28))
_FACTORS: Final = (31.0, 1.0)
"""A module gets inputs of 0 and 31, or pictures of 0 and 1 that it multiplies by 31 itself."""
_REFUSALS: Final = (RuntimeError, ValueError, TypeError, IndexError, OverflowError, AssertionError)


@dataclass(frozen=True, slots=True)
class Expressed:
    """A network as data.

    Attributes:
        network: its layers and the shape of its input, as `params.network` of a training states them.
        weights: by their names in files of weights, float32, -63..63; biases unchanged.
        gain: of the mock, with which it learnt.
        noise_std: the same, in LSB.
        scores: (crops, 10) int8, of the mock without noise.
    """

    network: dict[str, Any]
    weights: dict[str, Tensor]
    gain: float
    noise_std: float
    scores: Tensor


@dataclass(frozen=True, slots=True)
class _Call:
    """A call of a layer; `given` and `returned` are (crops, ...)."""

    name: str
    layer: torch.nn.Module
    given: Tensor
    returned: Tensor


def express(model: torch.nn.Module, crops: Tensor) -> Expressed:
    """Return a module as data; the module is as before afterwards.

    Args:
        model: layers of `hxtorch.perceptron.nn`, `torch.nn.Flatten` and `torch.nn.Unflatten`, in any nesting; it takes
            (batch, 784), (batch, 1, 28, 28) or (batch, 28, 28), of 0 and 31 or of 0 and 1.
        crops: (crops, 784) uint8, on which it is run in the mock without noise.

    Raises:
        NotExpressibleError: it computes something else than such layers one after the other.
    """
    perceptron = _perceptron()
    parameter = perceptron.get_mock_parameter()
    device = next((weight.device for weight in model.parameters()), torch.device("cpu"))
    pixels = (crops > 127).to(torch.float32).to(device)
    with _at_rest(model, perceptron, parameter.gain):
        calls, result = _run(model, pixels)
    layers, weights, scores = _follow(calls, pixels * 31.0, result, perceptron)
    return Expressed(layers, weights, parameter.gain, abs(parameter.noise_std), scores)


def _perceptron() -> Any:
    """Return the `hxtorch.perceptron` of this process: the genuine one where the program has imported it."""
    return getattr(sys.modules.get("hxtorch", hxtorch_emulator), "perceptron")  # noqa: B009 a module without types


@contextmanager
def _at_rest(model: torch.nn.Module, perceptron: Any, gain: float) -> Iterator[None]:
    """Let a module compute in the mock without noise, as in an evaluation, for a while."""
    modes = [(module, module.training) for module in model.modules()]
    mocks = [
        (module, module.mock) for module in model.modules() if isinstance(module.__dict__.get("mock"), bool)
    ]
    former = perceptron.get_mock_parameter()
    try:
        perceptron.set_mock_parameter(perceptron.MockParameter(noise_std=0.0, gain=gain))
        model.eval()
        for module, _ in mocks:
            module.mock = True  # type: ignore[assignment] # a flag of hxtorch's layers
        yield
    finally:
        perceptron.set_mock_parameter(former)
        for module, training in modes:
            module.training = training
        for module, mock in mocks:
            module.mock = mock


def _run(model: torch.nn.Module, pixels: Tensor) -> tuple[list[_Call], Tensor]:
    """Run a module on pixels `(crops, 784)` of 0 and 1; return its calls of layers, and its result."""
    reasons: list[tuple[int, str]] = []
    for shape, factor in product(_SHAPES, _FACTORS):
        calls: list[_Call] = []
        try:
            result = _record(model, (pixels * factor).view(-1, *shape), calls)
        except _REFUSALS as error:
            reasons.append((len(calls), f"{type(error).__name__}: {error}"))
            continue
        if not calls:
            raise NotExpressibleError("the module calls no layer; expected layers of hxtorch.perceptron.nn")
        if _is_same(calls[0].given, pixels * 31.0):
            return calls, result
        reasons.append((1, f"`{calls[0].name}` gets other values than the crops' pixels as 0 and 31"))
    shapes = ", ".join(f"(batch, {', '.join(map(str, shape))})" for shape in _SHAPES)
    _, reason = max(reasons, key=lambda tried: tried[0])  # of the attempt that got furthest
    raise NotExpressibleError(
        f"the module does not run on crops; expected one that takes {shapes}, of 0 and 31 or of 0 and 1 ({reason})"
    )


def _record(model: torch.nn.Module, inputs: Tensor, calls: list[_Call]) -> Tensor:
    """Run a module and append its calls of layers; return its result."""
    with ExitStack() as hooks, torch.no_grad():
        for name, module in model.named_modules():
            if not any(module.children()):

                def note(layer: torch.nn.Module, given: Any, returned: Any, name: str = name) -> None:
                    calls.append(_Call(name or "the module", layer, given[0].clone(), returned.clone()))

                hooks.callback(module.register_forward_hook(note).remove)
        result: Tensor = model(inputs)
        return result


def _follow(
    calls: Sequence[_Call], flowing: Tensor, result: Tensor, perceptron: Any
) -> tuple[dict[str, Any], dict[str, Tensor], Tensor]:
    """Return network, weights and scores of calls that follow each other from inputs `flowing`, (crops, 784)."""
    network: dict[str, Any] = {"layers": []}
    weights: dict[str, Tensor] = {}
    counts: Counter[str] = Counter()
    previous = "the input"
    for number, call in enumerate(calls):
        if not _is_same(call.given, flowing):
            raise NotExpressibleError(
                f"between {previous} and `{call.name}` the module computes something that is no layer; expected "
                "modules for everything, such as hxtorch.perceptron.nn.ConvertingReLU"
            )
        before, given, after = (tuple(values.shape[1:]) for values in (flowing, call.given, call.returned))
        if number == 0 and given == (1, 28, 28):
            network["input"] = list(given)
        else:
            network["layers"] += express_reshape(before, given)
        expressed = express_layer(call.name, call.layer, given, after, perceptron.nn)
        network["layers"] += expressed.layers
        if expressed.kind:
            counts[expressed.kind] += 1
            weights |= {
                f"{expressed.kind}{counts[expressed.kind]}.{name}": values
                for name, values in expressed.weights.items()
            }
        flowing, previous = call.returned, f"`{call.name}`"
    scores = flowing.flatten(1)
    if scores.shape[1] != DIGITS:
        raise NotExpressibleError(
            f"{previous} gives values of shape {tuple(flowing.shape[1:])}; expected ten scores"
        )
    network["layers"] += express_reshape(tuple(flowing.shape[1:]), (DIGITS,))
    is_argmax = result.numel() == len(scores) and bool((result.flatten() == scores.argmax(1)).all())
    if not (is_argmax or _is_same(result, scores)):
        raise NotExpressibleError(
            f"after {previous} the module computes something that is no layer; expected its ten scores as the result, "
            "or their argmax"
        )
    return network, weights, scores.to("cpu", torch.int8)


def _is_same(values: Tensor, others: Tensor) -> bool:
    """Return whether values are the same, crop by crop, in whatever shape."""
    if len(values) != len(others) or values.numel() != others.numel():
        return False
    return bool((values.flatten(1) == others.flatten(1)).all())

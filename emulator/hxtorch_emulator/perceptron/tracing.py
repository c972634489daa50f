"""Recording a linear sequence of operations, to run it again on other inputs."""

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec
from weakref import WeakSet

import torch

from hxtorch_emulator.builtin import Builtin
from hxtorch_emulator.perceptron import trace_file

_P = ParamSpec("_P")
_Operation = Callable[..., torch.Tensor]

_replays: dict[str, _Operation] = {}
# Weak, so that a tracer which is dropped without stop(), as by an exception, sees no further operation.
_active: WeakSet["InferenceTracer"] = WeakSet()


def traced(name: str) -> Callable[[Callable[_P, torch.Tensor]], Callable[_P, torch.Tensor]]:
    """Make an operation, with the keyword ``mock``, one that tracers record under ``name`` where it is the chip's."""

    def decorate(operation: Callable[_P, torch.Tensor]) -> Callable[_P, torch.Tensor]:
        signature = inspect.signature(operation)

        @functools.wraps(operation)
        def run(*args: _P.args, **kwargs: _P.kwargs) -> torch.Tensor:
            output = operation(*args, **kwargs)
            if not _active:
                return output
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            if not bound.arguments.pop("mock"):
                source, *settings = bound.arguments.items()
                for tracer in tuple(_active):
                    tracer._record(name, source[1], dict(settings), output)
            return output

        _replays[name] = run
        return run

    return decorate


def is_recording() -> bool:
    """Return whether a tracer wants to see each operation on its own."""
    return bool(_active)


class InferenceTracer:
    """Records the chip's operations between ``start`` and ``stop`` and writes them to a file.

    The sequence must be linear: each operation works on the output of the one before. A tensor that anything else
    changed or reshaped in between cannot be replayed and raises RuntimeError. Mock operations are not recorded; a
    convolution is the multiply-accumulate of its windows. Tracers may nest.
    """

    def __init__(self, filename: str) -> None:
        self._filename = filename
        self._steps: list[trace_file.Step] = []
        self._last: torch.Tensor | None = None

    def start(self) -> None:
        """Begin to record.

        Raises:
            RuntimeError: it is recording already.
        """
        if self in _active:
            raise RuntimeError("this tracer has been started already")
        self._steps, self._last = [], None
        _active.add(self)

    def stop(self) -> list[str]:
        """Write the trace and return the names of its operations, in order.

        Raises:
            RuntimeError: it is not recording.
        """
        if self not in _active:
            raise RuntimeError("this tracer has not been started")
        _active.discard(self)
        trace_file.write(Path(self._filename), self._steps)
        return [step.operation for step in self._steps]

    def _record(
        self, operation: str, source: torch.Tensor, settings: dict[str, Any], output: torch.Tensor
    ) -> None:
        if self._last is not None and not torch.equal(self._last, source.detach()):
            raise RuntimeError(
                f"the input of {operation} is not the output of {self._steps[-1].operation} before it: "
                "a trace holds only the chip's operations, each on the output of the last in its shape"
            )
        self._steps.append(trace_file.Step(operation, settings))
        self._last = output.detach().clone()


@Builtin
def inference_trace(input: torch.Tensor, filename: str) -> torch.Tensor:  # noqa: A002 - hxtorch's keyword
    """Run the operations of a trace on ``input``, on the open chip.

    Args:
        input: shaped as the first traced input, the batch of any length.
        filename: a file that an ``InferenceTracer`` wrote.

    Returns:
        The output of the last operation.

    Raises:
        RuntimeError: the file is missing or is no trace, the trace is empty, or no chip is open.
    """
    output, steps = input, trace_file.read(Path(filename))
    if not steps:
        raise RuntimeError(
            f"the trace {filename} is empty: no operation ran on the chip while it was recorded"
        )
    for step in steps:
        if step.operation not in _replays:
            raise RuntimeError(f"the trace {filename} holds an unknown operation, {step.operation}")
        output = _replays[step.operation](output, **step.settings)
    return output

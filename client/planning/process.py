"""The simulation's process: a question goes in, progress and the answer come out, as JSON."""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any, Final

from client.errors import ClientError

_SIMULATION: Final = "deploy.plan"
_LIBRARIES: Final = ("simpy", "services")


class PlanRefusedError(ClientError):
    """The simulation cannot answer this question."""

    code = "invalid_input"


class PlanMissingError(ClientError):
    """The simulation is not installed here; install it with `pip install 'hxserve[plan]'`."""

    code = "plan_not_installed"


def ask(question: Mapping[str, Any], on_progress: Callable[[float], None]) -> dict[str, Any]:
    """The answer to a question.

    Raises:
        PlanMissingError: the simulation is not installed here.
        PlanRefusedError: the question contradicts itself, or nothing holds its levels.
    """
    if any(find_spec(name) is None for name in _LIBRARIES):
        raise PlanMissingError
    process = subprocess.Popen(  # noqa: S603 our own module in our own interpreter
        [sys.executable, "-m", _SIMULATION], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        try:
            said = _converse(process, json.dumps(question), on_progress)
        finally:
            process.terminate()
    match said:
        case {"answer": dict() as answer}:
            return answer
        case {"problem": {"message": str() as message}}:
            raise PlanRefusedError(message)
        case _:
            raise PlanRefusedError("the simulation ended without an answer; see what it wrote above")


def _converse(
    process: subprocess.Popen[str], question: str, on_progress: Callable[[float], None]
) -> dict[str, Any] | None:
    """What the process says last; None when it said nothing but its progress."""
    assert process.stdin is not None, "a pipe was asked for"
    assert process.stdout is not None, "a pipe was asked for"
    process.stdin.write(question)
    process.stdin.close()
    for line in process.stdout:
        said: dict[str, Any] = json.loads(line)
        if "progress" not in said:
            return said
        on_progress(said["progress"])
    return None

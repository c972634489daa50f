"""Functions that behave as compiled ones, which hxtorch's are."""

import functools
from collections.abc import Callable
from typing import Generic, ParamSpec, TypeVar

_P = ParamSpec("_P")
_R = TypeVar("_R")


class Builtin(Generic[_P, _R]):
    """A function that does not bind ``self`` where it is an attribute of a class, as functions written in C do not.

    It is copied and pickled by name.
    """

    __name__: str
    __qualname__: str

    def __init__(self, function: Callable[_P, _R]) -> None:
        functools.update_wrapper(self, function)
        self._function = function

    def __call__(self, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        """Call the function."""
        return self._function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<built-in function {self.__name__}>"

    def __reduce__(self) -> str:
        return self.__qualname__

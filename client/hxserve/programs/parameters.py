"""Values of a notebook's variables, given from outside in place of those that its cells assign."""

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from hxserve.errors import ClientError

_IPYTHON_LINE: Final = re.compile(r"^(\s*)[%!?].*|^(\s*)\S.*\?$")


class NoSuchVariableError(ClientError):
    """No cell of the notebook assigns the variable that a parameter names."""

    code = "no_such_variable"


def parse_parameter(text: str, *, is_expression: bool = False) -> tuple[str, str]:
    """Read `name=value`; return the name and the value as Python source.

    Args:
        text: the value is a Python literal, or else a text.
        is_expression: the value is a Python expression, which the notebook evaluates.

    Raises:
        ValueError: there is no name, no `=`, or no expression.
    """
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise ValueError(f"{text!r} is not of the form name=value")
    try:
        if is_expression:
            ast.parse(value, mode="eval")
        else:
            ast.literal_eval(value)
    except (ValueError, SyntaxError):
        if is_expression:
            raise ValueError(f"{value!r} is not a Python expression") from None
        return name, repr(value)
    return name, value.strip()


def replace_assignments(sources: Sequence[str], values: Mapping[str, str]) -> list[str]:
    """Return the cells with new values in all assignments to the named variables, outside functions and classes.

    Args:
        sources: of the code cells.
        values: Python source by the variables' names.

    Raises:
        NoSuchVariableError: no cell assigns one of them.
    """
    assigned = [list(_assignments(source)) for source in sources]
    known = {name for cell in assigned for name, _ in cell}
    for name in values:
        if name not in known:
            raise NoSuchVariableError(
                f"no cell assigns a variable `{name}`; assigned are {', '.join(sorted(known)) or 'none'}"
            )
    return [
        _replace(source, [(value, values[name]) for name, value in cell if name in values])
        for source, cell in zip(sources, assigned, strict=True)
    ]


def _assignments(source: str) -> Iterator[tuple[str, ast.expr]]:
    """Yield the variables that a cell assigns, and the expressions of their values."""
    if source.lstrip().startswith("%%"):
        return  # a cell of another language
    lines = (_IPYTHON_LINE.sub(r"\1\2pass", line) for line in source.splitlines())
    try:
        statements = ast.parse("\n".join(lines)).body
    except SyntaxError:
        return  # it will fail when it runs
    for statement in statements:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                yield name, value
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                yield name, value


def _replace(source: str, changes: Sequence[tuple[ast.expr, str]]) -> str:
    """Return the source with other values in place of these expressions; from the last to the first."""
    lines = [line.encode() for line in source.splitlines(keepends=True)]
    for old, new in reversed(changes):
        assert old.end_lineno is not None
        first, last = old.lineno - 1, old.end_lineno - 1
        before, after = lines[first][: old.col_offset], lines[last][old.end_col_offset :]
        lines[first : last + 1] = [before + new.encode() + after]
    return b"".join(lines).decode()

"""Validation errors in words: what was wrong in which field, what was expected, and what was given."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from services.names import MODEL_PATTERN, NAME_PATTERN, NAME_WORDS

WORDS_OF: Final[Mapping[str, str]] = {
    NAME_PATTERN: NAME_WORDS,
    MODEL_PATTERN: f"{NAME_WORDS}, or this after an owner's name and '~'",
    r"^[0-9]+$": "the number of a version, such as '1'",
    r"^[A-Za-z0-9+/=]*$": "base64",
    r"^[0-9]{5}$": "five digits",
    r"^[0-9]*$": "digits",
    r"^[0-9a-f]{32}$": "an id of 32 hexadecimal digits",
    r"^(redis|rediss|unix)://": "an address that begins with redis://, rediss:// or unix://",
    r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$": "up to 100 of A-Z, a-z, 0-9, '_', '.', '-', not beginning with '.' or '-'",
}
"""The patterns of all fields in words, for errors."""


def explain(error: ValidationError, model: type[BaseModel], under: str = "") -> str:
    """Format a validation error as one line: the field, the error and the allowed values."""
    parts = []
    for problem in error.errors(include_url=False):
        path = ".".join([under, *map(str, problem["loc"])] if under else map(str, problem["loc"]))
        if problem["type"] == "extra_forbidden":
            known = _known_beside(problem["loc"], model)
            parts.append(f"{path}: unknown field" + (f"; known are {known}" if known else ""))
        else:
            parts.append(f"{path}: {_reason(problem)}, got {_shorten(problem['input'])}")
    return "; ".join(parts)


def _reason(problem: ErrorDetails) -> str:
    """Return the error in words; a pattern is described, not shown."""
    if problem["type"] == "string_pattern_mismatch":
        pattern = problem["ctx"]["pattern"]
        return f"Input should be {WORDS_OF[pattern]}" if pattern in WORDS_OF else "Input has another form"
    return problem["msg"].removeprefix("Value error, ")


def _known_beside(place: tuple[int | str, ...], model: type[BaseModel]) -> str:
    """Return the fields of the model that has an unknown field; nothing if that cannot be determined."""
    schema = model.model_json_schema()
    found = [schema]
    for step in place[:-1]:
        found = [inner for form in _forms(found, schema) for inner in _inside(form, step)]
    return ", ".join(sorted({name for form in _forms(found, schema) for name in form.get("properties", {})}))


def _forms(schemas: Iterable[dict[str, Any]], whole: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Return the alternatives of JSON schemas, with references to definitions followed."""
    for schema in schemas:
        if "$ref" in schema:
            yield from _forms([whole["$defs"][schema["$ref"].rpartition("/")[2]]], whole)
        elif alternatives := schema.get("anyOf") or schema.get("oneOf"):
            yield from _forms(alternatives, whole)
        else:
            yield schema


def _inside(schema: dict[str, Any], step: int | str) -> list[dict[str, Any]]:
    """Return the schema of an item or a field; of one alternative of several, named by its `type`, itself."""
    properties = schema.get("properties", {})
    if isinstance(step, int):
        return [schema["items"]] if "items" in schema else []
    if step in properties:
        return [properties[step]]
    return [schema] if properties.get("type", {}).get("const") == step else []


def _shorten(value: object, limit: int = 80) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"

"""`python -m api.reference`: the HTTP reference, docs/http.md, from the OpenAPI document of a service on stdin."""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from api.problems import status_of
from services.errors import HxserveError

_HEAD: Final = """# HTTP reference

Every call of the service, made from its OpenAPI document (`/openapi.json` on a running service, rendered at `/docs`):

<!-- background: hxserve is ready -->
```bash
hxserve up
```

```bash
curl -sS "$(cat data/url)/openapi.json" | python -m api.reference > docs/http.md
```

Calls ask for a token, `Authorization: Bearer ...`, where nothing else is said. A POST with an `Idempotency-Key` is done
once however often it is sent. Errors of `/v1` are problem documents (RFC 9457) with a stable `code`, those of `/v2` the
protocol's own. [The user guide](guide.md) has examples, [the Open Inference Protocol](inference-protocol.md) a page of
its own.
"""
_LIMITS: Final = {
    "minimum": "≥ {}",
    "exclusiveMinimum": "> {}",
    "maximum": "≤ {}",
    "exclusiveMaximum": "< {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {}",
    "maxItems": "at most {}",
    "pattern": "matching `{}`",
}


def render(document: Mapping[str, Any]) -> str:
    """The reference in Markdown.

    Args:
        document: OpenAPI 3.1.

    Raises:
        ValueError: two schemas of one name differ.
    """
    schemas: dict[str, Any] = document["components"]["schemas"]
    lines = [_HEAD]
    for tag in document["tags"]:
        lines.append(f"## {tag['name'].capitalize()}\n")
        for path, item in document["paths"].items():
            for method, operation in item.items():
                if operation["tags"] == [tag["name"]]:
                    lines += _operation(method, path, operation)
    lines.append("## Schemas\n")
    described: dict[str, list[str]] = {}
    for name, schema in schemas.items():
        if schema.get("title", "").endswith("Query"):
            continue  # its fields stand as parameters at their calls
        text = _schema(schema)
        if described.setdefault(_short(name), text) != text:
            raise ValueError(f"two schemas are named {_short(name)}; rename one")
    for name in sorted(described):
        lines += [f"### {name}\n", *described[name]]
    rows = (
        (f"`{kind.code}`", str(int(status_of(kind))), "yes" if kind.retryable else "", _first_line(kind))
        for kind in sorted(_kinds(HxserveError), key=lambda kind: kind.code)
    )
    lines += ["## Errors\n", *_table(("code", "status", "again?", "meaning"), rows)]
    lines.append("*again?*: the same request may succeed later.\n")
    return "\n".join(lines)


def _kinds(kind: type[HxserveError]) -> Iterator[type[HxserveError]]:
    if kind.__module__ == HxserveError.__module__:
        yield kind
    for below in kind.__subclasses__():
        yield from _kinds(below)


def _first_line(kind: type[HxserveError]) -> str:
    return (kind.__doc__ or "").strip().partition("\n")[0]


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> list[str]:
    lines = [f"### {method.upper()} {path}\n", operation["summary"]]
    if description := operation.get("description"):
        lines.append(f"{description}")
    if operation.get("security") == []:
        lines.append("Needs no token.")
    lines.append("")
    if parameters := operation.get("parameters", []):
        rows = (
            (f"`{one['name']}`", one["in"], *_cells(one["schema"], one.get("description", "")))
            for one in parameters
        )
        lines += _table(("parameter", "in", "type", "what"), rows)
    if body := operation.get("requestBody"):
        forms = "; ".join(
            f"`{kind}`" + (f": {_type(form['schema'])}" if "$ref" in form["schema"] else "")
            for kind, form in body["content"].items()
        )
        lines.append(f"Body: {forms}{'' if body.get('required') else ' (may be left out)'}\n")
    answers = sorted(operation["responses"].items())
    good = ", ".join(f"{status}{_content(answer)}" for status, answer in answers if status < "400")
    bad = ", ".join(status for status, _ in answers if status >= "400")
    return [*lines, f"Answers: {good}. Refusals: {bad}.\n"]


def _content(answer: Mapping[str, Any]) -> str:
    kinds = [
        _type(form["schema"]) if "$ref" in form.get("schema", {}) else f"`{kind}`"
        for kind, form in answer.get("content", {}).items()
    ]
    return f" {' or '.join(kinds)}" if kinds else ""


def _schema(schema: Mapping[str, Any]) -> list[str]:
    lines = [*schema.get("description", "").splitlines(), ""]
    if fields := schema.get("properties"):
        required = schema.get("required", ())
        rows = (
            (f"`{name}`" + ("" if name in required else " *"), *_cells(field, field.get("description", "")))
            for name, field in fields.items()
        )
        lines += _table(("field", "type", "what"), rows)
        if len(fields) > len(required):
            lines.append("\\* may be left out.\n")
    elif not fields:
        lines.append(f"{_type(schema)}\n")
    return lines


def _cells(schema: Mapping[str, Any], description: str) -> tuple[str, str]:
    """Type and meaning of a value, with its default."""
    default = schema.get("default")
    shown = "" if default is None else f"Default `{json.dumps(default)}`."
    return _type(schema), " ".join(filter(None, (description.replace("\n", " "), shown)))


def _type(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        name = _short(schema["$ref"].rpartition("/")[2])
        return f"[{name}](#{name.lower()})"
    if "const" in schema:
        return f"`{json.dumps(schema['const'])}`"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    for key in ("anyOf", "oneOf", "allOf"):
        if key in schema:
            return " or ".join(_type(one) for one in schema[key])
    limits = [form.format(schema[name]) for name, form in _LIMITS.items() if name in schema]
    kind = schema.get("format") or schema.get("type", "anything")
    if kind == "array":
        inner = schema.get("items") or {}
        kind = f"list of {_type(inner)}" if inner else "list"
    elif kind == "object" and isinstance(schema.get("additionalProperties"), Mapping):
        kind = f"object of {_type(schema['additionalProperties'])}"
    return " ".join((kind, ", ".join(limits))).strip()


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    lines = [head, tuple("---" for _ in head), *rows]
    return [*("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in lines), ""]


def _short(name: str) -> str:
    """A schema's name without what tells spectree's schemas apart: `JobAnswer.d338d7b.Eta` is `Eta`."""
    parts = name.split(".")
    return parts[2] if len(parts) > 2 else parts[0]


if __name__ == "__main__":
    sys.stdout.write(render(json.load(sys.stdin)))

"""`python -m tests.docs.settings_page`: write docs/settings.md from the JSON schema of the settings."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from services.settings import CLIENT_VARIABLES, PREFIX, Settings

PAGE: Final = Path("docs/settings.md")
_GROUPS: Final = {
    "data_dir": "Data and Redis",
    "host": "The API",
    "chip": "The chip",
    "canary_every_s": "Maintenance of the chip",
    "max_waiting_crops": "Queue limits",
    "user_max_queued_jobs": "Default quotas of a user",
    "batch_crops": "Scheduling",
    "save_every_s": "Saves and retention",
    "log_level": "Logs",
}
"""The title of each group of settings, by the first setting in it."""
_TYPES: Final = {
    "integer": "integer",
    "number": "number",
    "string": "text",
    "boolean": "true or false",
    "path": "path",
    "time": "time of day, as 03:00",
}
_BOUNDS: Final = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
_HEAD: Final = f"""\
# Settings

Written by `python -m tests.docs.settings_page` from `services/settings.py`; change that file and run the command again.

A setting is an environment variable of each process of a service: API, worker, `hxserve up`. A process with a
misspelt `{PREFIX}*` variable or an impossible value does not start, and names the variable. All processes of a
service need the same values, except those of [the chip](#the-chip), which are set for each worker. `none` stands for
no value; a variable that is empty is not set.
The client reads {" and ".join(f"`{name}`" for name in sorted(CLIENT_VARIABLES))} instead (`hxserve --help`).
[Traces](handbook.md#traces) have OpenTelemetry's own variables, `OTEL_*`.
"""
_TABLE: Final = "\n## {}\n\n| variable | value | default | meaning |\n| --- | --- | --- | --- |\n"


def render_page() -> str:
    """Return the whole page."""
    page = _HEAD
    for name, schema in Settings.model_json_schema()["properties"].items():
        if name in _GROUPS:
            page += _TABLE.format(_GROUPS[name])
        cells = (
            f"`{PREFIX}{name.upper()}`",
            _values(schema),
            _default(schema),
            schema["description"].replace("\n", " "),
        )
        page += "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |\n"
    return page


def _values(schema: Mapping[str, Any]) -> str:
    """Describe the type and the range of a setting."""
    alternatives = schema.get("anyOf", [schema])
    described = [_describe(one) for one in alternatives if one["type"] != "null"]
    return " or ".join(described) + (", or `none`" if len(described) < len(alternatives) else "")


def _describe(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    bounds = [f"{sign} {schema[bound]}" for bound, sign in _BOUNDS.items() if bound in schema]
    pattern = [f"like `{schema['pattern']}`"] if "pattern" in schema else []
    return ", ".join([_TYPES[schema.get("format", schema["type"])], *bounds, *pattern])


def _default(schema: Mapping[str, Any]) -> str:
    match schema["default"]:
        case None:
            return "`none`"
        case bool() as value:
            return f"`{str(value).lower()}`"
        case float() as value if value.is_integer():
            return f"`{int(value)}`"
        case str() as value:
            return f"`{value.removesuffix(':00') if 'time' in str(schema) else value}`"
        case value:
            return f"`{value}`"


def main() -> int:
    """Write the page; return the exit status."""
    PAGE.write_text(render_page(), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

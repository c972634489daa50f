"""`python -m deploy.settings_reference`: docs/settings.md, written from the settings class."""

import sys
from collections.abc import Mapping, Sequence
from datetime import time
from pathlib import Path
from types import UnionType
from typing import Any, Final, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from services.settings import CLIENT_VARIABLES, PREFIX, Settings

PAGE: Final = Path("docs/settings.md")

GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    "Where things are": (
        "data_dir",
        "redis_url",
        "redis_password_file",
        "redis_sync",
        "admin_token_file",
        "mnist",
    ),
    "The API": (
        *("host", "port", "max_connections", "client_timeout_s", "max_body_bytes", "max_crops_per_request"),
    ),
    "The chip": (
        *("chip", "chip_id", "calibration", "virtual_chip", "virtual_chip_parameters"),
        *("virtual_chip_temperature_c", "emulator_realtime", "threads"),
    ),
    "The chip's care": (
        *("canary_every_s", "canary_limit", "calibrate_at", "recalibrate_on_drift", "shadow_share"),
    ),
    "How much may wait": ("max_waiting_crops", "max_queued_jobs"),
    "Quotas of a user, unless an admin set others": (
        *("user_max_queued_jobs", "user_max_waiting_crops", "user_chip_seconds_per_day"),
        "user_requests_per_second",
    ),
    "How the chip's time is divided": ("batch_crops", "quantum_s", "turn_s", "long_work_share", "lease_s"),
    "What is kept": ("save_every_s", "keep_jobs_s", "keep_results_s", "min_free_disk_bytes"),
    "Logs": ("log_level", "log_format"),
}
"""Every setting, in the order in which an operator would look for it."""

_KINDS: Final[Mapping[Any, str]] = {
    int: "integer",
    float: "number",
    str: "text",
    bool: "true or false",
    Path: "path",
    time: "time of day, as 03:00",
}
_SIGNS: Final = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
_HEAD: Final = f"""\
# Settings

Written by `python -m deploy.settings_reference` from `services/settings.py`; change that and run it again.

A setting is a variable of the environment of every process of a service: API, worker, `hxserve up`. A misspelt
`{PREFIX}*` variable and an impossible value refuse to start, and are named. All processes of a service want the same
values, but for those of [the chip](#the-chip), which each worker has for itself. `none` stands for no value.
The client reads {" and ".join(f"`{name}`" for name in sorted(CLIENT_VARIABLES))} instead (`hxserve --help`).
"""


def reference() -> str:
    """The whole page."""
    return "\n".join([_HEAD, *(_group(title, names) for title, names in GROUPS.items())])


def _group(title: str, names: Sequence[str]) -> str:
    rows = [
        f"| `{PREFIX}{name.upper()}` | {_kind(field)} | {_default(field.default)} | {_escaped(field.description)} |"
        for name in names
        for field in [Settings.model_fields[name]]
    ]
    head = "| variable | value | default | what it does |\n| --- | --- | --- | --- |"
    return "\n".join([f"## {title}\n", head, *rows, ""])


def _kind(field: FieldInfo) -> str:
    """The type of a setting and the range of its values, as a person says them."""
    bounds = [
        f"{sign} {_number(value)}"
        for constraint in field.metadata
        for name, sign in _SIGNS.items()
        if (value := getattr(constraint, name, None)) is not None
    ]
    patterns = [found for item in field.metadata if (found := getattr(item, "pattern", None))]
    said = [_type(field.annotation), *bounds, *(f"like `{_escaped(pattern)}`" for pattern in patterns)]
    return ", ".join(said) + (", or `none`" if type(None) in get_args(field.annotation) else "")


def _type(annotation: Any) -> str:
    if get_origin(annotation) in {Union, UnionType}:
        return " or ".join(_type(part) for part in get_args(annotation) if part is not type(None))
    if get_origin(annotation) is Literal:
        return ", ".join(f"`{value}`" for value in get_args(annotation))
    return _KINDS[annotation]


def _default(value: object) -> str:
    match value:
        case None:
            return "`none`"
        case bool():
            return f"`{str(value).lower()}`"
        case int() | float():
            return f"`{_number(value)}`"
        case time():
            return f"`{value:%H:%M}`"
        case _:
            return f"`{value}`"


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else str(value)


def _escaped(text: str | None) -> str:
    return (text or "").replace("|", "\\|")


def main() -> int:
    """Writes the page; the exit status."""
    PAGE.write_text(reference(), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

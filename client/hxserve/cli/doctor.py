"""The command `doctor`: what is wrong with the installation, the service and its chips, and what to do."""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Final, Literal

import click

from hxserve.addresses import DATA_DIR_VARIABLE, DEFAULT_DATA_DIR, find_address
from hxserve.cli.console import show_json, show_line, show_table
from hxserve.cli.options import Options, OptionsCommand
from hxserve.cli.outcome import REFUSED
from hxserve.errors import AddressError, AnswerNotUnderstoodError, ClientError
from hxserve.phrases import age, duration, one_line
from hxserve.transport import Transport, json_object

_LEAST_FREE_BYTES: Final = 2**30
_LARGEST_SKEW_S: Final = 30.0
_SLOW_S: Final = 1.0
_API: Final = "1"
_REFUSED_ADVICE: Final = "set HXSERVE_TOKEN to the token that the operator gave you, or use --token"
_OLD_CALIBRATION_S: Final = 7 * 86_400.0

State = Literal["ok", "warning", "failed"]


@dataclass(frozen=True, slots=True)
class Check:
    """One examined thing: what was found, and what to do about it."""

    name: str
    state: State
    found: str
    advice: str = ""


@click.command(cls=OptionsCommand)
def doctor(options: Options) -> None:
    """Examine the installation, the service and its chips; say what is wrong and what to do.

    Exits with 1 if something has failed; warnings do not count.
    """
    checks = [*_installation(), *_service(options)]
    failed = any(check.state == "failed" for check in checks)
    if options.as_json:
        show_json({"ok": not failed, "checks": [asdict(check) for check in checks]})
    else:
        show_table(
            ["", "what", "found"],
            [[_SIGNS[check.state], check.name, check.found] for check in checks],
            whole=["", "what"],
        )
        for check in checks:
            if check.advice:
                show_line(f"{check.name}: {check.advice}")
        if all(check.state == "ok" for check in checks):
            show_line("Everything is in order.")
    if failed:
        raise click.exceptions.Exit(REFUSED)


_SIGNS: Final = {"ok": "ok", "warning": "warning", "failed": "FAILED"}


def _installation() -> Iterator[Check]:
    """Examine what is installed here."""
    version = ".".join(map(str, sys.version_info[:3]))
    yield Check("Python", "ok", f"{version} in {sys.prefix}")
    yield Check("hxserve", "ok", metadata.version("hxserve"))
    problems = [found for found in map(_problem_of, metadata.requires("hxserve") or ()) if found]
    advice = "run `pip install --upgrade hxserve`" if problems else ""
    yield Check("packages", "failed" if problems else "ok", "; ".join(problems) or "as required", advice)


def _problem_of(requirement: str) -> str:
    """Return what is wrong with a requirement such as `click>=8.2`; those of extras are not examined."""
    found = re.fullmatch(r"([\w.-]+)(?:\[[^]]*\])?\s*>=\s*([\d.]+)", requirement)
    if not found:
        return ""
    name, least = found.groups()
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return f"{name} is missing"
    return f"{name} {version} is older than {least}" if _numbers(version) < _numbers(least) else ""


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)[:3]]


def _service(options: Options) -> Iterator[Check]:
    """Examine the service, as far as one gets."""
    try:
        address = find_address(options.url, options.token, options.data_dir)
    except AddressError as error:
        yield Check("address", "failed", "none", error.detail)
        return
    yield Check("address", "ok", address.url)
    transport = Transport(address, timeout_s=10.0, retries=0, backoff_s=0.0, maxsize=1)
    connection = list(_readiness(transport))
    yield from connection
    if len(connection) > 1:
        yield from _account(transport)
    yield _disk(options)


def _account(transport: Transport) -> Iterator[Check]:
    """Examine the token, and with it the chips and the queue."""
    if transport.address.token is None:
        yield Check("token", "failed", "none", _REFUSED_ADVICE)
        return
    try:
        user = transport.call_json("GET", "/v1/me")
        yield Check("token", "ok", f"{user['name']}, {user['role']}")
        yield from _chips(transport)
        queue = transport.call_json("GET", "/v1/queue")
        jobs = queue["jobs"]
        yield Check(
            "queue",
            "ok",
            f"{jobs['running']} jobs run, {jobs['queued']} wait, {queue['crops']['waiting']} crops wait",
        )
    except ClientError as error:
        is_refused = error.code == "not_authenticated"
        advice = _REFUSED_ADVICE if is_refused else error.detail
        yield Check("token" if is_refused else "service", "failed", error.code, advice)


def _readiness(transport: Transport) -> Iterator[Check]:
    """Examine whether a compatible service answers, in time, with a chip."""
    started = time.monotonic()
    try:
        response = transport.request("GET", "/readyz")
        took_s = time.monotonic() - started
        ready = json_object(response)
        api = str(transport.call_json("GET", "/openapi.json")["info"]["version"])
    except (ClientError, KeyError, TypeError) as error:
        is_other = not isinstance(error, ClientError) or isinstance(error, AnswerNotUnderstoodError)
        advice = AnswerNotUnderstoodError().detail if is_other else str(getattr(error, "detail", error))
        yield Check("connection", "failed", "no answer" if not is_other else "another server", advice)
        return
    slow = took_s > _SLOW_S
    yield Check(
        "connection",
        "warning" if slow else "ok",
        f"answers in {duration(took_s)}",
        "the network or the service is slow; see `hxserve top`" if slow else "",
    )
    yield compare_clocks(response.headers.get("Date"))
    compatible = api.split(".", maxsplit=1)[0] == _API
    yield Check(
        "versions",
        "ok" if compatible else "failed",
        f"API {api}, client for API {_API}",
        ""
        if compatible
        else "install the client that belongs to this service: `pip install --upgrade hxserve`",
    )
    yield _serving(response.status, "; ".join(map(one_line, ready.get("reasons", ()))))


def _serving(status: int, reasons: str) -> Check:
    """Judge the readiness of Redis and the workers."""
    if status != 200:
        advice = "ask the operator, who finds the cause in the service's log"
        return Check("Redis, worker", "failed", reasons or f"HTTP {status}", advice)
    if reasons:
        return Check("Redis, worker", "warning", reasons, "see `hxserve chip`")
    return Check("Redis, worker", "ok", "ready")


def compare_clocks(date: str | None) -> Check:
    """Compare this machine's clock with the service's; tokens and calibrations end by the latter."""
    try:
        skew_s = abs((datetime.now(UTC) - parsedate_to_datetime(date or "")).total_seconds())
    except ValueError:
        return Check("clock", "ok", "the service does not say its time")
    if skew_s <= _LARGEST_SKEW_S:
        return Check("clock", "ok", "as the service's")
    return Check("clock", "warning", f"{duration(skew_s)} apart", "set the clocks of both machines by NTP")


def _chips(transport: Transport) -> Iterator[Check]:
    for chip in transport.call_json("GET", "/v1/chip")["chips"]:
        yield _chip(chip)


def _chip(chip: dict[str, Any]) -> Check:
    name, state = f"chip {chip['id']}", chip["state"]
    calibration = chip.get("calibration")
    made_at = calibration.get("made_at") if isinstance(calibration, dict) else None
    found = f"{state}, {chip.get('backend')}"
    if chip.get("maintenance"):
        return Check(name, "warning", f"{found}, in maintenance", "long work waits for `hxserve chip resume`")
    if state == "drifted":
        return Check(name, "warning", found, "calibrate it: `hxserve calibrate`")
    if state != "ready" and not chip.get("holder"):
        return Check(name, "failed", found, "no worker holds it; start one, or ask the operator")
    if made_at and time.time() - made_at > _OLD_CALIBRATION_S:
        made = age(datetime.fromtimestamp(made_at, UTC))
        return Check(name, "warning", f"{found}, calibrated {made}", "calibrate it: `hxserve calibrate`")
    return Check(name, "ok", found)


def _disk(options: Options) -> Check:
    """Examine the disk of a service on this machine, else that of this folder, which gets what is downloaded."""
    folder = Path(options.data_dir or os.environ.get(DATA_DIR_VARIABLE) or DEFAULT_DATA_DIR)
    is_local = (folder / "url").exists()
    place = folder if is_local else Path.cwd()
    free = shutil.disk_usage(place).free
    found = f"{free / 1e9:.1f} GB free for {'models and data sets' if is_local else 'downloads'}"
    if free < _LEAST_FREE_BYTES:
        return Check("disk", "warning", found, f"free some space at {place.resolve()}")
    return Check("disk", "ok", found)

"""The commands `doctor`, `open` and `top`."""

import json
import socket
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner, Result

from hxserve.cli import cli
from hxserve.cli.doctor import compare_clocks
from tests.client.records import a_chip
from tests.client.service import TOKEN, Reply, Service

Run = Callable[..., Result]


@pytest.fixture
def run(service: Service, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command against the service, without a display."""
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    service.answers["GET", "/openapi.json"] = Reply(document={"info": {"version": "1"}})
    service.answers["GET", "/v2/models/stats"] = Reply(
        document={"model_stats": [{"name": "digits", "inference_count": 1500, "execution_count": 70}]}
    )
    environment = {"HXSERVE_URL": service.url, "HXSERVE_TOKEN": TOKEN}
    return lambda *arguments: CliRunner(env=environment).invoke(cli, arguments)


def _checks(result: Result) -> dict[str, dict[str, Any]]:
    return {check["name"]: check for check in json.loads(result.stdout)["checks"]}


def test_a_sound_service_passes_every_check(run: Run) -> None:
    result = run("doctor", "--json")

    assert result.exit_code == 0
    assert {check["state"] for check in _checks(result).values()} == {"ok"}
    assert _checks(result)["token"]["found"] == "ada, user"
    assert "Everything is in order." in run("doctor").stdout


def test_a_wrong_token_is_found_and_the_rest_goes_on(run: Run) -> None:
    result = run("doctor", "--json", "--token", "wrong")

    checks = _checks(result)
    assert result.exit_code == 1
    assert checks["token"]["state"] == "failed"
    assert "HXSERVE_TOKEN" in checks["token"]["advice"]
    assert "disk" in checks


def test_a_service_that_is_away_is_told_from_one_that_is_another(service: Service, run: Run) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        away = f"http://127.0.0.1:{free.getsockname()[1]}"
    absent = _checks(run("doctor", "--json", "--url", away))["connection"]
    service.answers["GET", "/readyz"] = Reply(
        body=b"<h1>It works!</h1>", headers={"Content-Type": "text/html"}
    )
    another = _checks(run("doctor", "--json"))["connection"]

    assert (absent["found"], another["found"]) == ("no answer", "another server")
    assert "hxserve up" in absent["advice"]
    assert "check the address" in another["advice"]


@pytest.mark.parametrize(
    ("change", "name", "state", "said"),
    [
        (
            ("/readyz", Reply(503, {"reasons": ["no worker holds a chip"]})),
            "Redis, worker",
            "failed",
            "operator",
        ),
        (("/openapi.json", Reply(document={"info": {"version": "2"}})), "versions", "failed", "pip install"),
        (
            ("/v1/chip", Reply(document={"chips": [a_chip(maintained=True)]})),
            "chip chip-1",
            "warning",
            "resume",
        ),
        (
            ("/v1/chip", Reply(document={"chips": [a_chip() | {"state": "drifted"}]})),
            "chip chip-1",
            "warning",
            "hxserve calibrate",
        ),
        (
            ("/v1/chip", Reply(document={"chips": [a_chip() | {"state": "away", "holder": None}]})),
            "chip chip-1",
            "failed",
            "no worker holds it",
        ),
    ],
    ids=["no worker", "versions", "maintenance", "drift", "no holder"],
)
def test_what_is_wrong_is_named_with_what_to_do(
    service: Service, run: Run, change: tuple[str, Reply], name: str, state: str, said: str
) -> None:
    service.answers["GET", change[0]] = change[1]

    result = run("doctor", "--json")

    assert _checks(result)[name]["state"] == state
    assert said in _checks(result)[name]["advice"]
    assert result.exit_code == (1 if state == "failed" else 0)


def test_no_address_is_a_finding_too() -> None:
    result = CliRunner().invoke(cli, ["doctor"])

    assert result.exit_code == 1
    assert "hxserve up" in result.stdout


def test_the_page_is_opened_signed_in_or_its_address_shown(service: Service, run: Run) -> None:
    link = f"{service.url}/?token={TOKEN}"

    assert run("open").stdout == f"{link}\n"
    assert json.loads(run("open", "--json").stdout) == {"url": link, "opened": False}
    assert run("open", "--token", "wrong").exit_code == 1


def test_top_shows_chips_queue_users_and_counts(run: Run) -> None:
    shown = run("top", "--once").stdout

    assert "1,500 crops in 70 chip calls; waiting: 4 crops (20 ms), 2 jobs; running: 1" in shown
    assert "chip-1" in shown
    assert "admin" in shown
    document = json.loads(run("top", "--json").stdout)
    assert (document["crops"], document["chip_calls"]) == (1500, 70)
    assert set(document) == {"chips", "queue", "usage", "crops", "chip_calls", "jobs"}


@pytest.mark.parametrize(
    ("date", "state"), [("Thu, 01 Jan 2026 00:00:00 GMT", "warning"), (None, "ok"), ("yesterday", "ok")]
)
def test_clocks_that_are_apart_are_a_warning(date: str | None, state: str) -> None:
    assert compare_clocks(date).state == state

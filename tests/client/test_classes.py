"""Classes as the Python client and the command give them."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from hxserve import Client
from hxserve.cli import cli
from tests.client.service import TOKEN, Reply, Service

Run = Callable[..., Result]
CODE = "k7m2pq"
CLASS: dict[str, Any] = {
    "code": CODE,
    "title": "Girls' Day",
    "teacher": "marie",
    "state": "open",
    "seats": 25,
    "taken": 1,
    "created_at": "2026-11-27T08:00:00.000Z",
    "until": "2026-11-27T15:00:00.000Z",
    "deleted_at": "2026-11-28T15:00:00.000Z",
    "link": "http://here/c/K7M2PQ",
}
JOB = {
    "id": "1",
    "kind": "training",
    "model": "class-k7m2pq.lena~sevens",
    "state": "running",
    "progress": 0.5,
}
PUPIL: dict[str, Any] = {
    "seat": "lena",
    "user": "class-k7m2pq.lena",
    "nickname": "Lena",
    "joined_at": "2026-11-27T08:05:00.000Z",
    "chip_s": 2.5,
    "unfinished": 1,
    "jobs": [JOB],
    "models": [{"name": "class-k7m2pq.lena~sevens", "versions": ["1"]}],
}
PATH = f"/v1/classes/{CODE}"


@pytest.fixture
def service(service: Service) -> Service:
    """A service with a class of one pupil."""
    service.answers |= {
        ("GET", "/v1/classes"): Reply(document={"classes": [CLASS]}),
        ("POST", "/v1/classes"): Reply(201, CLASS),
        ("GET", PATH): Reply(document=CLASS | {"pupils": [PUPIL]}),
        ("PATCH", PATH): Reply(document=CLASS | {"state": "paused"}),
        ("DELETE", PATH): Reply(202, CLASS | {"state": "deleting"}),
        ("POST", f"{PATH}/end"): Reply(document=CLASS | {"state": "ended"}),
        ("GET", f"{PATH}/export"): Reply(body=b"a zip"),
        ("PATCH", f"{PATH}/seats/lena"): Reply(document=PUPIL | {"nickname": "Mina"}),
        ("DELETE", f"{PATH}/seats/lena"): Reply(204),
        ("POST", f"{PATH}/seats/lena/return"): Reply(
            201, {"code": "482913", "link": CLASS["link"], "expires_in_s": 600}
        ),
    }
    return service


@pytest.fixture
def run(service: Service) -> Run:
    """Runs the command against the service."""

    def run(*arguments: str) -> Result:
        environment = {"HXSERVE_URL": service.url, "HXSERVE_TOKEN": TOKEN}
        return CliRunner(env=environment).invoke(cli, ["classes", *arguments])

    return run


def test_a_class_starts_at_once_and_ends_when_the_clock_here_shows_the_time(
    service: Service, run: Run
) -> None:
    result = run("start", "Girls' Day", "--seats", "12", "--until", "16:00")

    assert result.exit_code == 0, result.stderr
    body = service.requests[0].json
    assert (body["title"], body["seats"]) == ("Girls' Day", 12)
    until = datetime.fromisoformat(body["until"])
    assert timedelta(0) < until - datetime.now(UTC) <= timedelta(days=1)
    assert (until.astimezone().hour, until.astimezone().minute) == (16, 0)
    for link in (CLASS["link"], f"{service.url}/classes/{CODE}", f"{service.url}/classes/{CODE}/screen"):
        assert link in result.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["start", "x"], "--until"),
        (["start", "x", "--until", "soon"], "16:00"),
        (["start", "x", "--until", "16:00", "--seats", "0"], "1<=x<=100"),
        (["change", CODE], "say what to change"),
    ],
)
def test_a_class_that_cannot_be_meant_is_refused_before_anything_is_sent(
    service: Service, run: Run, arguments: list[str], said: str
) -> None:
    result = run(*arguments)

    assert result.exit_code == 2
    assert said in result.stderr
    assert not service.requests


@pytest.mark.parametrize(
    ("arguments", "request_line", "said"),
    [
        ([], ("GET", "/v1/classes"), "Girls' Day"),
        (["list"], ("GET", "/v1/classes"), CODE),
        (["show", CODE], ("GET", PATH), "training, running"),
        (["show", CODE.upper()], ("GET", PATH), "Lena"),
        (["change", CODE, "--until", "17:30"], ("PATCH", PATH), "Girls' Day"),
        (["pause", CODE], ("PATCH", PATH), "paused"),
        (["resume", CODE], ("PATCH", PATH), "Girls' Day"),
        (["end", CODE], ("POST", f"{PATH}/end"), "ended"),
        (["delete", CODE, "--yes"], ("DELETE", PATH), "deleting"),
        (["let-back", CODE, "lena"], ("POST", f"{PATH}/seats/lena/return"), "482 913"),
        (["rename", CODE, "lena", "Mina"], ("PATCH", f"{PATH}/seats/lena"), "Mina"),
        (["remove", CODE, "lena"], ("DELETE", f"{PATH}/seats/lena"), "lena is out"),
    ],
)
def test_each_command_asks_for_its_part_and_says_what_came_of_it(
    service: Service, run: Run, arguments: list[str], request_line: tuple[str, str], said: str
) -> None:
    result = run(*arguments)

    assert result.exit_code == 0, result.stderr
    assert [(request.method, request.path) for request in service.requests] == [request_line]
    assert said in result.stdout


def test_pause_and_resume_are_opposites(service: Service) -> None:
    with Client(service.url, TOKEN) as client:
        client.classes.pause(CODE)
        client.classes.resume(CODE)

    assert [request.json for request in service.requests] == [{"paused": True}, {"paused": False}]


def test_the_export_is_written_whole(run: Run, tmp_path: Path) -> None:
    result = run("export", CODE, "--to", str(tmp_path))

    assert result.exit_code == 0, result.stderr
    assert (tmp_path / f"class-{CODE}.zip").read_bytes() == b"a zip"


def test_without_confirmation_nothing_is_deleted(service: Service, run: Run) -> None:
    result = run("delete", CODE)

    assert result.exit_code == 1
    assert not service.requests

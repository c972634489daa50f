"""Users, quotas and sharing as the Python client and the command give them."""

from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner, Result

from hxserve import Client
from hxserve.cli import cli
from hxserve.errors import ServiceError
from tests.client.service import DROPPED, TOKEN, Service, problem

Run = Callable[..., Result]


@pytest.fixture
def run(service: Service) -> Run:
    """Runs the command against the service."""

    def run(*arguments: str) -> Result:
        environment = {"HXSERVE_URL": service.url, "HXSERVE_TOKEN": TOKEN}
        return CliRunner(env=environment).invoke(cli, arguments)

    return run


def test_a_user_is_added_with_what_was_asked_for(service: Service, run: Run) -> None:
    result = run(
        *("users", "add", "ada", "--role", "admin", "--expires", "30d", "--max-queued-jobs", "5"),
        *("--max-waiting-crops", "unlimited", "--chip-seconds-per-day", "0.5"),
    )

    assert result.exit_code == 0, result.stderr
    assert service.requests[0].json == {
        "name": "ada",
        "role": "admin",
        "expires_in": 30 * 86_400,
        "quotas": {"max_queued_jobs": 5, "max_waiting_crops": "unlimited", "chip_seconds_per_day": 0.5},
    }
    assert "shown this once" in result.stdout
    assert "hxserve_secret" in result.stdout
    assert service.url in result.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["users", "add", "ada", "--expires", "soon"], "30d"),
        (["users", "add", "ada", "--expires", "0d"], "30d"),
        (["users", "add", "ada", "--expires", "5"], "30d"),
        (["users", "add", "ada", "--max-queued-jobs", "many"], "unlimited"),
        (["users", "add", "ada", "--role", "god"], "admin"),
        (["users", "set", "ada"], "say what to change"),
        (["models", "share", "digits@"], "NAME@VERSION"),
    ],
)
def test_a_command_that_cannot_be_meant_is_refused_before_anything_is_sent(
    service: Service, run: Run, arguments: list[str], said: str
) -> None:
    result = run(*arguments)

    assert result.exit_code == 2
    assert said in result.stderr
    assert service.requests == []


def test_a_quota_goes_back_to_the_services_default(service: Service, run: Run) -> None:
    run("users", "set", "ada", "--max-queued-jobs", "default", "--requests-per-second", "2.5")

    assert service.requests[0].json == {"quotas": {"max_queued_jobs": None, "requests_per_second": 2.5}}


@pytest.mark.parametrize(("command", "disabled"), [("disable", True), ("enable", False)])
def test_users_are_disabled_and_enabled(service: Service, run: Run, command: str, disabled: bool) -> None:
    result = run("users", command, "ada")

    assert service.requests[0].json == {"disabled": disabled, "quotas": {}}
    assert "ada is disabled, role user: jobs 20, crops unlimited, chip time a day 4 h" in result.stdout


def test_users_are_listed_with_their_quotas(run: Run) -> None:
    lines = run("users").stdout.splitlines()

    assert lines[-1].split() == [
        "grace",
        "user",
        "disabled",
        "20",
        "unlimited",
        "4",
        "h",
        "0.5",
        "500",
        "100,000,000",
        "5,000",
        "10,000",
        "1,073,741,824",
        "1",
    ]


def test_a_new_token_may_void_the_others(service: Service, run: Run) -> None:
    kept, replaced = (
        run("users", "token", "ada"),
        run("users", "token", "ada", "--revoke", "--expires", "12h"),
    )

    assert [request.json for request in service.requests] == [
        {"expires_in": None, "revoke": False},
        {"expires_in": 43_200, "revoke": True},
    ]
    assert "still open" in kept.stdout
    assert "all others are void" in replaced.stdout


@pytest.mark.parametrize("call", [lambda users: users.add("ada"), lambda users: users.issue_token("ada")])
def test_a_token_is_asked_for_once_however_the_request_ends(
    service: Service, client: Client, call: Callable[[Any], object]
) -> None:
    service.faults.append(problem(503, "unavailable", "starting", retry_after="0"))
    service.faults.append(DROPPED)

    with pytest.raises(ServiceError, match="starting"):
        call(client.users)

    assert len(service.requests) == 1


def test_what_is_left_is_shown_in_the_units_of_people(run: Run) -> None:
    said = run("me").stdout

    assert [line.split() for line in said.splitlines()[-9:]] == [
        ["jobs", "20", "3", "17"],
        ["crops", "unlimited", "0"],
        ["chip", "time", "a", "day", "4", "h", "60", "min", "3", "h"],
        ["requests/s", "1,000"],
        ["operations/s", "500"],
        ["bytes/s", "100,000,000"],
        ["kept", "crops", "5,000", "4", "4,996"],
        ["corrections", "unlimited", "2"],
        ["bytes", "of", "data", "sets", "1,073,741,824", "0", "1,073,741,824"],
    ]


def test_usage_sums_up_what_is_not_ones_own(run: Run) -> None:
    lines = [line.split() for line in run("usage").stdout.splitlines()]

    assert lines[-1][:2] == ["all", "together"]
    assert lines[0] == ["user", "classification", "training", "total"]


def test_models_are_shared_whole_or_by_version(service: Service, run: Run) -> None:
    said = [
        run("models", *command).stdout
        for command in (("share", "letters"), ("share", "letters@2"), ("unshare", "letters"))
    ]

    assert [(r.method, r.path) for r in service.requests] == [
        ("PUT", "/v1/models/letters/share"),
        ("PUT", "/v1/models/letters/versions/2/share"),
        ("DELETE", "/v1/models/letters/share"),
    ]
    assert said == [
        "ada~letters is for everyone.\n",
        "ada~letters is for everyone in version 2.\n",
        "ada~letters is for ada alone.\n",
    ]


def test_a_refusal_that_lasts_for_hours_is_not_waited_for(service: Service, client: Client) -> None:
    service.faults.append(problem(429, "quota_exceeded", "your limit is 1 second", retry_after="3600"))

    with pytest.raises(ServiceError, match="your limit") as refusal:
        client.train()

    assert len(service.requests) == 1
    assert refusal.value.retry_after_s == 3600


def test_a_refusal_by_quota_points_to_what_is_left(service: Service, run: Run) -> None:
    service.faults.append(
        problem(429, "quota_exceeded", "your limit is 20 unfinished jobs", retry_after="99")
    )

    result = run("train", "--no-wait")

    assert result.exit_code == 1
    assert "hxserve me" in result.stderr

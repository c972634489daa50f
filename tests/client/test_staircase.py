"""The command `hxserve staircase`: what it needs before it trains, and what it shows."""

import json
import sys
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from hxserve.cli import cli
from tests.client.records import job_record, trained
from tests.client.service import TOKEN, Reply, Service

Run = Callable[..., Result]


def _chips(*backends: str) -> Reply:
    chips = [{"id": f"chip-{n}", "backend": name, "identifier": "x"} for n, name in enumerate(backends)]
    return Reply(document={"chips": chips})


STEPS = [
    {"name": name, "execution": name.replace("loop", "chip"), "accuracy": accuracy, "interval": [0.8, 0.99]}
    for name, accuracy in {
        "float32": 0.98,
        "quantised": 0.97,
        "mock": 0.96,
        "chip": 0.9,
        "loop": 0.95,
    }.items()
]


def _succeeded() -> dict[str, Any]:
    """A job that has the results of a training and of a staircase."""
    result = {**trained()["result"], "steps": STEPS, "crops": 360, "dataset": "digits"}
    return job_record("succeeded", 9, kind="staircase", result=result)


@pytest.fixture
def run(service: Service) -> Run:
    """Runs the staircase against a service whose jobs all succeed."""
    service.jobs = deque([_succeeded()])

    def run(*arguments: str, **options: Any) -> Result:
        environment = {"HXSERVE_URL": service.url, "HXSERVE_TOKEN": TOKEN}
        return CliRunner(env=environment).invoke(cli, ["staircase", *arguments], **options)

    return run


def test_a_service_of_mocks_is_refused_before_anything_is_trained(service: Service, run: Run) -> None:
    service.answers["GET", "/v1/chip"] = _chips("mock", "mock")

    result = run()

    assert result.exit_code == 1
    assert "hxserve up --chip emulator" in result.stderr
    assert not service.asked("POST", "/v1/jobs")


def test_a_missing_matplotlib_is_told_before_anything_is_trained(
    service: Service, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.answers["GET", "/v1/chip"] = _chips("emulator")
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)

    result = run()

    assert result.exit_code == 1
    assert "--no-plot" in result.stderr
    assert not service.asked("POST", "/v1/jobs")


def test_without_a_plot_the_table_needs_no_matplotlib(
    service: Service, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.answers["GET", "/v1/chip"] = _chips("mock", "emulator")
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)

    table, document = run("--no-plot"), run("--no-plot", "--json")

    assert table.exit_code == 0
    assert "in the loop" in table.stdout
    assert "Drawn" not in table.stdout
    assert json.loads(document.stdout)["plot"] is None
    assert not Path("staircase.png").exists()


def test_it_trains_once_and_measures_as_one_job(service: Service, run: Run) -> None:
    service.answers["GET", "/v1/chip"] = _chips("emulator")

    shown = json.loads(run("--no-plot", "--json", "--epochs", "2").stdout)["staircase"]

    training, staircase = [request.json for request in service.asked("POST", "/v1/jobs")]
    assert training["kind"] == "training"
    assert (training["params"]["epochs"], training["params"]["execution"]) == (2, "mock")
    assert staircase == {"kind": "staircase", "model": "staircase", "params": {"version": "1", "seed": 0}}
    assert [row["step"] for row in shown] == ["float32", "quantised", "mock", "transferred", "in the loop"]
    assert [row["accuracy"] for row in shown] == [0.98, 0.97, 0.96, 0.9, 0.95]
    assert {row["version"] for row in shown} == {"1"}


def test_a_version_that_is_named_is_measured_without_a_training_on_a_mock_too(
    service: Service, run: Run
) -> None:
    service.answers["GET", "/v1/chip"] = _chips("mock")

    result = run("--no-plot", "--model", "digits", "--version", "production")

    assert result.exit_code == 0
    [asked] = [request.json for request in service.asked("POST", "/v1/jobs")]
    assert asked == {"kind": "staircase", "model": "digits", "params": {"version": "production", "seed": 0}}


def test_the_table_is_shown_although_the_plot_cannot_be_written(service: Service, run: Run) -> None:
    pytest.importorskip("matplotlib")
    service.answers["GET", "/v1/chip"] = _chips("emulator")

    result = run("--plot", "nowhere/steps.png")

    assert result.exit_code == 1
    assert "in the loop" in result.stdout
    assert "nowhere" in result.stderr

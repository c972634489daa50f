"""The command `letters` against a service that answers at once."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from hxserve.cli import cli
from tests.client.service import TOKEN, Reply, Service

SHORT = ("letters", "--letters", "2", "--flat-out", "--threshold", "0.5", "--cameras", "1", "--json")


def sort(service: Service, *more: str) -> Result:
    environment = {"HXSERVE_URL": service.url, "HXSERVE_TOKEN": TOKEN, "HXSERVE_MNIST": ""}
    return CliRunner(env=environment).invoke(cli, [*SHORT, *more])


def handwriting_of(result: Result) -> tuple[str, str]:
    assert result.exit_code == 0, result.output
    report: dict[str, Any] = json.loads(result.stdout)
    return report["handwriting"], report["learnt"]


@pytest.fixture
def told(service: Service) -> Service:
    """The service, which takes reports for its page."""
    service.answers["PUT", "/v1/letters"] = Reply(204)
    return service


def test_another_handwriting_than_the_model_learnt_is_said_on_every_way(told: Service) -> None:
    result = sort(told)

    assert handwriting_of(result) == ("digits", "mnist")
    assert "--mnist FOLDER" in result.stderr
    status = told.asked("PUT", "/v1/letters")[-1].json
    assert "handwriting that the model did not learn" in status["title"]
    assert status["done"] == 2


@pytest.mark.parametrize("by", ["download", "flag of the service"])
def test_the_mnist_of_a_service_on_this_machine_is_taken(
    told: Service, mnist: Path, tmp_path: Path, by: str
) -> None:
    if by == "download":
        (tmp_path / "datasets").symlink_to(mnist)
    else:
        (tmp_path / "mnist").write_text(str(mnist))

    result = sort(told, "--url", told.url, "--token", TOKEN, "--data-dir", str(tmp_path), "--mnist", "")

    assert handwriting_of(result) == ("mnist", "mnist")
    assert "handwriting" not in result.stderr

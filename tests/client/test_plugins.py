"""Commands of other distributions: found where these are installed, and told how to get where they are not."""

from importlib import metadata
from typing import Any

import pytest
from click.testing import CliRunner

from hxserve.cli import cli


@pytest.fixture
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client is installed, and nothing that adds to it."""

    def entry_points(**_: Any) -> metadata.EntryPoints:
        return metadata.EntryPoints(())

    monkeypatch.setattr(metadata, "entry_points", entry_points)


@pytest.mark.usefixtures("_alone")
@pytest.mark.parametrize(
    ("command", "distribution"), [("letters", "hxserve-letters"), ("plan", "hxserve-planner")]
)
def test_without_its_distribution_a_command_says_how_to_get_it(command: str, distribution: str) -> None:
    result = CliRunner().invoke(cli, [command, "--letters", "60", "--json"])

    assert result.exit_code == 1
    assert result.stderr.startswith(f"hxserve: {command}_not_installed: ")
    assert f"pip install {distribution}" in result.stderr


@pytest.mark.usefixtures("_alone")
def test_help_names_what_is_not_installed() -> None:
    shown = CliRunner().invoke(cli, ["--help"]).stdout

    assert "Needs hxserve-planner." in shown


def test_an_installed_command_is_the_distributions_own() -> None:
    assert "--machines" in CliRunner().invoke(cli, ["letters", "--help"]).stdout
    assert "--chips" in CliRunner().invoke(cli, ["plan", "--help"]).stdout


def test_a_command_that_nobody_knows_is_a_wrong_command_line() -> None:
    assert CliRunner().invoke(cli, ["sorting"]).exit_code == 2

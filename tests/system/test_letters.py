"""The letter centre with a real service: letters in, decisions out."""

import json

from click.testing import CliRunner

from deploy.local import Local
from hxserve.cli import cli
from hxserve.jobs import Job
from tests.system.conftest import MODEL


def test_letters_are_sorted_by_a_real_service(local: Local, trained: Job) -> None:
    environment = {"HXSERVE_URL": local.url, "HXSERVE_TOKEN": local.token}
    arguments = ["--letters", "60", "--machines", "2", "--rate", "9000", "--cameras", "1", "--deadline", "30"]

    result = CliRunner(env=environment).invoke(
        cli,
        [
            "letters",
            *arguments,
            "--threshold",
            "0.3",
            "--version",
            str(trained.result["version"]),
            "--json",
        ],
    )

    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["count"] == 60
    assert [row["count"] for row in report["machines"]] == [30, 30]
    assert report["read_rate"] > 0.3
    assert report["error_rate"] < 0.3
    assert report["model"] == MODEL
    assert report["handwriting"] == report["learnt"] == "digits"
    assert "expect more errors" not in result.stderr
    assert abs(report["read_rate"] + report["reject_rate"] - 1) < 1e-3

"""Corrections by the client and on the command line."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from hxserve import Client
from hxserve.cli import cli
from tests.client.service import TOKEN, Service

Run = Callable[..., Result]
CROPS = np.zeros((3, 28, 28), np.uint8)


@pytest.fixture
def run(service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the command against the service, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    environment = {"HXSERVE_URL": service.url, "HXSERVE_TOKEN": TOKEN}
    return lambda *arguments: CliRunner(env=environment).invoke(cli, arguments)


def test_a_prediction_is_corrected_by_its_place_in_the_answer(service: Service, client: Client) -> None:
    predictions = client.classify(CROPS, keep=True)

    client.correct(predictions[2], 7)
    client.correct("answer-2", None, 1)

    assert service.requests[0].query["keep"] == "true"
    assert [request.json for request in service.requests[1:]] == [
        {"answer": "answer-1", "index": 2, "digit": 7},
        {"answer": "answer-2", "index": 1, "digit": None},
    ]


def test_nothing_is_said_of_keeping_unless_asked(service: Service, client: Client) -> None:
    client.classify(CROPS)
    client.classify(CROPS, keep=False)

    assert [request.query.get("keep") for request in service.requests] == [None, "false"]


def test_the_command_says_how_to_correct_what_it_keeps(run: Run) -> None:
    np.save("crops.npy", CROPS)

    said = run("classify", "crops.npy", "--keep").stdout

    assert "Kept as answer-1; `hxserve corrections add answer-1 DIGIT --index N` corrects it." in said


def test_a_crop_without_a_digit_is_none_on_the_command_line(service: Service, run: Run) -> None:
    run("corrections", "add", "answer-1", "none")

    assert service.requests[0].json == {"answer": "answer-1", "index": 0, "digit": None}


def test_corrections_are_listed_with_what_was_read(run: Run) -> None:
    lines = [line.split() for line in run("corrections").stdout.splitlines()]

    assert lines[-2][:5] == ["answer-1-2", "7", "1", "62.5%", "digits@1"]
    assert lines[-1][:3] == ["desk-0", "none", "desk"]


def test_closing_says_what_the_version_has(run: Run) -> None:
    said = run("corrections", "close", "mine").stdout

    assert "ada~mine@2: 10 training and 2 test crops; corrections closed now: 3." in said
    assert "1 crop shows no digit and was left out." in said


def test_the_accuracy_has_its_interval_and_its_bias(run: Run) -> None:
    said = run("corrections", "accuracy").stdout

    assert ["digits@1", "45", "5", "1", "90.00%", "78.64%", "to", "95.65%"] in [
        line.split() for line in said.splitlines()
    ]
    assert "no random sample" in said

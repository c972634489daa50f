"""Safe promotion through a socket, with a real worker: compare, promote, roll out, roll back."""

import json
import re
import urllib.request
from collections.abc import Iterator

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray

from deploy.local import Local
from hxserve import Client
from hxserve.cli import cli
from hxserve.errors import ServiceError
from tests.system.conftest import wait_until

MODEL = "promoted"
Digits = tuple[NDArray[np.uint8], NDArray[np.int64]]


@pytest.fixture(scope="module")
def versions(local: Local) -> Iterator[tuple[str, str]]:
    """A version that has hardly learnt, in production, and one that has."""
    with Client(local.url, local.token) as client:
        poor = client.train(
            MODEL, wait=True, recipe="strong", dataset="digits", epochs=1, learning_rate=0.0001
        )
        good = client.train(MODEL, wait=True, recipe="strong", dataset="digits", epochs=5)
        assert poor.version is not None
        assert good.version is not None
        client.set_alias(MODEL, "production", poor.version)
        yield poor.version, good.version


def _run(local: Local, *arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(cli, ["--url", local.url, "--token", local.token, *arguments])
    return result.exit_code, result.stdout, result.stderr


def test_a_version_is_tried_promoted_and_rolled_back(
    local: Local, client: Client, versions: tuple[str, str], test_digits: Digits
) -> None:
    poor, good = versions
    crops, _ = test_digits

    client.rollout(MODEL, good, share=0.0, shadow=1.0)
    assert client.classify(crops[:200], MODEL, "production").version == poor
    wait_until(lambda: client.show_rollout(MODEL)["trial"]["crops"] == 200)
    trial = client.show_rollout(MODEL)["trial"]
    request = urllib.request.Request(  # noqa: S310 the service's own address
        f"{local.url}/metrics", headers={"Authorization": f"Bearer {local.token}"}
    )
    with urllib.request.urlopen(request) as response:  # noqa: S310 the same
        metrics = response.read().decode()
    promoted = client.promote(MODEL, good, dataset="digits", repeats=2, why="it has learnt")
    answered = client.classify(crops[:9], MODEL, "production").version
    back = client.rollback(MODEL, why="only a rehearsal")

    assert trial["disagreement"] > 0.2
    assert trial["candidate_confidence"] > trial["confidence"]
    different = re.search(r'hxserve_trial_crops_total\{.*outcome="disagreed"\} (\S+)', metrics)
    assert different is not None
    assert float(different[1]) >= trial["disagreements"]
    [change, *_] = promoted["changes"]
    assert (change["action"], change["version"], change["why"]) == ("promoted", good, "it has learnt")
    assert change["figures"]["verdict"] == "better"
    assert change["figures"]["accuracies"]["candidate"] > 0.85
    assert (answered, back["version"]) == (good, poor)


def test_the_command_line_compares_promotes_and_refuses(local: Local, versions: tuple[str, str]) -> None:
    poor, good = versions
    options = ("--dataset", "digits", "--repeats", "2")

    compared, shown, _ = _run(local, "models", "compare", MODEL, good, "--against", poor, *options)
    promoted, said, _ = _run(local, "models", "promote", MODEL, good, "--alias", "production", *options)
    worse, _, refusal = _run(local, "models", "promote", MODEL, poor, *options)
    back, _, _ = _run(local, "models", "rollback", MODEL, "--why", "rehearsed")
    _, listed, _ = _run(local, "models", "history", MODEL)
    _, document, _ = _run(local, "--json", "models", "history", MODEL)

    assert (compared, promoted, worse, back) == (0, 0, 1, 0)
    assert "Verdict: better" in shown
    assert f"production = {good}" in said
    assert refusal.splitlines()[-1].startswith("hxserve: promotion_refused: ")
    assert "points (95 %:" in refusal
    assert "rehearsed" in listed
    assert json.loads(document)["version"] == poor


def test_a_rollout_is_begun_shown_and_ended_on_the_command_line(
    local: Local, client: Client, versions: tuple[str, str], test_digits: Digits
) -> None:
    _, good = versions
    crops, _ = test_digits

    begun, shown, _ = _run(local, "models", "rollout", MODEL, "--candidate", good, "--share", "1")
    answered = client.classify(crops[:3], MODEL, "production").version
    ended, _, _ = _run(local, "models", "rollout", MODEL, "--end")
    missing, _, _ = _run(local, "models", "rollout", MODEL)
    wrong, _, _ = _run(local, "models", "rollout", MODEL, "--share", "0.5")

    assert (begun, ended, missing, wrong) == (0, 0, 1, 2)
    assert "share of senders" in shown
    assert answered == good


def test_a_comparison_of_a_version_with_itself_is_refused(client: Client, versions: tuple[str, str]) -> None:
    with pytest.raises(ServiceError, match="the candidate itself"):
        client.compare(MODEL, versions[0], "production")

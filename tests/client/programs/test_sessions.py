"""A program's session: opened, named, ended, and opened again."""

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import hxtorch_emulator as hxtorch
from hxserve.errors import SharedChipError
from hxserve.programs.remote_chip import RemoteChip
from hxserve.programs.session import program_name
from tests.client.programs.sharing_service import (
    CALIBRATION,
    IDENTIFIER,
    RECALIBRATION,
    SharingService,
)
from tests.client.service import TOKEN

X, W = torch.full((2, 3), 5.0), torch.full((3, 4), 9.0)


@pytest.mark.usefixtures("chip")
def test_opening_the_hardware_opens_a_session_and_releasing_it_ends_it(sharing: SharingService) -> None:
    hxtorch.init_hardware()
    assert hxtorch.get_unique_identifier() == [IDENTIFIER]

    hxtorch.release_hardware()
    hxtorch.release_hardware()

    (session,) = sharing.sessions.values()
    assert session.request == {"chip": None, "calibration": None, "program": "notebook.ipynb"}
    assert session.state == "succeeded"
    assert [request.method for request in sharing.requests] == ["POST", "DELETE"]


@pytest.mark.usefixtures("chip")
def test_opening_twice_keeps_one_session(sharing: SharingService) -> None:
    hxtorch.init_hardware()
    hxtorch.init_hardware_minimal()

    assert [session.state for session in sharing.sessions.values()] == ["succeeded", "running"]


def test_a_chip_is_named_by_the_environment(
    sharing: SharingService, make_chip: Callable[..., RemoteChip], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HXSERVE_CHIP_ID", "chip-1")

    make_chip().open(None)

    assert sharing.sessions["session-1"].request["chip"] == "chip-1"


def test_a_chip_without_hardware_goes_by_its_name(
    sharing: SharingService, make_chip: Callable[..., RemoteChip]
) -> None:
    sharing.identifier = None

    assert make_chip().chip_id == "chip-1"


def test_a_chip_that_the_service_does_not_have_is_refused(make_chip: Callable[..., RemoteChip]) -> None:
    with pytest.raises(SharedChipError, match="there is no chip chip-9") as caught:
        make_chip(chip="chip-9").open(None)

    assert isinstance(caught.value, RuntimeError)
    assert caught.value.code == "not_found"


@pytest.mark.parametrize(
    ("environment", "argv", "name"),
    [
        ({"JPY_SESSION_NAME": "/home/ada/lab/digits.ipynb"}, "kernel.py", "digits.ipynb"),
        ({}, "lab/train.py", "train.py"),
        ({}, "", "python"),
        ({}, "é" * 120 + "\udcff", "é" * 100),
    ],
)
def test_a_session_bears_the_name_of_the_program(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], argv: str, name: str
) -> None:
    monkeypatch.setattr(sys, "argv", [argv])

    assert program_name(environment) == name


def test_a_session_that_ended_by_silence_is_opened_again(sharing: SharingService, opened: RemoteChip) -> None:
    hxtorch.perceptron.matmul(X, W)
    sharing.end_sessions("expired")

    y = hxtorch.perceptron.matmul(X, W)

    assert torch.equal(y, hxtorch.perceptron.matmul(X, W, mock=True))
    assert opened.facts().id == "session-2"
    assert sharing.sessions["session-2"].request["chip"] == "chip-1"


@pytest.mark.usefixtures("opened")
def test_a_session_that_was_cancelled_is_not_opened_again(sharing: SharingService) -> None:
    sharing.end_sessions("cancelled")

    with pytest.raises(SharedChipError, match=r"session-1 was cancelled; call init_hardware\(\)"):
        hxtorch.perceptron.matmul(X, W)

    assert list(sharing.sessions) == ["session-1"]


def _named_calibration(folder: Path, sha256: str | None = CALIBRATION) -> hxtorch.CalibrationPath:
    path = folder / "hagen_cocolist.pbin"
    named = {"chip": "chip-1", "identifier": IDENTIFIER, "sha256": sha256}
    path.write_text(json.dumps({"format": "hxserve-calibration-name-1", **named}))
    return hxtorch.CalibrationPath(str(path))


@pytest.mark.usefixtures("chip")
@pytest.mark.parametrize("sha256", [CALIBRATION, None])
def test_a_file_names_the_calibration_of_a_session(
    sharing: SharingService, tmp_path: Path, sha256: str | None
) -> None:
    hxtorch.init_hardware(_named_calibration(tmp_path, sha256))

    asked = sharing.sessions["session-1"].request
    assert (asked["chip"], asked["calibration"]) == ("chip-1", sha256)


@pytest.mark.usefixtures("chip")
def test_a_calibration_that_the_chip_has_no_more_is_refused(sharing: SharingService, tmp_path: Path) -> None:
    sharing.calibration = RECALIBRATION

    with pytest.raises(RuntimeError, match="calibrated since; save its calibration again"):
        hxtorch.init_hardware(_named_calibration(tmp_path))


@pytest.mark.usefixtures("chip")
def test_a_session_opened_again_demands_the_same_calibration(sharing: SharingService, tmp_path: Path) -> None:
    hxtorch.init_hardware(_named_calibration(tmp_path))
    sharing.end_sessions("expired")
    sharing.calibration = RECALIBRATION

    with pytest.raises(SharedChipError, match="calibrated since"):
        hxtorch.perceptron.matmul(X, W)


@pytest.mark.usefixtures("chip")
@pytest.mark.parametrize("content", [None, b"", b"\x80\x81", b'{"format": "another"}', b"[]"])
def test_a_file_that_names_no_calibration_is_refused(
    sharing: SharingService, tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "hagen_cocolist.pbin"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(RuntimeError, match="save_nightly_calibration"):
        hxtorch.init_hardware(hxtorch.CalibrationPath(str(path)))

    assert not sharing.requests


@pytest.mark.usefixtures("opened")
def test_a_calibration_in_between_is_a_warning_once(
    sharing: SharingService, told: list[logging.LogRecord]
) -> None:
    hxtorch.perceptron.matmul(X, W)
    sharing.calibration = RECALIBRATION

    for _ in range(3):
        hxtorch.perceptron.matmul(X, W)

    warnings = [record for record in told if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert "results before and after are not comparable" in warnings[0].getMessage()


def test_an_expired_token_is_refused_at_once(
    sharing: SharingService, make_chip: Callable[..., RemoteChip]
) -> None:
    with pytest.raises(SharedChipError, match="No valid token") as caught:
        make_chip("expired").open(None)

    assert caught.value.code == "not_authenticated"
    assert len(sharing.requests) == 1


_FORKING = """
import os, sys
import torch
from hxserve.errors import SharedChipError
from hxserve.programs.remote_chip import RemoteChip

chip, numbers = RemoteChip(), (torch.full((2, 3), 5.0), torch.full((3, 4), 9.0))
chip.open(None)
if os.fork():
    os.wait()
    chip.close()
    sys.exit()
try:
    chip.multiply(*numbers, num_sends=1, wait_between_events=5)
except SharedChipError as error:
    print(error.code)
chip.close()
chip.open(None)
print(chip.multiply(*numbers, num_sends=1, wait_between_events=5)[0].tolist(), flush=True)
os._exit(0)
"""


def test_a_forked_process_opens_its_own_session(sharing: SharingService) -> None:
    environment = os.environ | {"HXSERVE_URL": sharing.url, "HXSERVE_TOKEN": TOKEN}

    done = subprocess.run(
        [sys.executable, "-c", _FORKING], env=environment, capture_output=True, text=True, check=True
    )

    assert done.stdout.split("\n")[:2] == ["other_process", "[1.0, 1.0, 1.0, 1.0]"]
    assert [session.state for session in sharing.sessions.values()] == ["succeeded", "running"]

"""What holds for every session: the mock, the virtual chip, and hxtorch's as its stand-in shows it."""

import json
from pathlib import Path

import pytest
import torch

import hxtorch_emulator as emulator
from services.errors import ChipUnavailableError, HxserveError
from services.settings import ChipChoice
from tests.worker.chip.conftest import VIRTUAL_CHIP
from tests.worker.chip.standin import network_step
from worker.chip import ChipSession, VirtualChoice, has_drifted, open_chip


def test_a_session_says_everything_its_results_need_in_json(session: ChipSession) -> None:
    said = json.loads(json.dumps(session.describe()))

    assert said["backend"] == session.backend
    assert said["identifier"] == session.identifier
    assert said["gain"] == pytest.approx(0.002, rel=0.05)
    # hxtorch measures the noise of a sum of two tiles; that of the mock is set.
    noise_lsb = 2.0 if session.backend == "mock" else 2.25
    assert said["noise_std"] == pytest.approx(noise_lsb, rel=0.15)
    assert said["connected"] is True


def test_the_parameters_in_force_are_those_of_the_session(session: ChipSession) -> None:
    assert emulator.perceptron.get_mock_parameter() == session.mock_parameter


def test_the_self_test_ran_before_anything_else(session: ChipSession) -> None:
    assert session.self_test["high_lsb"] > 40
    assert session.self_test["low_lsb"] < -40
    assert 1 < session.self_test["noise_lsb"] < 7


def test_a_network_computes(session: ChipSession) -> None:
    with session.guarded():
        readouts = network_step(session.perceptron, mock=session.execution == "mock")

    assert readouts.shape == (3, 5)


def test_the_canary_of_a_chip_just_opened_is_within_its_limit(session: ChipSession) -> None:
    score_lsb = session.canary()

    assert score_lsb == pytest.approx(session.canary_reference_lsb, rel=0.1)
    assert not has_drifted(score_lsb, session.canary_limit_lsb)


def test_input_out_of_range_is_no_failure_of_the_chip(session: ChipSession) -> None:
    mock = session.execution == "mock"

    with pytest.raises(OverflowError), session.guarded():
        session.perceptron.matmul(torch.full((2, 3), 32.0), torch.ones(3, 4), mock=mock)


def test_our_own_errors_pass_the_guard_unchanged(session: ChipSession) -> None:
    error = HxserveError("as it was")

    with pytest.raises(HxserveError) as raised, session.guarded():
        raise error

    assert raised.value is error


def test_a_session_calibrates_or_says_why_not(session: ChipSession) -> None:
    if session.can_calibrate:
        assert session.calibrate().spread_after_lsb < 10  # the acceptance limit of calix
    else:
        with pytest.raises(ChipUnavailableError, match="calibrat"):
            session.calibrate()


@pytest.mark.parametrize("choice", ["emulator", "hxtorch"])
@pytest.mark.usefixtures("faults")
def test_a_chip_is_closed_with_its_session(choice: ChipChoice, tmp_path: Path) -> None:
    with open_chip(choice, "c", None, calibrations=tmp_path, virtual=VirtualChoice(VIRTUAL_CHIP)) as session:
        assert session.backend == choice

    with pytest.raises(RuntimeError, match=r"No connection allocated\."):
        session.perceptron.matmul(torch.zeros(2, 3), torch.zeros(3, 4))


@pytest.mark.parametrize("choice", ["emulator", "hxtorch"])
@pytest.mark.usefixtures("faults")
def test_a_chip_is_closed_when_its_session_ends_in_an_error(choice: ChipChoice, tmp_path: Path) -> None:
    with (
        pytest.raises(KeyError),
        open_chip(choice, "c", None, calibrations=tmp_path, virtual=VirtualChoice(VIRTUAL_CHIP)),
    ):
        raise KeyError

    with pytest.raises(RuntimeError, match=r"No connection allocated\."):
        emulator.get_unique_identifier()

"""The real chip's session over a stand-in: opened with care, its failures translated, its connection mended."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import hxtorch_emulator as emulator
from hxtorch_emulator.chip import VirtualChip, calibrate
from services.errors import ChipError, ChipLostError, ChipUnavailableError
from tests.worker.chip.standin import IDENTIFIER, Faults, network_step, time_out
from tests.worker.chip.test_breaker import Clock
from worker.chip import open_chip
from worker.chip.breaker import Breaker
from worker.chip.hxtorch_connection import HxtorchConnection, import_hxtorch
from worker.chip.hxtorch_session import PAUSES_S, HxtorchSession


class Bench:
    """A session whose clock and pauses are the test's own."""

    def __init__(self, faults: Faults, folder: Path) -> None:
        self.faults = faults
        self.clock = Clock()
        self.slept: list[float] = []
        connection = HxtorchConnection(*import_hxtorch(), None, folder)
        self.session = HxtorchSession(
            "chip-1",
            connection,
            connection.open(),
            canary_limit=1.3,
            breaker=Breaker(first_pause_s=2.0, longest_pause_s=60.0, clock=self.clock),
            sleep=self.slept.append,
        )
        faults.openings = 0

    def work(self) -> torch.Tensor:
        """A layer on the chip, guarded."""
        with self.session.guarded():
            return network_step(self.session.perceptron, mock=False)


@pytest.fixture
def bench(faults: Faults, tmp_path: Path) -> Bench:
    return Bench(faults, tmp_path)


@pytest.fixture
def calibration(tmp_path: Path) -> Path:
    """A tree of calibrations that holds one of the stand-in's chip."""
    night = tmp_path / "hwdb" / IDENTIFIER / "stable" / "2026-03-01"
    night.mkdir(parents=True)
    (night.parent / "latest").symlink_to(night.name)
    calibrate(VirtualChip(IDENTIFIER)).write(night / "hagen_cocolist.pbin")
    return tmp_path / "hwdb"


def _assert_released() -> None:
    with pytest.raises(RuntimeError, match=r"No connection allocated\."):
        emulator.get_unique_identifier()


def test_the_latest_calibration_is_resolved_recorded_and_loaded(
    faults: Faults, calibration: Path, tmp_path: Path
) -> None:
    with open_chip("hxtorch", "c", calibration, calibrations=tmp_path / "none") as session:
        recorded = session.calibration

    assert recorded is not None
    assert Path(recorded["path"]).parent.name == "2026-03-01"
    assert recorded["link"].endswith("stable/latest")
    assert faults.loaded == recorded["path"]


def test_a_calibration_kept_by_the_service_is_used_when_none_is_named(
    faults: Faults, calibration: Path
) -> None:
    with open_chip("hxtorch", "c", None, calibrations=calibration) as session:
        assert session.calibration is not None
        assert session.calibration["path"] == faults.loaded


def test_without_any_calibration_hxtorch_s_default_is_taken_and_said(
    faults: Faults, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with open_chip("hxtorch", "c", None, calibrations=tmp_path) as session:
        assert session.calibration is None
        assert session.identifier == IDENTIFIER

    assert faults.loaded is None
    assert "hxtorch takes its own default" in caplog.text


def test_a_missing_calibration_refuses_and_releases(faults: Faults, tmp_path: Path) -> None:
    with (
        pytest.raises(ChipUnavailableError, match="cannot be read"),
        open_chip("hxtorch", "c", tmp_path / "gone.pbin", calibrations=tmp_path),
    ):
        pass

    assert faults.openings == 1
    _assert_released()


def test_a_calibration_that_hxtorch_refuses_is_a_failure_of_the_chip(faults: Faults, tmp_path: Path) -> None:
    (tmp_path / "x.pbin").write_text("damaged")

    with (
        pytest.raises(ChipError, match="hxtorch could not open the chip"),
        open_chip("hxtorch", "c", tmp_path / "x.pbin", calibrations=tmp_path),
    ):
        pass

    assert faults.openings > 0
    _assert_released()


@pytest.mark.usefixtures("faults")
def test_without_a_way_to_a_chip_nothing_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("QUIGGELDY_ENABLED")

    with (
        pytest.raises(ChipUnavailableError, match="no variable says where the chip is"),
        open_chip("hxtorch", "c", None, calibrations=tmp_path),
    ):
        pass


@pytest.mark.parametrize("refusals", [1, 2])
def test_an_opening_that_fails_halfway_releases(faults: Faults, tmp_path: Path, refusals: int) -> None:
    faults.refusals = refusals

    with (
        pytest.raises(ChipError, match="hxtorch could not open the chip: quiggeldy: connection timed out"),
        open_chip("hxtorch", "c", None, calibrations=tmp_path),
    ):
        pass

    _assert_released()


def test_a_chip_whose_products_have_a_wrong_shape_serves_nothing(faults: Faults, tmp_path: Path) -> None:
    faults.wrong_shape = True

    with (
        pytest.raises(ChipError, match=r"self-test: readouts have shape \(32, 255\)"),
        open_chip("hxtorch", "c", None, calibrations=tmp_path),
    ):
        pass

    _assert_released()


@pytest.fixture
def _default_sigterm() -> Iterator[None]:
    former = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGTERM, former)


@pytest.mark.usefixtures("faults", "_default_sigterm")
def test_sigterm_releases_the_chip_and_leaves_the_handler_as_it_was(tmp_path: Path) -> None:
    with (
        pytest.raises(SystemExit) as ended,
        open_chip("hxtorch", "c", None, calibrations=tmp_path),
    ):
        signal.raise_signal(signal.SIGTERM)

    assert ended.value.code == 143
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    _assert_released()


def test_work_that_failed_on_a_chip_that_answers_is_a_chip_error(bench: Bench) -> None:
    bench.faults.next_errors = [time_out()]

    with pytest.raises(ChipError, match="still answers: no answer from the chip") as raised:
        bench.work()

    assert not isinstance(raised.value, ChipLostError)
    assert raised.value.retryable
    assert bench.faults.openings == 0
    assert bench.work().shape == (3, 5)


def test_a_lost_connection_is_opened_again_and_the_work_may_be_run_again(bench: Bench) -> None:
    bench.faults.is_lost = True

    with pytest.raises(ChipLostError, match="is open again") as raised:
        bench.work()

    assert raised.value.retryable
    assert bench.session.is_connected
    assert bench.slept == [0.0]
    assert bench.work().shape == (3, 5)


def test_the_reference_of_the_canary_outlives_a_lost_connection(bench: Bench) -> None:
    reference_lsb = bench.session.canary_reference_lsb
    bench.faults.is_lost = True

    with pytest.raises(ChipLostError):
        bench.work()

    assert bench.session.canary_reference_lsb == reference_lsb


def test_opening_again_is_tried_with_growing_pauses(bench: Bench) -> None:
    bench.faults.is_lost, bench.faults.refusals = True, 2

    with pytest.raises(ChipLostError, match="is open again"):
        bench.work()

    assert bench.slept == list(PAUSES_S)


def _lose(bench: Bench) -> None:
    bench.faults.is_lost, bench.faults.refusals = True, 99
    with pytest.raises(ChipLostError, match="tried again in 2 s"):
        bench.work()


def test_tries_are_limited_then_work_is_refused_at_once(bench: Bench) -> None:
    _lose(bench)
    tried = 99 - bench.faults.refusals

    with pytest.raises(ChipLostError) as raised:
        bench.work()

    assert tried == len(PAUSES_S)
    assert 99 - bench.faults.refusals == tried
    assert raised.value.retry_after_s == 2
    assert not bench.session.is_connected
    assert bench.session.describe()["connected"] is False


def test_after_its_pause_the_breaker_allows_one_try(bench: Bench) -> None:
    _lose(bench)
    refusals = bench.faults.refusals
    bench.clock.now_s += 2

    with pytest.raises(ChipLostError, match="tried again in 4 s"):
        bench.work()

    assert refusals - bench.faults.refusals == 1


def test_a_chip_that_is_back_serves_again(bench: Bench) -> None:
    _lose(bench)
    bench.faults.refusals = 0
    bench.clock.now_s += 2

    assert bench.work().shape == (3, 5)
    assert bench.session.is_connected


def test_another_chip_in_its_place_is_not_taken(bench: Bench) -> None:
    bench.faults.is_lost, bench.faults.identifier = True, "hxcube9fpga3chip1_1"

    with pytest.raises(ChipLostError, match="tried again in"):
        bench.work()

    assert bench.session.identifier == IDENTIFIER
    _assert_released()


def test_the_canary_of_a_lost_chip_is_lost_too(bench: Bench) -> None:
    bench.faults.is_lost = True

    with pytest.raises(ChipLostError):
        bench.session.canary()


def test_a_chip_that_computes_the_wrong_shape_is_opened_again_at_its_next_failure(bench: Bench) -> None:
    bench.faults.wrong_shape = True

    with pytest.raises(ChipLostError, match="tried again"):
        bench.session.canary()

    bench.faults.wrong_shape = False
    bench.clock.now_s += 2
    assert bench.session.canary() > 0


def test_releasing_a_chip_that_is_gone_hides_no_error(bench: Bench) -> None:
    bench.faults.is_lost = True
    emulator.release_hardware()

    with pytest.raises(ChipLostError, match="is open again"):
        bench.work()

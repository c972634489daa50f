"""The virtual chip as a session: calibrated once, recognised again, and never with another's calibration."""

import json
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path

import pytest

import hxtorch_emulator as emulator
from hxtorch_emulator.chip import ChipParameters, VirtualChip
from services.errors import ChipError, ChipUnavailableError, StorageError
from tests.worker.chip.conftest import VIRTUAL_CHIP
from worker.chip.virtual_session import VirtualSession, open_virtual

Opened = AbstractContextManager[VirtualSession]


def _open(folder: Path, chip: VirtualChip | None = None, calibration: Path | None = None) -> Opened:
    return open_virtual("chip-1", chip or VirtualChip(VIRTUAL_CHIP), calibration, folder, canary_limit=1.3)


def test_a_chip_without_calibration_is_calibrated_and_keeps_it(tmp_path: Path) -> None:
    with _open(tmp_path) as session:
        first = session.calibration

    with _open(tmp_path) as session:
        again = session.calibration

    assert first is not None
    assert again is not None
    assert Path(first["path"]).parents[2].name == VIRTUAL_CHIP
    assert (again["path"], again["sha256"]) == (first["path"], first["sha256"])


def test_the_reference_of_the_canary_outlives_the_session(tmp_path: Path) -> None:
    with _open(tmp_path) as session:
        reference_lsb = session.canary_reference_lsb

    with _open(tmp_path) as session:
        assert session.canary_reference_lsb == reference_lsb
        assert session.canary_limit_lsb == pytest.approx(1.3 * reference_lsb)


def test_calibrating_again_moves_the_latest_and_loads_it(tmp_path: Path) -> None:
    with _open(tmp_path) as session:
        before = session.calibration

        outcome = session.calibrate()

        assert session.calibration is not None
        assert before is not None
        assert outcome.path == session.calibration["path"] != before["path"]
        assert outcome.sha256 == session.calibration["sha256"]
        assert session.mock_parameter.gain == outcome.gain
        assert json.loads(json.dumps(asdict(outcome)))["canary_lsb"] == session.canary_reference_lsb

    latest = tmp_path / VIRTUAL_CHIP / "stable" / "latest"
    assert latest.resolve() == Path(outcome.path).parent


def test_calibrating_a_warm_chip_brings_its_canary_back(tmp_path: Path) -> None:
    chip = VirtualChip(VIRTUAL_CHIP)
    with _open(tmp_path, chip) as session:
        chip.temperature_c += 30
        warm_lsb = session.canary()

        outcome = session.calibrate()

        assert warm_lsb > session.canary_limit_lsb > session.canary()
        assert outcome.spread_after_lsb < outcome.spread_before_lsb


def test_an_untrimmed_chip_is_flattened(tmp_path: Path) -> None:
    with _open(tmp_path) as session:
        emulator.init_hardware_minimal()

        outcome = session.calibrate()

    assert outcome.spread_after_lsb < 10 < outcome.spread_before_lsb  # the acceptance limit of calix


def test_a_calibration_that_fails_its_self_test_is_not_kept(tmp_path: Path) -> None:
    chip = VirtualChip(VIRTUAL_CHIP)
    with _open(tmp_path, chip) as session:
        before, trims = session.calibration, chip.calibration
        chip.parameters = ChipParameters(noise_std_lsb=15.0)

        with pytest.raises(ChipError, match="self-test"):
            session.calibrate()

        assert chip.calibration is trims
        assert before is not None
        assert session.calibration is not None
        assert session.calibration["sha256"] == before["sha256"]
        assert emulator.perceptron.get_mock_parameter() == session.mock_parameter
    assert len(list((tmp_path / VIRTUAL_CHIP / "stable").glob("20*"))) == 1


def test_a_calibration_that_cannot_be_kept_is_not_used(tmp_path: Path) -> None:
    chip = VirtualChip(VIRTUAL_CHIP)
    with _open(tmp_path / "calibrations", chip) as session:
        trims = chip.calibration
        (tmp_path / "calibrations").rename(tmp_path / "gone")
        (tmp_path / "calibrations").write_text("in the way")

        with pytest.raises(StorageError, match="cannot be kept"):
            session.calibrate()

        assert chip.calibration is trims


def _calibration_of(chip: str, codes: int = 512) -> str:
    trims = [0] * codes
    return json.dumps(
        {
            "format": "hxserve-calibration-1",
            "chip_id": chip,
            "temperature_c": 60.0,
            "made_at_s": 1e9,
            "target_gain": 0.002,
            "gain_codes": trims,
            "offset_codes": trims,
        }
    )


def test_the_time_of_a_calibration_is_that_in_its_file(tmp_path: Path) -> None:
    with _open(tmp_path) as session:
        assert session.calibration is not None
        made = json.loads(Path(session.calibration["path"]).read_text())
    older = tmp_path / "older.json"
    older.write_text(json.dumps({**made, "made_at_s": 1e9}))

    with _open(tmp_path, calibration=older) as session:
        assert session.calibration is not None
        assert session.calibration["made_at"] == 1e9
        assert session.calibration["link"] == str(older)


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        ("", "is no calibration of a virtual chip"),
        ("\x80pickle", "is no calibration of a virtual chip"),
        (_calibration_of(VIRTUAL_CHIP, codes=511), "512 whole numbers"),
        (_calibration_of("hxother"), f"calibration of the chip hxother, this one is {VIRTUAL_CHIP}"),
    ],
)
def test_a_calibration_that_is_not_this_chip_s_is_refused(tmp_path: Path, content: str, wrong: str) -> None:
    path = tmp_path / "hagen_cocolist.json"
    path.write_text(content)

    with pytest.raises(ChipUnavailableError, match=wrong), _open(tmp_path, calibration=path):
        pass

    with pytest.raises(RuntimeError, match=r"No connection allocated\."):
        emulator.get_unique_identifier()


def test_a_latest_that_leads_nowhere_is_refused_instead_of_replaced(tmp_path: Path) -> None:
    stable = tmp_path / VIRTUAL_CHIP / "stable"
    stable.mkdir(parents=True)
    (stable / "latest").symlink_to("gone")

    with pytest.raises(ChipUnavailableError, match="cannot be read"), _open(tmp_path):
        pass


def test_the_fixed_pattern_before_and_after_outlives_the_session(tmp_path: Path) -> None:
    with _open(tmp_path) as session:
        first = session.pattern

    with _open(tmp_path) as session:
        again = session.pattern

    assert first is not None
    assert (len(first.before_lsb), len(first.after_lsb)) == (512, 512)
    assert sum(map(abs, first.after_lsb)) < 0.5 * sum(map(abs, first.before_lsb))
    assert again == first


def test_without_the_file_beside_the_calibration_the_pattern_is_not_known(tmp_path: Path) -> None:
    with _open(tmp_path) as session:
        assert session.calibration is not None
        (Path(session.calibration["path"]).parent / "pattern.json").write_text("[1]")

    with _open(tmp_path) as session:
        assert session.pattern is None


def test_a_virtual_chip_tells_how_warm_it_is(tmp_path: Path) -> None:
    chip = VirtualChip(VIRTUAL_CHIP)
    with _open(tmp_path, chip) as session:
        chip.temperature_c = 71.5

        assert session.temperature_c == 71.5

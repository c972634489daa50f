from pathlib import Path

import pytest

from benchmarks.compare import comparison, main


def test_ratios_are_taken_round_by_round() -> None:
    old = [{"p50 ms": 1.0}, {"p50 ms": 4.0}, {"p50 ms": 2.0}]
    new = [{"p50 ms": 2.0}, {"p50 ms": 2.0}, {"p50 ms": 2.0}]

    assert list(comparison(old, new)) == [("p50 ms", 2.0, 2.0, [0.5, 1.0, 2.0])]


def test_a_checkout_without_an_environment_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path)]) == 2
    assert "has no environment; run `make -C" in capsys.readouterr().err

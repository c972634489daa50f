import pytest

from benchmarks.alternatives import Round, summarise_rounds
from benchmarks.context import MeasurementError
from benchmarks.load import LoadReport


def a_round(requests_per_s: float, p99_ms: float, *, errors: int = 0, wrong: int = 0) -> Round:
    report = LoadReport(
        requests=1000,
        answered=1100,
        seconds=1.0,
        requests_per_s=requests_per_s,
        p50_ms=1.0,
        p90_ms=2.0,
        p99_ms=p99_ms,
        errors=errors,
        wrong=wrong,
        checked=1000,
        client_cpu=0.1,
        first_error="status 500" if errors else "",
    )
    return Round(report, cpu_s=1.1, api_cpu_s=0.22)


def test_figures_are_medians_over_the_rounds() -> None:
    figures = summarise_rounds("x", [a_round(100, 9), a_round(300, 7), a_round(110, 8)])

    assert (figures.requests_per_s, figures.p99_ms, figures.rounds) == (110, 8, 3)
    assert figures.cpu_ms_per_request == pytest.approx(1.0)
    assert figures.api_us_per_request == pytest.approx(200.0)


def test_errors_make_a_measurement_worthless() -> None:
    with pytest.raises(MeasurementError, match="x: 50 errors beside 2000 answers; the first: status 500"):
        summarise_rounds("x", [a_round(100, 9), a_round(100, 9, errors=50)])


def test_wrong_answers_make_a_measurement_worthless() -> None:
    with pytest.raises(MeasurementError, match=r"x: 5\.0% of the answers are wrong"):
        summarise_rounds("x", [a_round(100, 9, wrong=50), a_round(100, 9)])

import time
from typing import Any

import pytest

from benchmarks.load import UNNUMBERED, LoadError, LoadPlan, LoadReport, apply_load, build_request
from benchmarks.load.clients import run_plan
from tests.benchmarks.load.server import serving


def a_plan(port: int, **changes: Any) -> LoadPlan:
    """Four clients asking what one byte is; the answer is the byte as a number."""
    values = {
        "port": port,
        "requests": tuple(build_request("/", bytes([value])) for value in range(3)),
        "answers": tuple((str(value),) for value in range(3)),
        "answer_pattern": r'"digit": (\d)',
        "clients": 4,
        "seconds": 0.3,
        "warmup_s": 0.1,
    }
    return LoadPlan(**{**values, **changes})


def digit(number: int, body: bytes) -> tuple[int, bytes]:
    del number
    return 200, b'{"digit": %d}' % body[0]


def test_every_request_is_counted_once_and_each_client_sends_its_own() -> None:
    seen: list[int] = []

    def count(number: int, body: bytes) -> tuple[int, bytes]:
        seen.append(body[0])
        return digit(number, body)

    with serving(count) as port:
        report = run_plan(a_plan(port, warmup_s=0.0))

    assert len(seen) - 4 <= report.requests <= len(seen)
    assert report.requests_per_s == pytest.approx(report.requests / 0.3)
    assert report.errors == report.wrong == 0
    assert set(seen) == {0, 1, 2}


def test_latency_is_what_the_server_takes() -> None:
    def slowly(number: int, body: bytes) -> tuple[int, bytes]:
        time.sleep(0.02)
        return digit(number, body)

    with serving(slowly) as port:
        report = run_plan(a_plan(port, clients=2))

    assert 20 <= report.p50_ms <= report.p90_ms <= report.p99_ms
    assert report.requests <= 2 * 0.3 / 0.02


def test_a_wrong_answer_is_found() -> None:
    def sometimes_wrong(number: int, body: bytes) -> tuple[int, bytes]:
        return digit(number, bytes([9]) if number % 5 == 0 else body)

    with serving(sometimes_wrong) as port:
        report = run_plan(a_plan(port))

    assert report.errors == 0
    assert 0.1 < report.wrong_share < 0.3


def test_answers_for_each_other_are_found() -> None:
    def mixed_up(number: int, body: bytes) -> tuple[int, bytes]:
        return digit(number, bytes([(body[0] + 1) % 3]))

    with serving(mixed_up) as port:
        report = run_plan(a_plan(port))

    assert report.wrong == report.checked > 0


def test_one_wrong_digit_of_many_is_one_wrong_part_and_a_missing_one_spoils_the_whole_answer() -> None:
    def of_four(digits: bytes) -> LoadReport:
        with serving(lambda *_: (200, b" ".join(b'{"digit": %d}' % one for one in digits))) as port:
            return run_plan(a_plan(port, answers=(("1", "2", "3", "4"),) * 3))

    one_wrong, one_missing = of_four(bytes([1, 2, 3, 0])), of_four(bytes([1, 2, 3]))

    assert one_wrong.wrong_share == 0.25
    assert one_missing.wrong_share == 1.0


def test_each_renumbered_request_has_a_head_of_its_own() -> None:
    numbers: list[str] = []
    numbered = tuple(build_request("/", bytes([value]), headers=UNNUMBERED) for value in range(3))

    with serving(digit, heard=lambda headers: numbers.append(headers["X-Request-Number"])) as port:
        report = run_plan(a_plan(port, requests=numbered, renumbered=True))

    assert report.errors == report.wrong == 0
    assert len(set(numbers)) == len(numbers) >= report.requests


def test_another_status_is_an_error_and_no_request() -> None:
    with serving(lambda number, body: (503, b"busy") if number % 2 else digit(number, body)) as port:
        report = run_plan(a_plan(port, warmup_s=0.0))

    assert report.errors == pytest.approx(report.requests, abs=20)
    assert report.first_error == "status 503, not 200: b'busy'"


def test_a_lost_connection_is_an_error_and_replaced() -> None:
    with serving(digit, hangs_up_every=10) as port:
        report = run_plan(a_plan(port))

    assert report.errors > 0
    assert report.requests > report.errors
    assert "closed the connection" in report.first_error


def test_a_body_larger_than_the_socket_takes_at_once_arrives_whole() -> None:
    def measure(number: int, body: bytes) -> tuple[int, bytes]:
        del number
        return 200, b"%d bytes" % len(body)

    large = build_request("/", bytes(8_000_000))
    with serving(measure) as port:
        report = run_plan(
            a_plan(port, requests=(large,), answer_pattern=r"(\d+)", answers=(("8000000",),), clients=2)
        )

    assert report.requests > 0
    assert report.errors == report.wrong == 0


def test_a_client_that_is_never_answered_is_an_error() -> None:
    def never(number: int, body: bytes) -> tuple[int, bytes]:
        time.sleep(0.6)
        return digit(number, body)

    with serving(never) as port:
        report = run_plan(a_plan(port, clients=2, stalled_after_s=0.2))

    assert report.requests == 0
    assert report.errors == 2


def test_the_load_runs_in_a_process_of_its_own() -> None:
    with serving(digit) as port:
        report = apply_load(a_plan(port))

    assert isinstance(report, LoadReport)
    assert report.requests > 0
    assert report.wrong == report.errors == 0


def test_a_server_that_is_not_there_fails_the_load() -> None:
    with serving(digit) as port:
        pass

    with pytest.raises(LoadError, match="refused"):
        apply_load(a_plan(port))

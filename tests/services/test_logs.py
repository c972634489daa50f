"""Logs: a line per event that carries what it is about, for people or for programs."""

import json
import logging
import threading
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

from services.jobs.record import JobState
from services.logs import LogFormat, about, configure_logging, log_end
from tests.services.samples import a_job

_log = logging.getLogger("tests.logs")


@pytest.fixture(autouse=True)
def _own_root() -> Iterator[None]:
    """Handlers of the root logger are those of the test."""
    root = logging.getLogger()
    before, root.handlers, level = root.handlers, [], root.level
    yield
    logging.captureWarnings(False)
    root.handlers = before
    root.setLevel(level)


def _lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().err.splitlines()


def _objects(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in _lines(capsys)]


def test_a_line_of_text_ends_with_its_facts(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", "text", process="worker", chip="chip-1")

    with about(job="j1", user="ada"):
        _log.warning("slow: %d s", 3)

    [line] = _lines(capsys)
    assert line[:2] == "20"
    assert line.endswith("Z WARNING tests.logs: slow: 3 s [chip=chip-1 job=j1 user=ada]")


def test_a_line_for_programs_is_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", "json", process="worker", chip="chip-1")

    with about(job="j1", user="ada"):
        _log.warning("slow: %d s", 3)

    [line] = _objects(capsys)
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "warning",
        "logger": "tests.logs",
        "message": "slow: 3 s",
        "process": "worker",
        "chip": "chip-1",
        "job": "j1",
        "user": "ada",
    }


def test_a_traceback_is_part_of_its_object(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", "json")

    try:
        int("why")
    except ValueError:
        _log.exception("failed")

    [line] = _objects(capsys)
    assert line["error"].startswith("Traceback")
    assert "ValueError: invalid literal" in line["error"]


def test_facts_nest_and_end_with_their_context_and_stay_in_their_thread(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logging("info", "json")

    with about(job="j1"):
        with about(user="ada"):
            _log.info("within")
            other = threading.Thread(target=_log.info, args=["elsewhere"])
            other.start()
            other.join()
        _log.info("around")
    _log.info("after")

    said = {line["message"]: (line.get("job"), line.get("user")) for line in _objects(capsys)}
    assert said == {
        "within": ("j1", "ada"),
        "elsewhere": (None, None),
        "around": ("j1", None),
        "after": (None, None),
    }


@pytest.mark.parametrize("form", ["text", "json"])
def test_what_a_client_sent_cannot_pass_for_a_line_of_its_own(
    capsys: pytest.CaptureFixture[str], form: LogFormat
) -> None:
    configure_logging("info", form)

    _log.info("no model %s", "x\n2026-01-01T00:00:00.000Z INFO worker: job j1: succeeded\r\x1b[2J")

    [line] = _lines(capsys)
    assert line.isprintable()


def test_warnings_of_libraries_are_lines_too(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", "json")

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(False)
        logging.captureWarnings(True)
        warnings.warn("privileges", stacklevel=1)

    [line] = _objects(capsys)
    assert (line["level"], line["logger"]) == ("warning", "py.warnings")


def test_an_end_carries_its_job_and_user_and_a_failure_its_reason(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logging("info", "json")
    job = a_job(user="ada")

    log_end(job, JobState.SUCCEEDED)
    log_end(job, JobState.FAILED, {"code": "chip_failed", "message": "the cable"}, ValueError("loose"))

    succeeded, failed = _objects(capsys)
    assert (succeeded["job"], succeeded["user"], succeeded["level"]) == (job.id, "ada", "info")
    assert (failed["level"], failed["message"]) == (
        "error",
        f"job {job.id}: failed (chip_failed: the cable)",
    )
    assert failed["error"].endswith("ValueError: loose")

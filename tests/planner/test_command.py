"""The command `hxserve plan`: its questions, what a service measured, and what it shows and draws."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from hxserve.cli import cli
from hxserve.jobs import Job
from hxserve_planner.measured_costs import calls_pace, operation_pace, training_pace
from tests.client.records import trained
from tests.client.service import TOKEN, Reply, Service

Run = Callable[..., Result]

_SMALL = ("--hours", "0.2", "--start-hour", "10", "--recipe", "notebook", "--dataset", "digits")


def _call(size: int, count: int, seconds: float) -> dict[str, Any]:
    return {"batch_size": size, "compute_infer": {"count": count, "ns": round(count * seconds * 1e9)}}


def _model(*batches: dict[str, Any]) -> dict[str, Any]:
    return {"name": "digits", "version": "1", "batch_stats": list(batches)}


def _training(chip_s: float, **params: Any) -> dict[str, Any]:
    asked = {"recipe": "notebook", "dataset": "digits", "execution": None} | params
    return trained() | {
        "params": asked,
        "metrics": {"steps_total": 40},
        "chip_time_s": chip_s,
        "provenance": {"backend": "mock"},
    }


def _session(operations: int, chip_s: float) -> dict[str, Any]:
    return trained() | {"kind": "program", "result": {"operations": operations}, "chip_time_s": chip_s}


@pytest.fixture
def run() -> Run:
    """Runs the command where no service is."""

    def run(*arguments: str, **environment: str) -> Result:
        return CliRunner(env=environment).invoke(cli, ["plan", *arguments])

    return run


def test_a_plan_needs_no_service_and_says_what_it_assumes(run: Run) -> None:
    result = run("--chips", "3", "--users", "40", *_SMALL)

    assert result.exit_code == 0, result.stderr
    assert "assumed: a chip call takes 0.5 ms" in result.stdout
    assert "refused" in result.stdout


def test_json_is_one_document_with_every_part(run: Run) -> None:
    result = run("--chips", "2", "--letters-per-hour", "5000", "--seed", "4", "--json", *_SMALL)

    answer = json.loads(result.stdout)
    assert (answer["chips"], answer["seed"], answer["plot"]) == (2, 4, None)
    assert {"utilisation", "crops", "letters", "trainings", "day", "levels", "holds", "assumptions"} <= set(
        answer
    )


def test_the_day_is_drawn_into_a_file(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "day.png"

    result = run("--letters-per-hour", "5000", "--plot", str(path), *_SMALL)

    assert f"Drawn in {path}." in result.stdout
    assert path.read_bytes().startswith(b"\x89PNG")


def test_what_is_sought_is_found_and_drawn(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "capacity.png"

    result = run(
        *("--chip", "hxtorch", "--allow-transfer", "--letters-per-hour", "300000", "--users", "0"),
        *("--find", "chips", "--start-hour", "19", "--hours", "0.1", "--plot", str(path)),
    )

    assert result.exit_code == 0, result.stderr
    assert "are the fewest that hold the levels" in result.stdout
    assert path.stat().st_size > 10_000


def test_paces_are_those_that_the_service_measured(service: Service, run: Run) -> None:
    service.answers["GET", "/v1/chip"] = Reply(document={"chips": [{"id": "chip-1", "backend": "mock"}]})
    service.answers["GET", "/v2/models/stats"] = Reply(
        document={"model_stats": [_model(_call(1, 50, 0.003), _call(101, 50, 0.013))]}
    )
    service.answers["GET", "/v1/jobs"] = Reply(document={"jobs": [_training(8.0)], "next_cursor": None})

    result = run(*_SMALL, HXSERVE_URL=service.url, HXSERVE_TOKEN=TOKEN)

    assert "a chip call takes 2.9 ms and 0.1 ms per crop (measured)" in result.stdout
    assert "in mini-batches of 200 ms (measured)" in result.stdout


def test_a_service_of_other_chips_and_assumed_paces_measure_nothing(service: Service, run: Run) -> None:
    service.answers["GET", "/v1/chip"] = Reply(document={"chips": [{"id": "chip-1", "backend": "mock"}]})
    environment = {"HXSERVE_URL": service.url, "HXSERVE_TOKEN": TOKEN}

    other = run("--chip", "hxtorch", *_SMALL, **environment)
    asked = len(service.requests)
    assumed = run("--assumed", *_SMALL, **environment)

    assert "(measured)" not in other.stdout + assumed.stdout
    assert len(service.requests) == asked


def test_an_address_that_is_given_must_answer(run: Run) -> None:
    result = run(*_SMALL, "--url", "http://127.0.0.1:9", "--token", "x")

    assert result.exit_code == 3


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--chips", "0"), 2, "--chips"),
        (("--letters-per-hour", "-1"), 2, "--letters-per-hour"),
        (("--find", "chips", "--chips", "4"), 2, "leave --chips out"),
        (("--users", "0"), 1, "nothing asks for the chips"),
        (("--user-chip-seconds-per-day", "lots"), 2, "neither `unlimited` nor a number"),
        (
            ("--find", "letters", "--chip", "hxtorch", "--p99-ms", "1", "--users", "0", *_SMALL),
            1,
            "letters per hour: p99_ms",
        ),
    ],
)
def test_what_makes_no_sense_is_told(run: Run, arguments: tuple[str, ...], code: int, said: str) -> None:
    result = run(*arguments)

    assert result.exit_code == code
    assert said in " ".join(result.stderr.split())


def test_profiles_come_from_a_file(run: Run, tmp_path: Path) -> None:
    profiles, wrong = tmp_path / "profiles.json", tmp_path / "wrong.json"
    profiles.write_text(json.dumps({"users": [0.0] * 23 + [1.0]}))
    wrong.write_text(json.dumps({"people": []}))

    by_day = run("--json", "--profiles", str(profiles), *_SMALL)
    refused = run("--profiles", str(wrong), *_SMALL)

    assert json.loads(by_day.stdout)["crops"]["read"] == 0
    assert refused.exit_code == 1
    assert "24 numbers" in refused.stderr


def test_calls_of_one_size_or_too_few_tell_no_pace() -> None:
    assert calls_pace([_model(_call(1, 500, 0.003))]) == {}
    assert calls_pace([_model(_call(1, 3, 0.003), _call(9, 4, 0.004))]) == {}


def test_operations_are_as_long_as_those_of_the_services_programs() -> None:
    sessions = [Job.from_record(_session(*each)) for each in ((300, 0.9), (100, 0.5), (0, 0.0))]

    assert operation_pace(sessions) == {"operation_s": pytest.approx(1.4 / 400)}
    assert operation_pace(sessions[2:]) == {}
    assert operation_pace([Job.from_record(_session(19, 0.1))]) == {}


def test_programs_are_planned_with_what_crops_and_trainings_lose(run: Run) -> None:
    programs = ("--programs", "3", *_SMALL, "--hours", "0.05")
    result = run(*programs, "--operation-ms", "4", "--operation-ms", "2", "--program-home-ms", "8")
    answer = json.loads(run(*programs, "--json").stdout)

    said = " ".join(result.stdout.split())
    assert "the operations of a program take 4, 2 ms of a chip in turn (given)" in said
    assert "it computes 8 ms at home on average" in said
    assert "times as long as one alone" in said
    assert "users' crops p99" in said.partition("without programs")[2]
    assert answer["programs_at_once"] == 3
    assert answer["programs"]["operations_per_second"] > 0
    assert answer["without_programs"]["users_answer_ms"]["p99"] > 0


def test_trainings_of_another_kind_do_not_count() -> None:
    records = [_training(4.0), _training(8.0), _training(6.0), _training(99.0, recipe="strong")]
    jobs = [Job.from_record(record) for record in records]

    assert training_pace(jobs, "mock", "notebook", "digits", None) == {"step_s": 0.15}
    assert training_pace(jobs, "hxtorch", "notebook", "digits", None) == {}

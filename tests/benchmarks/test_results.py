import json
import math
from collections.abc import Mapping
from pathlib import Path

import pytest

from benchmarks.__main__ import GROUPS, main
from benchmarks.context import Context, MeasurementError
from benchmarks.results import Group, Ratio, Target, run_groups, summarise, table, write_results

CONTEXT = Context(seconds=1.0, mnist=None)


def test_a_failing_group_does_not_stop_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    def fail(context: Context) -> Mapping[str, Ratio]:
        raise MeasurementError(f"nothing answers for {context.seconds} s")

    def measure(context: Context) -> Mapping[str, Ratio]:
        return {"b.x": Ratio(context.seconds)}

    groups = {
        "a": Group({"a.x": Target(1, "higher")}, fail),
        "b": Group({"b.x": Target(1, "higher")}, measure),
    }

    outcome = run_groups(groups, CONTEXT)

    assert outcome.failed == ["a"]
    assert list(outcome.ratios) == ["b.x"]
    assert "nothing answers for 1.0 s" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("value", "target", "ok"),
    [
        (5.0, Target(5, "higher"), True),
        (4.9, Target(5, "higher"), False),
        (1.0, Target(1, "lower"), True),
        (1.1, Target(1, "lower"), False),
        (math.nan, Target(1, "lower"), False),
    ],
)
def test_a_value_is_ok_when_it_is_as_good_as_its_target(value: float, target: Target, ok: bool) -> None:
    summary = summarise({"x": Ratio(value)}, {"x": target})

    assert summary["x"]["ok"] is ok


def test_the_file_holds_machine_and_ratios_as_strict_json(tmp_path: Path) -> None:
    path = tmp_path / "results" / "latest.json"
    targets = {"x": Target(2, "higher"), "y": Target(1, "lower")}

    write_results(path, {"cores": 2}, summarise({"x": Ratio(3.0, {"a": 1}), "y": Ratio(math.inf)}, targets))

    assert json.loads(path.read_text()) == {
        "machine": {"cores": 2},
        "ratios": {
            "x": {"value": 3.0, "target": 2, "better": "higher", "ok": True, "detail": {"a": 1}},
            "y": {"value": None, "target": 1, "better": "lower", "ok": False, "detail": {}},
        },
    }


def test_the_table_shows_every_figure_of_a_detail() -> None:
    summary = summarise({"x": Ratio(3.14159, {"ours": {"p50_ms": 1.23456}})}, {"x": Target(2, "higher")})

    lines = table(summary).splitlines()

    assert lines[0].split() == ["name", "value", "target", "better", "ok", "detail"]
    assert lines[1].split() == ["x", "3.14", "2", "higher", "yes", "ours.p50_ms=1.235"]


def test_an_unknown_group_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--only", "serving,trainings"]) == 2
    assert "no group trainings; there are: serving, training" in capsys.readouterr().err


def test_every_name_belongs_to_one_group_and_stands_in_the_documentation() -> None:
    names = [name for group in GROUPS.values() for name in group.targets]
    documentation = (Path(__file__).parents[2] / "benchmarks" / "README.md").read_text()

    assert len(names) == len(set(names))
    assert [name for name in names if f"`{name}`" not in documentation] == []

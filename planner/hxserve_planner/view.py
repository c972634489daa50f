"""Progress and result of `plan` at a terminal."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from hxserve.cli.console import show_facts, show_line, show_table
from hxserve.phrases import duration, percent
from hxserve.progress import progress_bar


@contextmanager
def plan_progress() -> Iterator[Callable[[float], None]]:
    """Give a function that shows the part that is done, 0..1."""
    with progress_bar() as bar:
        task = bar.add_task("simulating", total=1.0)
        bar.start()
        yield lambda part: bar.update(task, completed=part)


def show_plan(answer: Mapping[str, Any]) -> None:
    """Show an answer: the value found, the levels, the day, and the assumptions."""
    if "find" in answer:
        show_line(_found(answer))
        show_line()
    crops, letters, trainings, use = (
        answer["crops"],
        answer["letters"],
        answer["trainings"],
        answer["utilisation"],
    )
    flooded = answer["long_share_under_flood"]
    show_facts(
        {
            "chips": f"{answer['chips']:,}, busy {percent(use['all'])}: {_uses(use)}",
            "busiest hour": f"{percent(use['busiest_hour']['all'])}, {use['busiest_hour']['hour']:g} h after the start",
            "users' crops": _times(crops["users"]),
            "letters' crops": _times(crops["letters"]),
            "letters": _letters(letters),
            "programs": _programs(answer),
            "trainings": _trainings(trainings),
            "refused": _refused(crops["refused"], answer["programs"]["refused"], trainings["refused"]),
            "under flood": f"trainings keep {percent(flooded)} of the chips' time"
            if flooded is not None
            else None,
            "without programs": _without_programs(answer),
        }
    )
    show_line()
    show_table(
        ["level", "wanted", "found", "holds"],
        [
            [name, f"{level['wanted']:g}", _number(level["found"]), "yes" if level["holds"] else "no"]
            for name, level in answer["levels"].items()
        ],
        right=["wanted", "found"],
    )
    show_line()
    for assumption in answer["assumptions"]:
        show_line(f"assumed: {assumption}")


def _uses(use: Mapping[str, Any]) -> str:
    names = {
        "crops": "crops",
        "programs": "programs",
        "long": "trainings",
        "care": "care",
        "around": "in between",
    }
    return ", ".join(f"{name} {percent(use[key])}" for key, name in names.items())


def _found(answer: Mapping[str, Any]) -> str:
    found = answer["find"]
    match found["what"]:
        case "chips":
            return f"{found['found']:,.0f} chip(s) are the fewest that hold the levels."
        case "letters":
            return f"{found['found']:,.0f} letters per hour, in the busiest hour, are the most that hold the levels."
        case "users":
            return f"{found['found']:,.0f} users are the most that hold the levels."
        case _:
            return f"{found['found']:g} trainings per user and day are the most that hold the levels."


def _times(crops: Mapping[str, Any]) -> str | None:
    if crops["answer_ms"] is None:
        return None
    waiting, answer = (
        ", ".join(f"{rank} {duration(ms / 1000)}" for rank, ms in crops[key].items())
        for key in ("waiting_ms", "answer_ms")
    )
    return f"wait {waiting}; answered after {answer}"


def _letters(letters: Mapping[str, Any]) -> str | None:
    if not letters["count"]:
        return None
    hurried = f", {percent(letters['hurried'])} without time for a second look" if letters["hurried"] else ""
    stood = f", {letters['held_up']:,} held up by a full belt" if letters["held_up"] else ""
    in_time = f"{percent(letters['met_deadline'])} decided within {letters['deadline_s']:g} s"
    return f"{letters['count']:,}, {in_time}{hurried}{stood}"


def _programs(answer: Mapping[str, Any]) -> str | None:
    programs = answer["programs"]
    if programs["slowdown"] is None:
        return None
    each = ", ".join(f"{rank} {duration(ms / 1000)}" for rank, ms in programs["answer_ms"].items())
    return (
        f"{programs['operations_per_second_busiest']:g} operations/s in their busiest hour, answered after {each}; "
        f"a program takes {programs['slowdown']:.3g} times as long as one alone"
    )


def _without_programs(answer: Mapping[str, Any]) -> str | None:
    without = answer["without_programs"]
    if without is None:
        return None
    pairs = (
        ("users' crops p99", answer["crops"]["users"]["answer_ms"], without["users_answer_ms"], "p99", 1000),
        ("letters p99", answer["letters"]["latency_ms"], without["letters_latency_ms"], "p99", 1000),
        (
            "trainings end after",
            answer["trainings"]["completion_s"],
            without["trainings_completion_s"],
            "p50",
            1,
        ),
    )
    said = [
        f"{name} {duration(before[rank] / parts)} instead of {duration(now[rank] / parts)}"
        for name, now, before, rank, parts in pairs
        if now and before
    ]
    return ", ".join(said) or None


def _trainings(trainings: Mapping[str, Any]) -> str | None:
    if not trainings["submitted"]:
        return None
    parts = [f"{trainings['submitted']:,} submitted, {trainings['finished_per_day']:,.0f} finished a day"]
    if trainings["unfinished"]:
        parts.append(f"{trainings['unfinished']:,} unfinished at the end")
    for key, said in (("waiting_s", "begin"), ("completion_s", "end")):
        times = trainings[key]
        if times:
            parts.append(f"{said} after {duration(times['p50'])} (p95 {duration(times['p95'])})")
    return "; ".join(parts)


def _refused(crops: Mapping[str, int], operations: Mapping[str, int], trainings: Mapping[str, int]) -> str:
    said = [f"{count:,} requests ({why})" for why, count in crops.items()]
    said += [f"{count:,} operations ({why})" for why, count in operations.items()]
    said += [f"{count:,} trainings ({why})" for why, count in trainings.items()]
    return ", ".join(said) or "nothing"


def _number(value: float | None) -> str:
    return "nothing came" if value is None else f"{value:.4g}"

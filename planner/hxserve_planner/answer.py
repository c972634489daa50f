"""The result of a simulated day, as one document; docs/capacity.md explains its keys."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from hxserve_planner.assumptions import assumptions
from hxserve_planner.costs import Costs
from hxserve_planner.question import Question
from hxserve_planner.simulation import Simulated, simulate
from hxserve_planner.statistics import CHIP_USES, IntervalStatistics, Statistics, percentiles

_RANKS: Final = (50, 95, 99)
_CURVE: Final = tuple(range(0, 101, 2))


def answer_of(question: Question, on_progress: Callable[[float], None] = lambda _: None) -> dict[str, Any]:
    """Simulate a question and compile the whole answer, with what others have without its programs."""
    runs = 2 if _is_shared(question) else 1
    answer = describe(simulate(question, lambda part: on_progress(part / runs)))
    return {
        **answer,
        "without_programs": without_programs(question, lambda part: on_progress((1 + part) / runs)),
    }


def without_programs(
    question: Question, on_progress: Callable[[float], None] = lambda _: None
) -> dict[str, Any] | None:
    """Return what crops and trainings have where the programs stay away; None if there are only programs, or none."""
    if not _is_shared(question):
        return None
    answer = describe(simulate(question.model_copy(update={"programs": 0}), on_progress))
    return {
        "users_answer_ms": answer["crops"]["users"]["answer_ms"],
        "letters_latency_ms": answer["letters"]["latency_ms"],
        **{
            f"trainings_{name}": answer["trainings"][name]
            for name in ("finished", "waiting_s", "completion_s")
        },
    }


def _is_shared(question: Question) -> bool:
    return bool(question.programs and (question.letters_per_hour or question.asks_users))


def describe(simulated: Simulated) -> dict[str, Any]:
    """Compile the whole answer; times in ms for crops and letters, in s for trainings, shares 0..1."""
    question, statistics = simulated.question, simulated.statistics
    answer: dict[str, Any] = {
        "chips": question.chips,
        "users": question.users,
        "letters_per_hour": question.letters_per_hour,
        "trainings_per_user_per_day": question.trainings_per_user_per_day,
        "programs_at_once": question.programs,
        "hours": question.hours,
        "start_hour": question.start_hour,
        "backend": question.backend,
        "seed": question.seed,
        "utilisation": _utilisation(question, statistics.intervals),
        "crops": _crops(statistics.intervals),
        "letters": _letters(question, statistics.intervals),
        "programs": _programs(question, simulated.costs, statistics.intervals),
        "trainings": _trainings(question, simulated.costs, statistics),
        "long_share_under_flood": _flooded(statistics.intervals),
        "day": [_hour(question, interval) for interval in statistics.intervals],
        "assumptions": assumptions(question, simulated),
        "simulation": {
            "units": statistics.units,
            "detailed_s": round(simulated.detailed_s, 3),
            "long_quantum_s": round(simulated.long_quantum_s, 3),
        },
    }
    answer["levels"] = judge(question, answer)
    answer["holds"] = all(level["holds"] for level in answer["levels"].values())
    return answer


def judge(question: Question, answer: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Judge each requested level: the value found, and whether it holds; a level without load holds."""
    levels, crops, letters, trainings = (
        question.levels,
        answer["crops"],
        answer["letters"],
        answer["trainings"],
    )
    sent = crops["users"] if crops["users"]["answer_ms"] else crops["letters"]
    p99 = sent["answer_ms"]["p99"] if sent["answer_ms"] else None
    waited, done = trainings["waiting_s"], trainings["completion_s"]
    found: dict[str, tuple[float | None, float | None, bool]] = {
        "p99_ms": (levels.p99_ms, p99, True),
        "deadline_met": (levels.deadline_met, letters["met_deadline"], False),
        "hurried": (levels.hurried, letters["hurried"], True),
        "training_wait_min": (levels.training_wait_min, waited and waited["p95"] / 60, True),
        "training_done_min": (levels.training_done_min, done and done["p95"] / 60, True),
        "refused": (levels.refused, max(crops["refused_share"], trainings["refused_share"]), True),
    }
    return {
        name: {
            "wanted": wanted,
            "found": None if value is None else _round(value),
            "holds": value is None or (value <= wanted if is_most else value >= wanted),
        }
        for name, (wanted, value, is_most) in found.items()
        if wanted is not None
    }


def _utilisation(question: Question, intervals: Sequence[IntervalStatistics]) -> dict[str, Any]:
    by_hour = [_shares(question, interval) for interval in intervals]
    lengths = np.array([interval.seconds for interval in intervals])
    mean = {use: float(np.average([shares[use] for shares in by_hour], weights=lengths)) for use in CHIP_USES}
    busy = [sum(shares.values()) for shares in by_hour]
    busiest = int(np.argmax(busy))
    return {
        "all": _round(sum(mean.values())),
        **{use: _round(share) for use, share in mean.items()},
        "busiest_hour": {"hour": _round(intervals[busiest].hour), "all": _round(busy[busiest])},
    }


def _shares(question: Question, interval: IntervalStatistics) -> dict[str, float]:
    """Use of the chips' time in an interval: long work over all of it, the rest over the simulated window."""
    watched_s = question.chips * interval.watched_s
    shares = {use: spent_s / watched_s if watched_s > 0 else 0.0 for use, spent_s in interval.spent_s.items()}
    if interval.watched_s < interval.seconds:
        rest = sum(share for use, share in shares.items() if use != "long")
        shares["long"] = min(interval.long_s / (question.chips * interval.seconds), max(0.0, 1 - rest))
    return {str(use): share for use, share in shares.items()}


def _crops(intervals: Sequence[IntervalStatistics]) -> dict[str, Any]:
    requests = sum(s.requests * s.weight for s in intervals)
    refused: Counter[str] = Counter()
    for interval in intervals:
        for why, count in interval.refused.items():
            refused[why] += round(count * interval.weight)
    return {
        "users": {
            "waiting_ms": _ms(intervals, lambda s: s.waited_s),
            "answer_ms": _ms(intervals, lambda s: s.answered_s),
        },
        "letters": {
            "waiting_ms": _ms(intervals, lambda s: s.centre_waited_s),
            "answer_ms": _ms(intervals, lambda s: s.centre_answered_s),
        },
        "read": round(sum(s.crops * s.weight for s in intervals)),
        "refused": dict(refused),
        "refused_share": _round(refused.total() / requests if requests else 0.0),
    }


def _letters(question: Question, intervals: Sequence[IntervalStatistics]) -> dict[str, Any]:
    deadline_s = question.letter_deadline_s
    decided = sum(len(s.letters_s) * s.weight for s in intervals)
    met = sum(sum(age <= deadline_s for age in s.letters_s) * s.weight for s in intervals)
    hurried = sum(s.hurried * s.weight for s in intervals)
    held_up = sum(s.held_up * s.weight for s in intervals)
    return {
        "count": round(decided + held_up),
        "deadline_s": deadline_s,
        "met_deadline": _round(met / (decided + held_up)) if decided + held_up else None,
        "hurried": _round(hurried / decided) if decided else None,
        "held_up": round(held_up),
        "latency_ms": _ms(intervals, lambda s: s.letters_s),
    }


def _programs(question: Question, costs: Costs, intervals: Sequence[IntervalStatistics]) -> dict[str, Any]:
    """Describe the operations; `slowdown` is a forward pass with its times at home over that of a program alone."""
    operations = sum(len(s.operations_s) * s.weight for s in intervals)
    spent_s = sum(sum(s.operations_s) * s.weight for s in intervals)
    busiest = max(intervals, key=lambda s: len(s.operations_s) * s.weight / s.seconds)
    home_s = question.program_home_ms / 1000
    refused: Counter[str] = Counter()
    for interval in intervals:
        for why, count in interval.operations_refused.items():
            refused[why] += round(count * interval.weight)
    return {
        "operations": round(operations),
        "operations_per_second": _round(operations / (question.hours * 3600)),
        "operations_per_second_busiest": _round(len(busiest.operations_s) * busiest.weight / busiest.seconds),
        "answer_ms": _ms(intervals, lambda s: s.operations_s),
        "slowdown": _round((spent_s / operations + home_s) / (costs.operation_s + home_s))
        if operations
        else None,
        "refused": dict(refused),
    }


def _trainings(question: Question, costs: Costs, statistics: Statistics) -> dict[str, Any]:
    refused = sum(statistics.refused.values())
    submitted = sum(interval.trainings for interval in statistics.intervals)
    done = [ended.ended_at - ended.submitted_at for ended in statistics.ended]
    curve = percentiles(done, _CURVE)
    return {
        "submitted": submitted,
        "finished": len(done),
        "finished_per_day": _round(len(done) / question.hours * 24),
        "unfinished": statistics.unfinished,
        "chip_s": _round(costs.training_s),
        # Those that still wait at the end have waited so long at least: left out, an overload would look like none.
        "waiting_s": _named([*statistics.began_s, *statistics.unbegun], (50, 95)),
        "completion_s": _named(done, (50, 95)),
        "completion_curve_s": None if curve is None else [_round(value) for value in curve],
        "refused": dict(statistics.refused),
        "refused_share": _round(refused / submitted if submitted else 0.0),
    }


def _flooded(intervals: Sequence[IntervalStatistics]) -> float | None:
    """Return long work's share of the time with more crops and operations than fit; None without such time."""
    flooded_s = sum(s.flooded_s * s.weight for s in intervals)
    if not flooded_s:
        return None
    return _round(sum(s.flooded_long_s * s.weight for s in intervals) / flooded_s)


def _hour(question: Question, interval: IntervalStatistics) -> dict[str, Any]:
    shares = _shares(question, interval)
    return {
        "hour": _round(interval.hour),
        "utilisation": {use: _round(share) for use, share in shares.items()},
        "users_answer_ms": _ms([interval], lambda s: s.answered_s),
        "letters_latency_ms": _ms([interval], lambda s: s.letters_s),
        "operations_per_second": _round(len(interval.operations_s) * interval.weight / interval.seconds),
        "letters_per_hour": round(
            (len(interval.letters_s) + interval.held_up) * interval.weight * 3600 / interval.seconds
        ),
        "trainings_submitted": interval.trainings,
        "unfinished_jobs": interval.queue_jobs,
        "waiting_crops": interval.queue_crops,
        "refused": sum(interval.refused.values()),
    }


def _ms(
    intervals: Sequence[IntervalStatistics], values_of: Callable[[IntervalStatistics], list[float]]
) -> dict[str, float] | None:
    values = [values_of(interval) for interval in intervals]
    weights = [
        np.full(len(theirs), interval.weight) for theirs, interval in zip(values, intervals, strict=True)
    ]
    found = percentiles([v for theirs in values for v in theirs], _RANKS, np.concatenate(weights))
    return (
        None
        if found is None
        else {f"p{rank}": _round(1000 * v) for rank, v in zip(_RANKS, found, strict=True)}
    )


def _named(values: Sequence[float], ranks: Sequence[int]) -> dict[str, float] | None:
    found = percentiles(values, ranks)
    return None if found is None else {f"p{rank}": _round(v) for rank, v in zip(ranks, found, strict=True)}


def _round(value: float) -> float:
    """Round to four digits, for more are not known."""
    return float(f"{value:.4g}")

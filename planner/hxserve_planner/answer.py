"""What a simulated day comes to, as one document; docs/capacity.md explains its keys."""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from hxserve_planner.costs import Costs
from hxserve_planner.question import Question
from hxserve_planner.simulation import Simulated
from hxserve_planner.tally import DOINGS, StretchTally, Tally, percentiles

_RANKS: Final = (50, 95, 99)
_CURVE: Final = tuple(range(0, 101, 2))


def describe(simulated: Simulated) -> dict[str, Any]:
    """The whole answer; times in ms for crops and letters, in s for trainings, shares 0..1."""
    question, tally = simulated.question, simulated.tally
    answer: dict[str, Any] = {
        "chips": question.chips,
        "users": question.users,
        "letters_per_hour": question.letters_per_hour,
        "trainings_per_user_per_day": question.trainings_per_user_per_day,
        "hours": question.hours,
        "start_hour": question.start_hour,
        "backend": question.backend,
        "seed": question.seed,
        "utilisation": _utilisation(question, tally.stretches),
        "crops": _crops(tally.stretches),
        "letters": _letters(question, tally.stretches),
        "trainings": _trainings(question, simulated.costs, tally),
        "long_share_under_flood": _flooded(tally.stretches),
        "day": [_hour(question, stretch) for stretch in tally.stretches],
        "assumptions": assumptions(question, simulated),
        "simulation": {
            "units": tally.units,
            "detailed_s": round(simulated.detailed_s, 3),
            "long_quantum_s": round(simulated.long_quantum_s, 3),
        },
    }
    answer["levels"] = judge(question, answer)
    answer["holds"] = all(level["holds"] for level in answer["levels"].values())
    return answer


def judge(question: Question, answer: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Each level that is asked for, with what was found and whether it holds; what nobody sends holds."""
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


def assumptions(question: Question, simulated: Simulated) -> list[str]:
    """Everything that the numbers rest on, a sentence each."""
    costs = simulated.costs
    times = (costs.call_s, costs.crop_s, costs.look_s, costs.store_s, max(s.step_s for s in costs.training))
    call, crop, look, store, step = (f"{1000 * seconds:.3g} ms" for seconds in times)
    training = f"a training ({question.recipe}, {question.dataset}) takes {costs.training_s:.3g} s of a chip"
    models = "models stay with the chip they learnt on" if question.bound_to_chips else "any chip reads any"
    said = [
        f"a chip call takes {call} and {crop} per crop ({costs.said['crops']})",
        f"the worker looks for {look} before each unit ({costs.said['look']})",
        f"claiming and storing a batch take {store} ({costs.said['store']})",
        f"{training}, in mini-batches of {step} ({costs.said['trainings']})",
        f"each user reads with a model of their own; {models}",
        "requests, letters and trainings come at random (Poisson), as often as the hour's profile says",
        "the API and Redis keep up; the canary is simulated, nightly calibrations are not; nothing fails",
    ]
    if question.letters_per_hour:
        centres = math.ceil(question.letters_per_hour / question.letters_per_centre - 1e-9)
        said.append(
            f"{centres} letter centre(s), each with {question.connections_per_centre} connections and room for "
            f"{question.buffer_per_centre} letters; {question.crops_per_letter} crops per letter, "
            f"{question.crops_per_second_look} more for {question.second_looks:.0%} of them; no quotas"
        )
    if simulated.detailed_s < 0.999 * question.hours * 3600:
        said.append(
            f"crops were simulated in {simulated.detailed_s:,.0f} s of the time, in a window per hour; trainings in all"
        )
    return said


def _utilisation(question: Question, stretches: Sequence[StretchTally]) -> dict[str, Any]:
    by_hour = [_shares(question, stretch) for stretch in stretches]
    lengths = np.array([stretch.seconds for stretch in stretches])
    mean = {
        doing: float(np.average([shares[doing] for shares in by_hour], weights=lengths)) for doing in DOINGS
    }
    busy = [sum(shares.values()) for shares in by_hour]
    busiest = int(np.argmax(busy))
    return {
        "all": _round(sum(mean.values())),
        **{doing: _round(share) for doing, share in mean.items()},
        "busiest_hour": {"hour": _round(stretches[busiest].hour), "all": _round(busy[busiest])},
    }


def _shares(question: Question, stretch: StretchTally) -> dict[str, float]:
    """What the chips' time went to in a stretch; long work is known of all of it, the rest of what was watched."""
    watched_s = question.chips * stretch.watched_s
    shares = {
        doing: spent_s / watched_s if watched_s > 0 else 0.0 for doing, spent_s in stretch.spent_s.items()
    }
    if stretch.watched_s < stretch.seconds:
        rest = sum(share for doing, share in shares.items() if doing != "long")
        shares["long"] = min(stretch.long_s / (question.chips * stretch.seconds), max(0.0, 1 - rest))
    return {str(doing): share for doing, share in shares.items()}


def _crops(stretches: Sequence[StretchTally]) -> dict[str, Any]:
    requests = sum(s.requests * s.weight for s in stretches)
    refused: Counter[str] = Counter()
    for stretch in stretches:
        for why, count in stretch.refused.items():
            refused[why] += round(count * stretch.weight)
    return {
        "users": {
            "waiting_ms": _ms(stretches, lambda s: s.waited_s),
            "answer_ms": _ms(stretches, lambda s: s.answered_s),
        },
        "letters": {
            "waiting_ms": _ms(stretches, lambda s: s.desk_waited_s),
            "answer_ms": _ms(stretches, lambda s: s.desk_answered_s),
        },
        "read": round(sum(s.crops * s.weight for s in stretches)),
        "refused": dict(refused),
        "refused_share": _round(refused.total() / requests if requests else 0.0),
    }


def _letters(question: Question, stretches: Sequence[StretchTally]) -> dict[str, Any]:
    deadline_s = question.letter_deadline_s
    decided = sum(len(s.letters_s) * s.weight for s in stretches)
    met = sum(sum(age <= deadline_s for age in s.letters_s) * s.weight for s in stretches)
    hurried = sum(s.hurried * s.weight for s in stretches)
    held_up = sum(s.held_up * s.weight for s in stretches)
    return {
        "count": round(decided + held_up),
        "deadline_s": deadline_s,
        "met_deadline": _round(met / (decided + held_up)) if decided + held_up else None,
        "hurried": _round(hurried / decided) if decided else None,
        "held_up": round(held_up),
        "latency_ms": _ms(stretches, lambda s: s.letters_s),
    }


def _trainings(question: Question, costs: Costs, tally: Tally) -> dict[str, Any]:
    refused = sum(tally.refused.values())
    submitted = sum(stretch.trainings for stretch in tally.stretches)
    done = [ended.ended_at - ended.submitted_at for ended in tally.ended]
    curve = percentiles(done, _CURVE)
    return {
        "submitted": submitted,
        "finished": len(done),
        "finished_per_day": _round(len(done) / question.hours * 24),
        "unfinished": tally.unfinished,
        "chip_s": _round(costs.training_s),
        # Those that still wait at the end have waited so long at least: left out, an overload would look like none.
        "waiting_s": _named([*tally.began_s, *tally.unbegun], (50, 95)),
        "completion_s": _named(done, (50, 95)),
        "completion_curve_s": None if curve is None else [_round(value) for value in curve],
        "refused": dict(tally.refused),
        "refused_share": _round(refused / submitted if submitted else 0.0),
    }


def _flooded(stretches: Sequence[StretchTally]) -> float | None:
    """Long work's share of the time in which more crops came than the chips could read; None when that never was."""
    flooded_s = sum(s.flooded_s * s.weight for s in stretches)
    if not flooded_s:
        return None
    return _round(sum(s.flooded_long_s * s.weight for s in stretches) / flooded_s)


def _hour(question: Question, stretch: StretchTally) -> dict[str, Any]:
    shares = _shares(question, stretch)
    return {
        "hour": _round(stretch.hour),
        "utilisation": {doing: _round(share) for doing, share in shares.items()},
        "users_answer_ms": _ms([stretch], lambda s: s.answered_s),
        "letters_latency_ms": _ms([stretch], lambda s: s.letters_s),
        "letters_per_hour": round(
            (len(stretch.letters_s) + stretch.held_up) * stretch.weight * 3600 / stretch.seconds
        ),
        "trainings_submitted": stretch.trainings,
        "unfinished_jobs": stretch.queue_jobs,
        "waiting_crops": stretch.queue_crops,
        "refused": sum(stretch.refused.values()),
    }


def _ms(
    stretches: Sequence[StretchTally], values_of: Callable[[StretchTally], list[float]]
) -> dict[str, float] | None:
    values = [values_of(stretch) for stretch in stretches]
    weights = [
        np.full(len(theirs), stretch.weight) for theirs, stretch in zip(values, stretches, strict=True)
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
    """Four digits, for more are not known."""
    return float(f"{value:.4g}")

"""The result of a run, in the terms of letter sorting.

read rate = routed / all; error rate = routed to a wrong region / routed; postcode error rate = routed with any of the
five digits wrong / routed; reject rate = rejected to manual coding / all. A letter decided on too late is rejected.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

from hxserve_letters.belts import Pace
from hxserve_letters.coding import Coded
from hxserve_letters.decisions import Decision, Reason
from hxserve_letters.run import Run

_PER_HOUR: Final = 3600


def rates_of(decisions: Sequence[Decision]) -> dict[str, float]:
    """Compute the rates of some letters, 0..1; of none routed, the error rates are 0."""
    count, routed = len(decisions), [decision for decision in decisions if decision.route is not None]
    return {
        "read_rate": _share(len(routed), count),
        "error_rate": _share(sum(decision.is_wrong for decision in routed), len(routed)),
        "postcode_error_rate": _share(sum(decision.is_misread for decision in routed), len(routed)),
        "reject_rate": _share(count - len(routed), count),
    }


def summarise(run: Run, pace: Pace) -> dict[str, Any]:
    """Compile the whole report as one document: rates 0..1, times in s or ms, rates of work per s or h."""
    decisions = run.decisions
    speed = _share(len(decisions), run.elapsed_s)
    return {
        "count": len(decisions),
        **rates_of(decisions),
        "threshold": run.threshold,
        "rejects": dict(Counter(str(decision.reason) for decision in decisions if decision.reason)),
        "letters_per_s": speed,
        "letters_per_h": speed * _PER_HOUR,
        "crops": run.crops,
        "digits_per_s": _share(run.crops, run.elapsed_s),
        "second_looks": _share(sum(decision.looks > 1 for decision in decisions), len(decisions)),
        "deadline_s": pace.deadline_s,
        "missed_deadlines": sum(decision.reason is Reason.LATE for decision in decisions),
        "latency_ms": _latencies(decisions) if pace.deadline_s is not None else None,
        "refused_requests": run.refused,
        "paused_s": run.paused_s,
        "stalled_s": run.stalled_s,
        "starved_s": run.starved_s,
        "machines": [_of_machine(run, pace, machine) for machine in range(pace.machines)],
        **run.origin,
    }


def summarise_desk(run: Run, coded: Coded) -> dict[str, Any]:
    """Compile the part of the report on the coding desk; `routed_rate` is of all letters, by reader or coder."""
    read = sum(decision.route is not None for decision in run.decisions)
    return asdict(coded) | {"routed_rate": _share(read + coded.keyed, len(run.decisions))}


def _of_machine(run: Run, pace: Pace, machine: int) -> dict[str, Any]:
    own = [decision for decision in run.decisions if decision.machine == machine]
    report: dict[str, Any] = {"machine": machine + 1, "count": len(own), **rates_of(own)}
    report["letters_per_h"] = _share(len(own) * _PER_HOUR, run.elapsed_s)
    report["missed_deadlines"] = sum(decision.reason is Reason.LATE for decision in own)
    if pace.deadline_s is not None:
        report["latency_ms"] = _latencies(own)
    return report


def _latencies(decisions: Sequence[Decision]) -> dict[str, float]:
    """Return nearest-rank percentiles, in ms."""
    ordered = sorted(decision.latency_s * 1000 for decision in decisions)
    if not ordered:
        return {}
    return {
        "p50": round(ordered[(len(ordered) - 1) // 2], 1),
        "p99": round(ordered[int(0.99 * (len(ordered) - 1))], 1),
        "max": round(ordered[-1], 1),
    }


def _share(part: float, whole: float) -> float:
    return round(part / whole, 6) if whole else 0.0

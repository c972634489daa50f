"""Group `plan`: the simulation behind `hxserve plan` beside a running service with the same load."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.context import Context, MeasurementError, say
from benchmarks.plan_trace import (
    MODEL,
    TRAINING,
    Outcome,
    chip_times,
    make_trace,
    run_measured,
    run_simulated,
)
from benchmarks.results import Ratio, Target
from benchmarks.service import Service, real_time_service
from hxserve_planner.costs import Costs, StepBlock
from hxserve_planner.measured_costs import fit_line
from services.scheduling.policy import Policy

TARGETS: Final[Mapping[str, Target]] = {
    f"plan.chips{chips}.largest_error": Target(0.25, "lower") for chips in (1, 2)
}

_SECONDS: Final = 90.0
_ROUNDS: Final = 2
_LONE: Final = 40


def measure(context: Context) -> dict[str, Ratio]:
    """Play a load to one virtual chip in real time, then to two, and to the simulation of each."""
    with context.folder() as folder:
        return {
            f"plan.chips{chips}.largest_error": _compare(folder / f"chips-{chips}", chips, context.seconds)
            for chips in (1, 2)
        }


def _compare(data_dir: Path, chips: int, seconds: float) -> Ratio:
    say(f"{chips} virtual chip(s) in real time: training a model to classify with")
    with real_time_service(data_dir, MODEL, chips=chips) as service:
        rounds = [_play(service, chips, max(_SECONDS, seconds), number) for number in range(_ROUNDS)]
    measured = _together([real for real, _, _ in rounds])
    simulated = _together([foreseen for _, foreseen, _ in rounds])
    ratios = {name: simulated[name] / measured[name] for name in measured}
    return Ratio(
        max(abs(ratio - 1) for ratio in ratios.values()),
        {
            "simulated_over_measured": {name: round(ratio, 3) for name, ratio in ratios.items()},
            "measured": {name: round(value, 4) for name, value in measured.items()},
            "simulated": {name: round(value, 4) for name, value in simulated.items()},
            "rounds": [
                {"measured": _figures(real), "simulated": _figures(foreseen), "costs": _times(costs)}
                for real, foreseen, costs in rounds
            ],
        },
    )


def _play(service: Service, chips: int, seconds: float, number: int) -> tuple[Outcome, Outcome, Costs]:
    """Return a measured load, the same load in simulated time, and the costs measured meanwhile."""
    look_s = _measure_look(service)
    fixed_s = _measure_fixed(service, look_s, number)
    trace = make_trace(seconds, chips, seed=number)
    say(f"{len(trace.requests)} requests and {len(trace.trainings)} trainings, measured")
    calls_before, times_before = _calls(service), chip_times(service)
    real = run_measured(service, trace, number)
    records_s = _spent(times_before, chip_times(service), "records")
    calls = {size: (n, s) for size, (n, s) in _since(calls_before, _calls(service)).items() if n}
    pace = fit_line([(size, seconds / count, count) for size, (count, seconds) in calls.items()])
    if not pace:
        raise MeasurementError("the service reports no times of its chip calls")
    steps = round(sum(real.steps))
    costs = Costs(
        call_s=pace["call_s"],
        crop_s=pace["crop_s"],
        look_s=look_s,
        store_s=records_s / sum(count for count, _ in calls.values()),
        training=(StepBlock(steps // len(real.steps), real.step_s),),
        fixed_s=fixed_s,
        canary_s=0.0,
        said={},
    )
    return real, run_simulated(trace, chips, costs), costs


def _measure_look(service: Service) -> float:
    """Return the median time, in seconds, that a single crop waits for an idle chip."""
    answers = [service.call("POST", service.classify_path(MODEL), bytes(784)) for _ in range(_LONE)]
    return float(np.median([answer["timing"]["waiting_ms"] for answer in answers])) / 1000


def _measure_fixed(service: Service, look_s: float, number: int) -> float:
    """Return the seconds of a training alone besides its mini-batches and the scheduling between its slices."""
    job = service.await_end(service.train(f"alone-{number}", user="alone", **TRAINING))
    ran_s = _seconds(job, "finished_at") - _seconds(job, "started_at")
    chip_s = float(job["chip_time_s"])
    return max(0.0, ran_s - chip_s - look_s * chip_s / Policy().quantum_s)


def _calls(service: Service) -> dict[float, tuple[float, float]]:
    """Return number and total seconds of chip calls by their size in crops."""
    calls: dict[float, tuple[float, float]] = {}
    for model in service.call("GET", "/v2/models/stats")["model_stats"]:
        for batch in model["batch_stats"]:
            count, seconds = calls.get(batch["batch_size"], (0.0, 0.0))
            computed = batch["compute_infer"]
            calls[batch["batch_size"]] = count + computed["count"], seconds + computed["ns"] / 1e9
    return calls


def _since(
    before: Mapping[float, tuple[float, float]], after: Mapping[float, tuple[float, float]]
) -> dict[float, tuple[float, float]]:
    return {
        size: (count - before.get(size, (0, 0))[0], seconds - before.get(size, (0, 0))[1])
        for size, (count, seconds) in after.items()
    }


def _times(costs: Costs) -> dict[str, float]:
    return {
        "call_s": round(costs.call_s, 6),
        "crop_s": round(costs.crop_s, 6),
        "look_s": round(costs.look_s, 6),
        "store_s": round(costs.store_s, 6),
        "step_s": round(costs.training[0].step_s, 5),
        "fixed_s": round(costs.fixed_s, 4),
    }


def _spent(
    before: Mapping[str, Mapping[str, float]], after: Mapping[str, Mapping[str, float]], doing: str
) -> float:
    return sum(after[chip].get(doing, 0.0) - before[chip].get(doing, 0.0) for chip in after)


def _seconds(job: Mapping[str, Any], name: str) -> float:
    return float(np.datetime64(str(job[name]).removesuffix("Z")).astype("datetime64[ms]").astype(int)) / 1000


def _together(outcomes: list[Outcome]) -> dict[str, float]:
    every = Outcome(
        waiting=[x for outcome in outcomes for x in outcome.waiting],
        begun=[x for outcome in outcomes for x in outcome.begun],
        completed=[x for outcome in outcomes for x in outcome.completed],
        busy=float(np.mean([outcome.busy for outcome in outcomes])),
    )
    return _figures(every)


def _figures(outcome: Outcome) -> dict[str, float]:
    crops, trainings = np.array(outcome.waiting), np.array(outcome.completed)
    return {
        "crops_waiting_p50_s": float(np.percentile(crops, 50)),
        "crops_waiting_p95_s": float(np.percentile(crops, 95)),
        "crops_waiting_mean_s": float(crops.mean()),
        "trainings_completion_p50_s": float(np.percentile(trainings, 50)),
        "trainings_completion_p95_s": float(np.percentile(trainings, 95)),
        "utilisation": outcome.busy,
    }

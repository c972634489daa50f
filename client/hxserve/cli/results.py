"""A job's record and result as text."""

from collections.abc import Mapping
from typing import Any, Final

from hxserve.classification import predictions_of
from hxserve.cli.console import show_confusion, show_facts, show_json, show_line, show_table
from hxserve.cli.outcome import Failure
from hxserve.cli.predictions import show_predictions
from hxserve.jobs import Job
from hxserve.phrases import duration, flat, local_time, one_line, percent, standing


def show_submitted(job: Job, *, as_json: bool) -> None:
    """Say that a job was submitted and how to follow it."""
    if as_json:
        show_json(job.record)
        return
    remarks = standing(job)
    subject = f"{job.kind} of {job.model}" if job.model else job.kind
    show_line(f"{subject} submitted: {job.id}" + (f" ({remarks})" if remarks else ""))
    show_line(f"Watch it with `hxserve jobs watch {job.id}`.")


def show_outcome(job: Job, *, as_json: bool) -> None:
    """Show how a job ended.

    Raises:
        Failure: it has no result.
    """
    if as_json:
        show_json(job.record)
    else:
        _show_result(job)
    if job.problem:
        raise Failure((job.error or {}).get("code") or f"job_{job.state}", job.problem)


def show_job_facts(job: Job) -> None:
    """Show everything known of a job."""
    show_facts(
        {
            "job": job.id,
            "kind": job.kind,
            "model": job.model,
            "user": job.user,
            "state": f"{job.state}, {job.progress:.0%}" if job.state == "running" else job.state,
            "remarks": standing(job),
            "submitted": local_time(job.created_at),
            "started": local_time(job.started_at),
            "finished": local_time(job.finished_at),
            "chip time": duration(job.chip_time_s) if job.chip_time_s else None,
            "attempts": job.record.get("attempts"),
            "parameters": flat(job.params),
            "provenance": flat(job.record.get("provenance")),
        }
    )
    _show_result(job)


def _show_result(job: Job) -> None:
    """Show the result so far, by kind of job."""
    epochs = job.metrics.get("epochs")
    if epochs:
        show_table(
            ["epoch", "on", "learning rate", "train loss", "train accuracy", "test loss", "test accuracy"],
            [
                [
                    row["epoch"],
                    row.get("execution"),
                    f"{row['learning_rate']:.3g}",
                    f"{row['train_loss']:.4f}",
                    percent(row["train_accuracy"]),
                    f"{row['test_loss']:.4f}",
                    percent(row["test_accuracy"]),
                ]
                for row in epochs
            ],
            right=["epoch", "learning rate", "train loss", "train accuracy", "test loss", "test accuracy"],
        )
    result = job.result
    if job.kind == "classification" and job.state == "succeeded" and result:
        show_predictions(predictions_of(job))
    confusion = result.get("confusion") or []
    # All zero when a training was cancelled before its first test.
    if any(map(any, confusion)):
        show_confusion(confusion)
    if job.kind == "training" and job.version:
        kind = "Partial version" if result.get("partial") else "Version"
        show_line(
            f"{kind} {job.version} of {job.model}: accuracy {percent(job.accuracy) or 'not measured'} "
            f"on {result.get('dataset', 'its data set')}{_where(result)}, {duration(job.chip_time_s)} of chip time."
        )
        _show_next_steps(job, is_partial=bool(result.get("partial")))
    if job.kind == "upload" and job.version:
        show_line(
            f"Version {job.version} of {job.model}: the service finds the scores of the file's "
            f"{result.get('checked_crops', '?')} check crops, too. Its accuracy is unknown."
        )
        _show_next_steps(job, is_partial=False)
    if job.kind == "import" and result:
        _show_import(result)
    if job.kind == "evaluation" and job.accuracy is not None:
        show_line(
            f"{job.model} version {job.version}: accuracy {percent(job.accuracy)}, "
            f"loss {result.get('loss', float('nan')):.4f} on {result.get('crops', '?')} crops "
            f"of {result.get('dataset', '?')}{_where(result)}."
        )
    if job.kind == "comparison" and result:
        show_comparison(job)
    if job.kind == "staircase" and result:
        show_staircase(job)
    if job.kind == "batch" and result:
        _show_batch(job)
    if job.kind == "program" and result:
        show_line(
            f"{result['operations']} operations on {job.params['chip']}, {duration(job.chip_time_s)} of chip time."
        )
    if job.kind == "calibration" and result:
        show_facts({name.replace("_", " "): value for name, value in result.items()})


def points(share: float) -> str:
    """Format a difference of shares in percentage points."""
    return f"{100 * share:+.2f}"


def show_comparison(job: Job) -> None:
    """Show the figures of a comparison and its verdict."""
    result = job.result
    candidate, present, table = result["candidate"], result["present"], result["table"]
    show_table(
        ["version", "accuracy", "95 %", "right alone", "differs from itself"],
        [
            [
                side["version"],
                percent(side["accuracy"]),
                " to ".join(map(percent, side["interval"])),
                table[alone],
                percent(side["self_disagreement"]),
            ]
            for side, alone in ((candidate, "only_candidate"), (present, "only_present"))
        ],
        right=["version", "accuracy", "right alone", "differs from itself"],
    )
    low, high = result["difference_interval"]
    show_line(
        f"{job.model} version {candidate['version']} against {present['version']}: {points(result['difference'])} "
        f"points (95 %: {points(low)} to {points(high)}), p = {result['p_value']:.2g}, on {result['crops']} crops of "
        f"{result['dataset']}, read {result['repeats']} times{_where(result)}."
    )
    show_line(
        f"Single readings by the two differ in {percent(result['reading_disagreement'])}. "
        f"Verdict: {result['verdict'].replace('_', ' ')}, by a margin of {100 * result['margin']:g} points."
    )


STEPS: Final[Mapping[str, tuple[str, str]]] = {
    "float32": ("float32", "plain layers, no rounding"),
    "quantised": ("quantised", "the chip's integers, without noise"),
    "mock": ("mock", "the same with the chip's measured gain and noise"),
    "chip": ("transferred", "on the chip, as it was learnt"),
    "loop": ("in the loop", "on the chip, after learning there"),
}
"""Names of the steps of a staircase, and what they are."""


def show_staircase(job: Job) -> None:
    """Show the steps of a staircase."""
    result = job.result
    show_table(
        ["step", "version", "accuracy", "95 %", "what"],
        [
            [
                name,
                job.version,
                percent(step["accuracy"]),
                " to ".join(map(percent, step["interval"])),
                meaning,
            ]
            for step in result["steps"]
            for name, meaning in [STEPS.get(step["name"], (step["name"], ""))]
        ],
        right=["accuracy"],
    )
    show_line(f"On {result['crops']} crops of {result['dataset']}{_where(result)}.")


def _show_batch(job: Job) -> None:
    """Show the sums of a batch job, and how to get the answers."""
    result = job.result
    of = "" if result["answered"] == result["crops"] else f" of {result['crops']:,}"
    ended = {"max_chip_s": "; the chip time it was allowed is used up", "cancel": "; it was cancelled"}
    show_table(
        ["digit", "crops"],
        [[digit, f"{count:,}"] for digit, count in enumerate(result["digits"])],
        right=["crops"],
    )
    show_line(
        f"{result['answered']:,}{of} crops read by {job.model} version {job.version}{_where(result)} in "
        f"{result['calls']:,} calls, {duration(result['chip_s'])}{ended.get(result['stopped_by'] or '', '')}."
    )
    if result["unreadable"]:
        show_line(f"{result['unreadable']:,} of them could not be read; the answers say why.")
    show_line(f"Get the answers: `hxserve jobs answers {job.id} -o answers.csv`")


def _show_import(result: Mapping[str, Any]) -> None:
    """Show the version of a data set that was imported."""
    name = f"{result['dataset']}@{result['version']}"
    train, test = (sum(result["counts"][part]) for part in ("train", "test"))
    show_line(f"{name}: {train:,} training and {test:,} test crops.")
    for remark in result["remarks"]:
        show_line(f"remark: {one_line(remark)}")
    show_line(f"Look at it: `hxserve datasets show {name} --sheet sheet.png`")
    show_line(f"Train on it: `hxserve train --dataset {name}`")


def _show_next_steps(job: Job, *, is_partial: bool) -> None:
    """Say what a new version is good for; a partial one must be named, as `latest` does not mean it."""
    name = (job.model or "").rpartition("~")[2]
    options = ("" if name == "digits" else f" --model {name}") + (
        f" --version {job.version}" if is_partial else ""
    )
    show_line(f"Read a picture with it: `hxserve classify{options} PICTURE`")
    if is_partial:
        show_line(f"Learn on from it: `hxserve train --model {name} --start-from {job.version}`")
    else:
        show_line(
            f"Measure it again: `hxserve evaluate{options}`; all versions: `hxserve models show {name}`"
        )


def _where(result: Mapping[str, Any]) -> str:
    """Describe where an accuracy was measured: on which chip, or in which arithmetic."""
    execution = result.get("execution")
    if execution == "chip" and "chip" in result:
        return f" (on {result['chip']}, {result['backend']})"
    return f" ({execution})" if execution else ""

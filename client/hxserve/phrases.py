"""Numbers, times and names as a person reads them."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from hxserve.job_states import Eta
from hxserve.jobs import Job


def one_line(text: object) -> str:
    """Make text of others safe to show: on one line, without control characters."""
    return "".join(c if c.isprintable() else " " for c in str(text)).strip()


def duration(seconds: float) -> str:
    """Format a time span in its natural unit."""
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    if seconds < 172_800:
        return f"{seconds / 3600:.0f} h"
    return f"{seconds / 86_400:.0f} days"


def age(moment: datetime | None) -> str:
    """Format the time since a moment."""
    if moment is None:
        return ""
    return f"{duration(max((datetime.now(UTC) - moment).total_seconds(), 0.0))} ago"


def local_time(moment: datetime | None) -> str:
    """Format a moment in local time."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S") if moment else ""


def percent(share: float | None) -> str:
    """Format a share 0..1 with two decimals."""
    return "" if share is None else f"{share:.2%}"


def remaining(eta: Eta | None) -> str:
    """Describe when a job will be finished; empty if that is not known."""
    if eta is None:
        return ""
    earliest, latest = duration(eta.earliest_s), duration(eta.latest_s)
    return f"done in {earliest}" if earliest == latest else f"done in {earliest} to {latest}"


def turn(position: int) -> str:
    """Describe when an operation of a program runs, by the number of those that go before it."""
    return f"{position} of others go before yours" if position else "yours is next"


def standing(job: Job) -> str:
    """Describe a job in its state."""
    parts = []
    if job.state == "queued" and job.queue:
        parts.append(f"{job.queue.position} of {job.queue.of} in the queue")
    if not job.is_final and job.eta:
        parts.append(remaining(job.eta))
    result = job.result
    if job.kind == "program" and not job.is_final and result.get("waiting"):
        parts.append(f"{result['waiting']} waiting: {turn(result['position'])}")
    if job.cancel_requested and not job.is_final:
        parts.append("to be cancelled")
    if job.error:
        parts.append(one_line(job.error.get("message", "")))
    if job.version and job.kind != "classification":
        partial = "partial " if job.result.get("partial") else ""
        parts.append(f"{partial}version {one_line(job.version)}")
    if job.is_final and job.accuracy is not None:
        parts.append(percent(job.accuracy))
    return ", ".join(parts)


def flat(mapping: Mapping[str, Any] | None) -> str:
    """Format a small mapping in one line; nested ones in brackets."""
    if not mapping:
        return ""
    return one_line(
        ", ".join(
            f"{name} {_brief(value)}" for name, value in mapping.items() if value is not None and value != {}
        )
    )


_USUAL: Final = {"bias": True, "avg": 1, "stride": 1, "padding": 0, "wait_between_events": 5}


def layers(network: Iterable[Mapping[str, Any]]) -> str:
    """Format a network's layers in one line, without settings that have their usual values."""
    parts = []
    for layer in network:
        shown = {key: value for key, value in layer.items() if key != "type" and _USUAL.get(key) != value}
        parts.append(f"{layer['type']} ({flat(shown)})" if shown else layer["type"])
    return one_line(" → ".join(parts))


def _brief(value: object) -> str:
    match value:
        case Mapping():
            return f"({flat(value)})"
        case float():
            return f"{value:.4g}"
        case _:
            return str(value)

"""The report of a run, for people."""

from __future__ import annotations

from typing import Any, Final

from hxserve.cli.console import show_facts, show_line, show_table
from hxserve.phrases import duration, percent

SETS: Final = {"mnist": "MNIST's digits", "digits": "the small digits of scikit-learn"}
"""The data sets that letters are written with."""


def show_report(report: dict[str, Any]) -> None:
    """Show the result of a run: a row per machine, then the total."""
    paced = report["deadline_s"] is not None
    if paced:
        columns = ["machine", "letters", "read", "error", "rejected", "letters/h", "late", "p99"]
        show_table(
            columns,
            [
                [
                    row["machine"],
                    row["count"],
                    percent(row["read_rate"]),
                    percent(row["error_rate"]),
                    percent(row["reject_rate"]),
                    f"{row['letters_per_h']:,.0f}",
                    row["missed_deadlines"],
                    duration(row["latency_ms"].get("p99", 0) / 1000),
                ]
                for row in report["machines"]
            ],
            right=columns,
        )
    latency = report["latency_ms"] or {}
    show_facts(
        {
            "letters": f"{report['count']:,}, {report['letters_per_h']:,.0f} per hour",
            "read rate": f"{percent(report['read_rate'])} routed by their postcodes",
            "error rate": f"{percent(report['error_rate'])} of these to a wrong region; "
            f"{percent(report['postcode_error_rate'])} with any of the five digits wrong",
            "reject rate": f"{percent(report['reject_rate'])}: "
            + ", ".join(f"{count} {reason}" for reason, count in report["rejects"].items()),
            "against": _against_line(report["against"]) if "against" in report else None,
            "coding desk": _desk_line(report["desk"]) if "desk" in report else None,
            "threshold": f"{report['threshold']:.4f}",
            "deadline": f"{report['missed_deadlines']} missed of {report['deadline_s']:g} s "
            f"(p50 {latency.get('p50')} ms, p99 {latency.get('p99')} ms, longest {latency.get('max')} ms)"
            if paced
            else None,
            "speed": f"{report['digits_per_s']:,.0f} digits/s at the API",
            "back-pressure": f"{report['refused_requests']} requests refused for now, "
            f"belts stood {report['stalled_s']:.1f} s, waited for drawing {report['starved_s']:.1f} s",
            "directory": report["directory"],
            "handwriting": SETS[report["handwriting"]]
            + ("" if report["learnt"] in {report["handwriting"], None} else "; the model learnt another one"),
            "read by": f"{report.get('model')} version {report.get('version')} on {report.get('chip')} "
            f"({report.get('backend')})",
        }
    )
    for name in ("plot", "picture"):
        if report[name]:
            show_line(f"Drawn in {report[name]}.")


def _desk_line(desk: dict[str, Any]) -> str:
    return (
        f"{desk['sent']} letters: {desk['keyed']} keyed ({desk['wrong']} to a wrong region), {desk['unreadable']} "
        f"unreadable, {desk['left']} left; {desk['per_hour']:,.0f} an hour; "
        f"{percent(desk['routed_rate'])} of all letters routed with them"
    )


def _against_line(against: dict[str, Any]) -> str:
    low, high = (100 * end for end in against["gain_interval"])
    return (
        f"at an error rate of {percent(against['error_rate'])} on these letters: read rate "
        f"{percent(against['read_rate'])}, version {against['version']} {percent(against['read_rate_against'])}; gain "
        f"{100 * against['gain']:+.2f} points (95 %: {low:+.2f} to {high:+.2f})"
    )

"""Routes of the chip and its use."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final, get_args

from flask import Blueprint, Response, jsonify

from api.application import application
from api.authentication import current_user
from api.documentation import SPEC, answers
from api.representation import iso
from api.schemas import (
    ChipsAnswer,
    DrainBody,
    MinutesAnswer,
    MinutesQuery,
    PatternAnswer,
    ResumeBody,
    SeriesAnswer,
    SeriesQuery,
    UsageAnswer,
)
from services.chips.series import SeriesName
from services.chips.store import ChipRecord
from services.errors import NotFoundError
from services.jobs.record import JobKind

_STATUS: Final = (
    "backend",
    "identifier",
    "calibration",
    "gain",
    "noise_std",
    "self_test",
    "canary",
    "temperature_c",
    "time_s",
)

routes = Blueprint("chip", __name__, url_prefix="/v1")


@routes.get("/chip")
@SPEC.validate(resp=answers(200, ChipsAnswer), tags=["chip"])
def show_chips() -> Response:
    """Show the chips: what they are, who holds them, how their self-test went."""
    return jsonify({"chips": [chip_json(record) for record in application().chips.records()]})


@routes.post("/chip/drain")
@SPEC.validate(json=DrainBody, resp=answers(200, ChipsAnswer, 403, 404, 415), tags=["chip"])
def drain_chip(json: DrainBody) -> Response:
    """Put a chip into maintenance, as an admin.

    Crops are served on. Long work that runs is kept at its next slice and goes on later, or finishes; new long work is
    accepted and waits. It lasts until `resume`, also over restarts.
    """
    maintenance = application().maintenance
    records = maintenance.drain(current_user(), json.chip, json.message, json.running)
    return jsonify({"chips": [chip_json(record) for record in records]})


@routes.post("/chip/resume")
@SPEC.validate(json=ResumeBody, resp=answers(200, ChipsAnswer, 403, 404, 415), tags=["chip"])
def resume_chip(json: ResumeBody) -> Response:
    """End a chip's maintenance, as an admin."""
    records = application().maintenance.resume(current_user(), json.chip)
    return jsonify({"chips": [chip_json(record) for record in records]})


@routes.get("/chip/<chip>/series/<series>")
@SPEC.validate(query=SeriesQuery, resp=answers(200, SeriesAnswer, 404), tags=["chip"])
def show_series(chip: str, series: str, query: SeriesQuery) -> Response:
    """Show a chip's canary or shadow, the newest points, oldest first.

    A point of `canary` has `score_lsb` and `limit_lsb`; one of `shadow` has `crops` and `disagreements`.
    """
    app = application()
    if series not in get_args(SeriesName) or chip not in {record.chip for record in app.chips.records()}:
        raise NotFoundError(f"there is no series {series!r} of a chip {chip!r}; there are canary and shadow")
    name: SeriesName = "canary" if series == "canary" else "shadow"
    return jsonify({"chip": chip, "series": series, "points": app.series.newest(chip, name, query.limit)})


@routes.get("/chip/<chip>/pattern")
@SPEC.validate(resp=answers(200, PatternAnswer, 404), tags=["chip"])
def show_pattern(chip: str) -> Response:
    """Show how far each of a chip's 512 neurons is off, before its calibration and after it.

    All is null when nobody measured it: that is done by a calibration made here.
    """
    app = application()
    if chip not in {record.chip for record in app.chips.records()}:
        raise NotFoundError(f"there is no chip {chip!r}")
    pattern = app.series.pattern(chip) or {"calibrated_at": None, "before_lsb": None, "after_lsb": None}
    return jsonify({"chip": chip, **pattern, "calibrated_at": iso(pattern["calibrated_at"])})


@routes.get("/usage/minutes")
@SPEC.validate(query=MinutesQuery, resp=answers(200, MinutesAnswer), tags=["chip"])
def show_minutes(query: MinutesQuery) -> Response:
    """Show the chip time of each of the last minutes by chip, user and kind.

    Of others than you only admins see the names.
    """
    viewer = current_user()
    minutes = []
    for number, used in application().jobs.usage_by_minute(query.minutes).items():
        seen: Counter[tuple[str, str | None, str]] = Counter()
        for (chip, user, kind), seconds in used.items():
            seen[chip, user if viewer.may_see(user) else None, kind] += seconds  # type: ignore[assignment] # a Counter may hold floats
        parts = [
            {"chip": chip, "user": user, "kind": kind, "seconds": round(seconds, 4)}
            for (chip, user, kind), seconds in seen.items()
        ]
        minutes.append({"at": iso(60.0 * number), "used": parts})
    return jsonify({"minutes": minutes})


@routes.get("/usage")
@SPEC.validate(resp=answers(200, UsageAnswer), tags=["chip"])
def show_usage() -> Response:
    """Show the chip time you were charged, and all users together; admins see each."""
    viewer = current_user()
    used = application().jobs.usage(JobKind)
    all_kinds: Counter[str] = Counter()
    for kinds in used.values():
        all_kinds.update(kinds)
    seen = {user: kinds for user, kinds in used.items() if viewer.may_see(user)}
    return jsonify(
        {
            "users": [{"user": user, **_chip_time(kinds)} for user, kinds in sorted(seen.items())],
            "all": _chip_time(all_kinds),
        }
    )


def _chip_time(kinds: Mapping[str, float]) -> dict[str, Any]:
    return {
        "chip_time_s": {kind: round(seconds, 3) for kind, seconds in sorted(kinds.items())},
        "total_s": round(sum(kinds.values()), 3),
    }


def chip_json(record: ChipRecord) -> dict[str, Any]:
    """A chip as clients see it."""
    status, drain = record.status, record.drain
    return {
        "id": record.chip,
        "state": record.state,
        "holder": record.holder,
        "since": iso(record.since),
        **{name: status.get(name) for name in _STATUS},
        "maintenance": {**asdict(drain), "since": iso(drain.since)} if drain else None,
    }

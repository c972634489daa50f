"""Several services under the same load, in turns, so that all meet the same machine."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from benchmarks.context import MeasurementError
from benchmarks.digits import LabelledCrop
from benchmarks.formats import RAW, Format
from benchmarks.load import LoadPlan, LoadReport, apply_load, build_call, build_request
from benchmarks.processes import Server

_WRONG_SHARE_LIMIT: Final = 0.02
_ERROR_SHARE_LIMIT: Final = 0.001


@dataclass(frozen=True, slots=True)
class Alternative:
    """A running service, the requests for it, and the digits that each must be answered with."""

    name: str
    server: Server
    requests: tuple[bytes, ...]
    answers: tuple[tuple[str, ...], ...]
    answer_pattern: str = RAW.answer_pattern
    renumbered: bool = False
    is_grpc: bool = False

    @classmethod
    def of(
        cls,
        name: str,
        server: Server,
        path: str,
        crops: Sequence[LabelledCrop],
        per_request: int = 1,
        *,
        form: Format = RAW,
        headers: Mapping[str, str] | None = None,
    ) -> Self:
        """Return the service with `per_request` crops in each request; every request starts at another crop."""
        groups = [
            [crops[(first + n) % len(crops)] for n in range(per_request)] for first in range(len(crops))
        ]
        requests = []
        for group in groups:
            body, content = form.encode(b"".join(crop.crop for crop in group))
            build = build_call if form.is_grpc else build_request
            requests.append(build(path, body, headers={**content, **(headers or {})}))
        answers = tuple(tuple(form.encode_digit(crop.digit) for crop in group) for group in groups)
        return cls(name, server, tuple(requests), answers, form.answer_pattern, is_grpc=form.is_grpc)

    def plan(self, clients: int, seconds: float) -> LoadPlan:
        """Return the load of `clients` connections."""
        return LoadPlan(
            port=self.server.grpc_port if self.is_grpc else self.server.port,
            requests=self.requests,
            clients=clients,
            seconds=seconds,
            answer_pattern=self.answer_pattern,
            answers=self.answers,
            renumbered=self.renumbered,
            is_grpc=self.is_grpc,
        )


@dataclass(frozen=True, slots=True)
class Round:
    """One load on one service, and the processor seconds of all its processes and of its API."""

    report: LoadReport
    cpu_s: float
    api_cpu_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Figures:
    """The rounds of one alternative: medians, all errors, and the largest share of wrong digits."""

    requests_per_s: float
    p50_ms: float
    p99_ms: float
    wrong_share: float
    errors: int
    client_cpu: float
    cpu_ms_per_request: float
    api_us_per_request: float
    rounds: int

    def as_detail(self) -> dict[str, Any]:
        """Return the rounded figures for a ratio's detail."""
        return {
            "requests_per_s": round(self.requests_per_s, 1),
            "p50_ms": round(self.p50_ms, 2),
            "p99_ms": round(self.p99_ms, 2),
            "wrong_share": round(self.wrong_share, 4),
            "errors": self.errors,
            "client_cpu": round(self.client_cpu, 3),
            "cpu_ms_per_request": round(self.cpu_ms_per_request, 3),
            "api_us_per_request": round(self.api_us_per_request, 1),
            "rounds": self.rounds,
        }


def side_by_side(
    alternatives: Sequence[Alternative], *, clients: int, seconds: float, rounds: int = 2
) -> dict[str, Figures]:
    """Return figures of each alternative by name; one round of each, then the next round.

    Raises:
        MeasurementError: one answers wrongly or with errors, so that its speed means nothing.
    """
    by_name: dict[str, list[Round]] = {alternative.name: [] for alternative in alternatives}
    for _ in range(rounds):
        for alternative in alternatives:
            by_name[alternative.name].append(measure_round(alternative, clients, seconds))
    return {name: summarise_rounds(name, series) for name, series in by_name.items()}


def measure_round(alternative: Alternative, clients: int, seconds: float) -> Round:
    """Apply one load to one service."""
    server = alternative.server
    before_s, api_before_s = server.cpu_s(), server.cpu_s("api")
    report = apply_load(alternative.plan(clients, seconds))
    return Round(report, server.cpu_s() - before_s, server.cpu_s("api") - api_before_s)


def summarise_rounds(name: str, rounds: Sequence[Round]) -> Figures:
    """Return the figures over several rounds.

    Raises:
        MeasurementError: too many answers are wrong or errors.
    """
    reports = [one.report for one in rounds]
    counted = sum(report.requests for report in reports)
    answered = sum(report.answered for report in reports)
    errors = sum(report.errors for report in reports)
    wrong_share = max(report.wrong_share for report in reports)
    if errors > _ERROR_SHARE_LIMIT * counted:
        first = next(report.first_error for report in reports if report.errors)
        raise MeasurementError(f"{name}: {errors} errors beside {counted} answers; the first: {first}")
    if wrong_share > _WRONG_SHARE_LIMIT:
        raise MeasurementError(f"{name}: {wrong_share:.1%} of the answers are wrong")
    return Figures(
        requests_per_s=statistics.median(report.requests_per_s for report in reports),
        p50_ms=statistics.median(report.p50_ms for report in reports),
        p99_ms=statistics.median(report.p99_ms for report in reports),
        wrong_share=wrong_share,
        errors=errors,
        client_cpu=statistics.median(report.client_cpu for report in reports),
        cpu_ms_per_request=1e3 * sum(one.cpu_s for one in rounds) / answered,
        api_us_per_request=1e6 * sum(one.api_cpu_s for one in rounds) / answered,
        rounds=len(reports),
    )


def details(figures: Mapping[str, Figures]) -> dict[str, Any]:
    """Return the figures of all alternatives for a ratio's detail."""
    return {name: one.as_detail() for name, one in figures.items()}

"""Group `page`: a class that draws, all at once, on the page."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from benchmarks.context import Context, MeasurementError, say
from benchmarks.load import LoadProcess
from benchmarks.load.telephones import TelephonesPlan, TelephonesReport
from benchmarks.results import Ratio, Target
from benchmarks.serving import MODEL, trained_service

TARGETS: Final[Mapping[str, Target]] = {"page.class25.draw_p95_ms": Target(150.0, "lower")}

_TELEPHONES: Final = 25
_WARMUP_S: Final = 2.0


def measure(context: Context) -> dict[str, Ratio]:
    """Measure the time from a drawing to its reading, while a class of 25 draws without a pause.

    Raises:
        MeasurementError: a drawing was refused.
    """
    with context.folder() as folder, trained_service(folder) as trained:
        service = trained.service
        until = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
        body = {"title": "measurement", "seats": _TELEPHONES, "until": until}
        code = str(service.call("POST", "/v1/classes", body)["code"])
        say(f"{_TELEPHONES} telephones draw live for {context.seconds:g} s")
        plan = TelephonesPlan(
            port=service.server.port,
            code=code,
            model=MODEL,
            telephones=_TELEPHONES,
            warmup_s=_WARMUP_S,
            seconds=context.seconds,
            drawings=[each.crop.hex() for each in trained.crops],
        )
        process = LoadProcess("benchmarks.load.telephones", plan.to_json(), _WARMUP_S + context.seconds)
        before_s, before_api_s = service.server.cpu_s(), service.server.cpu_s("api")
        report = TelephonesReport(**json.loads(process.wait()))
        used_s, used_api_s = service.server.cpu_s() - before_s, service.server.cpu_s("api") - before_api_s
    if report.errors or not report.drawn_ms:
        raise MeasurementError(f"{report.errors} drawings were refused, the first: {report.first_error}")
    drawn_ms = sorted(report.drawn_ms)
    return {
        "page.class25.draw_p95_ms": Ratio(
            _quantile(drawn_ms, 0.95),
            {
                "p50_ms": round(_quantile(drawn_ms, 0.5), 1),
                "p99_ms": round(_quantile(drawn_ms, 0.99), 1),
                "drawings_per_s": round(len(drawn_ms) / context.seconds, 1),
                "cpu_ms_per_drawing": round(1000 * used_s / report.drawings, 2),
                "api_cpu_ms_per_drawing": round(1000 * used_api_s / report.drawings, 2),
            },
        )
    }


def _quantile(ordered: Sequence[float], part: float) -> float:
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]

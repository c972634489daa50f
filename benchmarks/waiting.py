"""Part of group `sharing`: whether what waits is told the truth, and what it costs to tell it to many."""

from collections.abc import Mapping
from typing import Final

from benchmarks.context import Context
from benchmarks.dashboards import measure_dashboards
from benchmarks.eta import measure_eta
from benchmarks.ratio import Ratio, Target
from benchmarks.serving import trained_service

TARGETS: Final[Mapping[str, Target]] = {
    "sharing.eta_hit_rate": Target(0.8, "higher"),
    "sharing.listeners500.throughput_kept": Target(0.8, "higher"),
    "sharing.listeners500.api_cores": Target(0.5, "lower"),
}


def measure(context: Context) -> dict[str, Ratio]:
    """All of it, on one service."""
    with context.folder() as folder, trained_service(folder) as trained:
        return {"sharing.eta_hit_rate": measure_eta(trained), **measure_dashboards(context, trained)}

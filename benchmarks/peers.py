"""Group `peers`: hxserve beside model servers that keep nothing, and beside the bare network."""

import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from benchmarks.alternatives import Alternative, Figures, side_by_side
from benchmarks.classifiers import load_classifier
from benchmarks.context import Context, say
from benchmarks.crops import LabelledCrop
from benchmarks.environments import PeerUnavailableError
from benchmarks.peer_services import LITSERVE, MOSEC, Peer, running_peer
from benchmarks.processes import Served
from benchmarks.ratio import Ratio, Target
from benchmarks.serving import TrainedService, throughput_ratio, trained_service

TARGETS: Final[Mapping[str, Target]] = {
    "serving.single1.p50_vs_mosec": Target(1.0, "lower"),
    "serving.single32.throughput_vs_mosec": Target(1.0, "higher"),
    "serving.single64.throughput_vs_mosec": Target(1.0, "higher"),
    "serving.single64.p99_vs_mosec": Target(1.5, "lower"),
    "serving.single32.throughput_vs_litserve": Target(4.0, "higher"),
    "serving.crops64.throughput_vs_mosec": Target(1.0, "higher"),
    "serving.crops64.throughput_vs_network": Target(0.5, "higher"),
}

_MANY: Final = 64
_MANY_CLIENTS: Final = 8


def measure(context: Context) -> dict[str, Ratio]:
    """Whatever peers can be had here; the others are said to be missing."""
    ratios: dict[str, Ratio] = {}
    with context.folder() as folder, trained_service(folder) as trained, ExitStack() as stack:
        many = trained.alternative(_MANY)
        network = _network_crops_per_s(trained.version, trained.crops, context.seconds)
        figures: dict[str, Figures] = {}
        for peer in (MOSEC, LITSERVE):
            try:
                served = stack.enter_context(running_peer(peer, folder, trained.version))
            except PeerUnavailableError as error:
                say(f"skipped: {error}")
                continue
            if peer is MOSEC:
                ratios |= _beside_mosec(context, trained, served)
                theirs = _alternative(peer, served, trained.crops, _MANY)
                say(f"{_MANY_CLIENTS} clients, {_MANY} crops per request: hxserve, mosec")
                figures = side_by_side([many, theirs], clients=_MANY_CLIENTS, seconds=context.seconds)
                ratios["serving.crops64.throughput_vs_mosec"] = throughput_ratio(figures, "hxserve", "mosec")
            else:
                say("32 clients, one crop per request: hxserve, LitServe")
                pair = [trained.alternative(1), _alternative(peer, served, trained.crops, 1)]
                ours_theirs = side_by_side(pair, clients=32, seconds=context.seconds)
                ratios["serving.single32.throughput_vs_litserve"] = throughput_ratio(
                    ours_theirs, "hxserve", "litserve"
                )
        figures = figures or side_by_side([many], clients=_MANY_CLIENTS, seconds=context.seconds)
    crops_per_s = figures["hxserve"].requests_per_s * _MANY
    detail = {"hxserve_crops_per_s": round(crops_per_s), "network_crops_per_s": round(network)}
    ratios["serving.crops64.throughput_vs_network"] = Ratio(crops_per_s / network, detail)
    return ratios


def _beside_mosec(context: Context, trained: TrainedService, served: Served) -> dict[str, Ratio]:
    """One crop per request, with 1, 32 and 64 clients."""
    pair = [trained.alternative(1), _alternative(MOSEC, served, trained.crops, 1)]
    by_clients: dict[int, dict[str, Figures]] = {}
    for clients in (1, 32, 64):
        say(f"{clients} clients, one crop per request: hxserve, mosec")
        by_clients[clients] = side_by_side(pair, clients=clients, seconds=context.seconds)
    one, many = by_clients[1], by_clients[64]
    return {
        "serving.single1.p50_vs_mosec": Ratio(one["hxserve"].p50_ms / one["mosec"].p50_ms, _details(one)),
        "serving.single32.throughput_vs_mosec": throughput_ratio(by_clients[32], "hxserve", "mosec"),
        "serving.single64.throughput_vs_mosec": throughput_ratio(many, "hxserve", "mosec"),
        "serving.single64.p99_vs_mosec": Ratio(many["hxserve"].p99_ms / many["mosec"].p99_ms, _details(many)),
    }


def _details(figures: Mapping[str, Figures]) -> dict[str, object]:
    return {name: one.as_detail() for name, one in figures.items()}


def _alternative(peer: Peer, served: Served, crops: list[LabelledCrop], per_request: int) -> Alternative:
    return Alternative.of(peer.name, served, peer.request, crops, per_request)


def _network_crops_per_s(version: Path, crops: list[LabelledCrop], seconds: float) -> float:
    """What the bare network computes in this process, 64 crops at a time, with one thread."""
    read = load_classifier(version)
    images = b"".join(crop.crop for crop in crops[:_MANY])
    calls, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        read(images)
        calls += 1
    return calls * _MANY / (time.perf_counter() - start)

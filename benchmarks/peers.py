"""Group `peers`: hxserve beside model servers, which store nothing, and beside the bare network."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from benchmarks.alternatives import Alternative, Figures, details, side_by_side
from benchmarks.classifiers import load_classifier
from benchmarks.context import Context, say
from benchmarks.digits import LabelledCrop
from benchmarks.formats import V2_BINARY, V2_GRPC
from benchmarks.peer_services import LITSERVE, MOSEC, TRITON, Peer, PeerUnavailableError, running_peer
from benchmarks.processes import Server
from benchmarks.results import Ratio, Target
from benchmarks.serving import TrainedService, throughput_ratio, trained_service

TARGETS: Final[Mapping[str, Target]] = {
    "serving.single1.p50_vs_mosec": Target(1.0, "lower"),
    "serving.single32.throughput_vs_mosec": Target(1.0, "higher"),
    "serving.single64.throughput_vs_mosec": Target(1.0, "higher"),
    "serving.single64.p99_vs_mosec": Target(1.5, "lower"),
    "serving.single32.throughput_vs_litserve": Target(4.0, "higher"),
    "serving.crops64.throughput_vs_mosec": Target(1.0, "higher"),
    "serving.crops64.throughput_vs_network": Target(0.5, "higher"),
    "serving.single1.p50_vs_triton": Target(1.5, "lower"),
    "serving.v2_single32.throughput_vs_triton": Target(1.0, "higher"),
    "serving.v2_single64.throughput_vs_triton": Target(1.0, "higher"),
    "serving.v2_crops64.throughput_vs_triton": Target(1.0, "higher"),
    "serving.grpc32.throughput_vs_triton": Target(1.0, "higher"),
    "serving.grpc_crops64.throughput_vs_triton": Target(1.0, "higher"),
}

_MANY: Final = 64
_MANY_CLIENTS: Final = 8


def measure(context: Context) -> dict[str, Ratio]:
    """Measure beside every peer that can be installed here; the others are skipped."""
    ratios: dict[str, Ratio] = {}
    with context.folder() as folder, trained_service(folder, has_grpc=True) as trained:
        ratios["serving.crops64.throughput_vs_network"] = _beside_network(context, trained)
        for peer, compare in ((MOSEC, _beside_mosec), (LITSERVE, _beside_litserve), (TRITON, _beside_triton)):
            try:
                with running_peer(peer, folder, trained.version) as server:
                    ratios |= compare(context, trained, server)
            except PeerUnavailableError as error:
                say(f"skipped: {error}")
    return ratios


def _beside_network(context: Context, trained: TrainedService) -> Ratio:
    """Measure the service, 64 crops per request, beside its network alone in one thread of this process."""
    read = load_classifier(trained.version)
    images = b"".join(crop.crop for crop in trained.crops[:_MANY])
    calls, start = 0, time.perf_counter()
    while time.perf_counter() - start < context.seconds:
        read(images)
        calls += 1
    network = calls * _MANY / (time.perf_counter() - start)
    crops_per_s = _MANY * _crops64(context, [trained.alternative(_MANY)])["hxserve"].requests_per_s
    detail = {"hxserve_crops_per_s": round(crops_per_s), "network_crops_per_s": round(network)}
    return Ratio(crops_per_s / network, detail)


def _beside_mosec(context: Context, trained: TrainedService, server: Server) -> dict[str, Ratio]:
    """Measure one crop per request with 1, 32 and 64 clients, then 64 crops per request."""
    single = _singles(context, [trained.alternative(), _alternative(MOSEC, server, trained.crops)])
    many = [trained.alternative(_MANY), _alternative(MOSEC, server, trained.crops, _MANY)]
    return {
        "serving.single1.p50_vs_mosec": _p50_ratio(single[1], "hxserve", "mosec"),
        "serving.single32.throughput_vs_mosec": throughput_ratio(single[32], "hxserve", "mosec"),
        "serving.single64.throughput_vs_mosec": throughput_ratio(single[64], "hxserve", "mosec"),
        "serving.single64.p99_vs_mosec": Ratio(
            single[64]["hxserve"].p99_ms / single[64]["mosec"].p99_ms, details(single[64])
        ),
        "serving.crops64.throughput_vs_mosec": throughput_ratio(_crops64(context, many), "hxserve", "mosec"),
    }


def _beside_litserve(context: Context, trained: TrainedService, server: Server) -> dict[str, Ratio]:
    pair = [trained.alternative(), _alternative(LITSERVE, server, trained.crops)]
    figures = _singles(context, pair, clients=(32,))[32]
    return {"serving.single32.throughput_vs_litserve": throughput_ratio(figures, "hxserve", "litserve")}


def _beside_triton(context: Context, trained: TrainedService, server: Server) -> dict[str, Ratio]:
    """Measure raw crops to hxserve, and the same requests of the Open Inference Protocol to both."""

    def both(per_request: int) -> list[Alternative]:
        ours = trained.alternative(per_request, "hxserve_v2", form=V2_BINARY)
        return [
            trained.alternative(per_request, "hxserve_raw"),
            ours,
            replace(ours, name="triton", server=server),
        ]

    single = _singles(context, both(1))
    many = _crops64(context, both(_MANY))

    def both_over_grpc(per_request: int) -> list[Alternative]:
        ours = trained.alternative(per_request, "hxserve_grpc", form=V2_GRPC)
        return [ours, replace(ours, name="triton_grpc", server=server)]

    calls = _singles(context, both_over_grpc(1), clients=(32,))[32]
    large_calls = _crops64(context, both_over_grpc(_MANY))
    return {
        "serving.single1.p50_vs_triton": _p50_ratio(single[1], "hxserve_raw", "triton"),
        "serving.v2_single32.throughput_vs_triton": throughput_ratio(single[32], "hxserve_v2", "triton"),
        "serving.v2_single64.throughput_vs_triton": throughput_ratio(single[64], "hxserve_v2", "triton"),
        "serving.v2_crops64.throughput_vs_triton": throughput_ratio(many, "hxserve_v2", "triton"),
        "serving.grpc32.throughput_vs_triton": throughput_ratio(calls, "hxserve_grpc", "triton_grpc"),
        "serving.grpc_crops64.throughput_vs_triton": throughput_ratio(
            large_calls, "hxserve_grpc", "triton_grpc"
        ),
    }


def _singles(
    context: Context, alternatives: Sequence[Alternative], clients: Sequence[int] = (1, 32, 64)
) -> dict[int, dict[str, Figures]]:
    """Return figures with one crop per request, by the number of clients."""
    figures: dict[int, dict[str, Figures]] = {}
    for number in clients:
        say(f"{number} clients, one crop per request: {_names(alternatives)}")
        figures[number] = side_by_side(alternatives, clients=number, seconds=context.seconds)
    return figures


def _crops64(context: Context, alternatives: Sequence[Alternative]) -> dict[str, Figures]:
    say(f"{_MANY_CLIENTS} clients, {_MANY} crops per request: {_names(alternatives)}")
    return side_by_side(alternatives, clients=_MANY_CLIENTS, seconds=context.seconds)


def _p50_ratio(figures: Mapping[str, Figures], ours: str, theirs: str) -> Ratio:
    return Ratio(figures[ours].p50_ms / figures[theirs].p50_ms, details(figures))


def _names(alternatives: Sequence[Alternative]) -> str:
    return ", ".join(alternative.name for alternative in alternatives)


def _alternative(
    peer: Peer, server: Server, crops: Sequence[LabelledCrop], per_request: int = 1
) -> Alternative:
    return Alternative.of(peer.name, server, peer.path, crops, per_request, form=peer.form)

"""Group `programs`: programs written for hxtorch on the shared chip, beside the same on an emulator of their own."""

import json
import os
import socket
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from statistics import fmean, median
from typing import Any, Final

from benchmarks.context import Context, MeasurementError, say
from benchmarks.load.report import percentile
from benchmarks.processes import ROOT, python_module
from benchmarks.program import BATCH, LAYERS
from benchmarks.results import Ratio, Target
from benchmarks.service import Service, running_service
from benchmarks.serving import MODEL
from benchmarks.sharing import latencies_ms
from services.crops.answers import CROP_BYTES

TARGETS: Final[Mapping[str, Target]] = {
    "programs.forward200.time_vs_local": Target(2.5, "lower"),
    "programs.epoch.time_vs_local": Target(1.8, "lower"),
    "programs.second_user_slowdown": Target(2.1, "lower"),
    "programs.crops_p99_ms": Target(50.0, "lower"),
    "programs.bytes_per_forward": Target(1.1, "lower"),
}

_TURNS: Final = 3
_ROUNDS: Final = 30
_ROUNDS_BESIDE: Final = 400
_LIMIT_S: Final = 300.0
_RAW_BYTES: Final = sum(BATCH * rows + rows * columns + BATCH * columns for rows, columns in LAYERS)
"""Of one forward pass: inputs, weights and readouts, one byte each."""


def measure(context: Context) -> dict[str, Ratio]:
    """Measure on a virtual chip, with a model to classify with."""
    with context.folder() as folder, running_service(folder / "data", chip="emulator") as service:
        service.await_end(service.train(MODEL, recipe="strong", dataset="digits", epochs=1, execution="mock"))
        return {
            **_beside_own_emulator(service),
            "programs.second_user_slowdown": _second_user(service),
            "programs.crops_p99_ms": _crops(context, service),
            "programs.bytes_per_forward": _bytes(service),
        }


def _beside_own_emulator(service: Service) -> dict[str, Ratio]:
    """Forward passes and training steps, in turns; an epoch is nothing but its steps."""
    say("a program on the shared chip and on an emulator of its own, in turns")
    local, shared = [], []
    for _ in range(_TURNS):
        local.append(_finish(_start()))
        shared.append(_finish(_start(service)))
    return {
        name: Ratio(
            median(run[figure] for run in shared) / median(run[figure] for run in local),
            {"shared_ms": [run[figure] for run in shared], "local_ms": [run[figure] for run in local]},
        )
        for name, figure in (
            ("programs.forward200.time_vs_local", "forward_ms"),
            ("programs.epoch.time_vs_local", "step_ms"),
        )
    }


def _second_user(service: Service) -> Ratio:
    """The mean training step of two users' programs at once, over that of one alone before and after."""
    say("two users' programs at once")
    before = _finish(_start(service, user="first"))["step_ms"]
    both = [_start(service, user=user) for user in ("first", "second")]
    together = [_finish(process)["step_ms"] for process in both]
    after = _finish(_start(service, user="first"))["step_ms"]
    alone = fmean([before, after])
    return Ratio(fmean(together) / alone, {"alone_ms": [before, after], "together_ms": together})


def _crops(context: Context, service: Service) -> Ratio:
    """The latency of a user's crops, one every 50 ms, beside two programs."""
    say("crops beside two programs")
    programs = [_start(service, user=user, rounds=_ROUNDS_BESIDE) for user in ("first", "second")]
    try:
        measured = sorted(latencies_ms(service, bytes(CROP_BYTES), 3 * context.seconds))
        if any(program.poll() is not None for program in programs):
            raise MeasurementError("a program ended before the crops that it ran beside")
    finally:
        for program in programs:
            program.terminate()
            program.communicate()
    return Ratio(percentile(measured, 0.99), {"requests": len(measured), "p50_ms": percentile(measured, 0.5)})


def _bytes(service: Service) -> Ratio:
    """The bytes on the wire in both directions of forward passes and steps, over those of the raw tensors."""
    say("bytes on the wire")
    with _counted(service.server.port) as (port, counted):
        _finish(_start(service, url=f"http://127.0.0.1:{port}"))
    passes = 2 * (_ROUNDS + 3)
    return Ratio(counted[0] / passes / _RAW_BYTES, {"bytes": counted[0] / passes, "raw_bytes": _RAW_BYTES})


def _start(
    service: Service | None = None, *, user: str = "", url: str = "", rounds: int = _ROUNDS
) -> "subprocess.Popen[str]":
    """Start the program, on the chip of a service if there is one."""
    arguments = ["--rounds", str(rounds), *(["--shared"] if service else [])]
    environment = dict(os.environ)
    if service:
        environment |= {"HXSERVE_URL": url or service.url, "HXSERVE_TOKEN": service.token_of(user)}
    return subprocess.Popen(
        python_module("benchmarks.program", *arguments),
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )


def _finish(program: "subprocess.Popen[str]") -> dict[str, Any]:
    said, _ = program.communicate(timeout=_LIMIT_S)
    if program.returncode:
        raise MeasurementError(f"a program ended with {program.returncode}")
    measured: dict[str, Any] = json.loads(said)
    return measured


@contextmanager
def _counted(port: int) -> Iterator[tuple[int, list[int]]]:
    """Relay connections to a port of this machine; yields the relay's own port, and the bytes so far in a list."""
    counted = [0]

    def relay(source: socket.socket, target: socket.socket) -> None:
        while data := source.recv(65536):
            counted[0] += len(data)
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)

    def accept(listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:  # closed: the end
                return
            server = socket.create_connection(("127.0.0.1", port))
            for pair in ((client, server), (server, client)):
                threading.Thread(target=relay, args=pair, daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, args=(listener,), daemon=True).start()
        yield listener.getsockname()[1], counted
        listener.shutdown(socket.SHUT_RDWR)

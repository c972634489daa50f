"""`python -m benchmarks.compare OLD_CHECKOUT`: the service of another checkout and this one's under the same loads.

Both services run at once and are loaded in turns, each from the environment in its checkout's `.venv`
(`git worktree add ../old COMMIT && make -C ../old env`). Prints each figure of both and the ratio new/old: its
median over the rounds, and its range.
"""

import argparse
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.alternatives import Figures, measure_round, summarise_rounds
from benchmarks.context import Context, say
from benchmarks.formats import RAW, V2_BINARY, Format
from benchmarks.machine import describe_machine
from benchmarks.processes import ROOT, exit_on_sigterm
from benchmarks.serving import TRAINING_CLIENTS, TrainedService, round_beside_training, trained_service


@dataclass(frozen=True, slots=True)
class Load:
    """A number of clients that send requests of one form."""

    clients: int
    crops: int = 1
    form: Format = RAW
    beside_training: bool = False

    def __str__(self) -> str:
        form = "v2 binary" if self.form is V2_BINARY else "raw"
        return f"{form}, {self.clients} x {self.crops}" + (", beside a training" * self.beside_training)

    def measure(self, trained: TrainedService, seconds: float) -> dict[str, float]:
        """Return the figures of one round.

        Raises:
            MeasurementError: the service answers wrongly or with errors.
        """
        alternative = trained.alternative(self.crops, form=self.form)
        shares = {}
        if self.beside_training:
            loaded, shares["training share"] = round_beside_training(trained.service, alternative, seconds)
        else:
            loaded = measure_round(alternative, self.clients, seconds)
        figures = summarise_rounds(str(self), [loaded])
        return {name: read(figures) for name, read in _FIGURES.items()} | shares


LOADS: Final = (
    Load(1),
    Load(32),
    Load(64),
    Load(8, crops=64),
    Load(64, form=V2_BINARY),
    Load(TRAINING_CLIENTS, beside_training=True),
)
_FIGURES: Final[dict[str, Callable[[Figures], float]]] = {
    "requests/s": lambda figures: figures.requests_per_s,
    "p50 ms": lambda figures: figures.p50_ms,
    "p99 ms": lambda figures: figures.p99_ms,
    "API us/request": lambda figures: figures.api_us_per_request,
    "all us/request": lambda figures: 1e3 * figures.cpu_ms_per_request,
}

Rounds = list[dict[str, float]]


def compare_checkouts(
    old: Path, loads: Sequence[Load], *, rounds: int, seconds: float
) -> dict[Load, tuple[Rounds, Rounds]]:
    """Return figures of the old and the new service by load; each round begins with the other of the two."""
    figures: dict[Load, tuple[Rounds, Rounds]] = {load: ([], []) for load in loads}
    with Context(seconds, None).folder() as folder, ExitStack() as stack:
        services = [
            stack.enter_context(trained_service(folder / name, checkout))
            for name, checkout in (("old", old), ("new", ROOT))
        ]
        for number in range(rounds):
            for load in loads:
                say(f"round {number + 1} of {rounds}: {load}")
                for side in (0, 1) if number % 2 == 0 else (1, 0):
                    figures[load][side].append(load.measure(services[side], seconds))
    return figures


def comparison(old: Rounds, new: Rounds) -> Iterator[tuple[str, float, float, list[float]]]:
    """Return, per figure, the medians of old and new, and the ratios new/old of the rounds, ascending."""
    for name in old[0]:
        pairs = [(before[name], after[name]) for before, after in zip(old, new, strict=True)]
        medians = [statistics.median(side) for side in zip(*pairs, strict=True)]
        yield name, medians[0], medians[1], sorted(after / before for before, after in pairs)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print a table; return the exit status."""
    parser = argparse.ArgumentParser("python -m benchmarks.compare", description=__doc__)
    parser.add_argument("old", type=Path, help="checkout with its environment in .venv")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=4.0, help="length of each load [4]")
    parser.add_argument("--only", default="", metavar="TEXT", help="loads whose name contains this")
    options = parser.parse_args(arguments)
    old = options.old.resolve()
    if not (old / ".venv/bin/hxserve").exists():
        print(f"{old} has no environment; run `make -C {old} env`", file=sys.stderr)
        return 2
    exit_on_sigterm()
    machine = describe_machine()
    loads = [load for load in LOADS if options.only in str(load)]
    found = compare_checkouts(old, loads, rounds=options.rounds, seconds=options.seconds)
    print(
        f"\n{machine['cpu']}, {machine['cores']} cores; load average at the start {machine['load_average']}"
    )
    print(f"{'clients x crops per request':30} {'figure':15} {'old':>9} {'new':>9} {'new/old':>8}  range")
    for load, sides in found.items():
        for name, before, after, ratios in comparison(*sides):
            ratio = statistics.median(ratios)
            print(
                f"{load!s:30} {name:15} {before:9.2f} {after:9.2f} {ratio:8.3f}  {ratios[0]:.3f}..{ratios[-1]:.3f}"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())

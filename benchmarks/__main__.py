"""`python -m benchmarks`: measure the service beside its alternatives, and compare the ratios with their targets."""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from benchmarks import (
    adapt,
    batch,
    dashboards,
    emulator,
    eta,
    flood,
    letters,
    page,
    peers,
    pictures,
    plan,
    programs,
    serving,
    sharing,
    tracing,
    training,
    utilisation,
)
from benchmarks.context import Context
from benchmarks.machine import describe_machine
from benchmarks.processes import ROOT, exit_on_sigterm
from benchmarks.results import Group, run_groups, table, write_results

GROUPS: Final[Mapping[str, Group]] = {
    "serving": Group(serving.TARGETS, serving.measure),
    "training": Group(training.TARGETS, training.measure),
    "sharing": Group(
        {
            **sharing.TARGETS,
            **flood.TARGETS,
            **utilisation.TARGETS,
            **eta.TARGETS,
            **dashboards.TARGETS,
        },
        sharing.measure,
    ),
    "emulator": Group(emulator.TARGETS, emulator.measure),
    "letters": Group(letters.TARGETS, letters.measure),
    "adapt": Group(adapt.TARGETS, adapt.measure),
    "batch": Group(batch.TARGETS, batch.measure),
    "pictures": Group(pictures.TARGETS, pictures.measure),
    "page": Group(page.TARGETS, page.measure),
    "programs": Group(programs.TARGETS, programs.measure),
    "plan": Group(plan.TARGETS, plan.measure),
    "tracing": Group(tracing.TARGETS, tracing.measure),
    "peers": Group(peers.TARGETS, peers.measure),
}
RESULTS: Final = ROOT / "benchmarks" / "results" / "latest.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the chosen groups; return the exit status, 1 if one of them could not be measured."""
    options = _parser().parse_args(arguments)
    names = [name for name in (options.only or "").split(",") if name] or list(GROUPS)
    unknown = sorted(set(names) - set(GROUPS))
    if unknown:
        print(f"no group {', '.join(unknown)}; there are: {', '.join(GROUPS)}", file=sys.stderr)
        return 2
    exit_on_sigterm()
    machine = describe_machine()
    context = Context(seconds=options.seconds, mnist=_find_mnist(options.mnist))
    outcome = run_groups({name: GROUPS[name] for name in names}, context)
    write_results(RESULTS, machine, outcome.ratios)
    print(f"\n{machine['cpu']}, {machine['cores']} cores, commit {machine['git_commit']}")
    print(table(outcome.ratios))
    print(f"\nwritten to {RESULTS.relative_to(ROOT)}")
    if outcome.failed:
        print(f"could not be measured: {', '.join(outcome.failed)}", file=sys.stderr)
    return 1 if outcome.failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__)
    parser.add_argument("--only", help=f"groups, separated by commas, of: {', '.join(GROUPS)}")
    parser.add_argument("--mnist", type=Path, help="folder that holds MNIST [HXSERVE_MNIST, ../shared/mnist]")
    parser.add_argument("--seconds", type=float, default=8.0, help="length of each load [8]")
    return parser


def _find_mnist(given: Path | None) -> Path | None:
    """Return the folder of MNIST; None, with a message, if there is none."""
    if given is not None:
        return given.resolve()
    for folder in (os.environ.get("HXSERVE_MNIST"), ROOT.parent / "shared" / "mnist"):
        if folder and Path(folder).is_dir():
            return Path(folder).resolve()
    print("no MNIST here (--mnist DIR): trainings are measured on the digits inside scikit-learn")
    return None


if __name__ == "__main__":
    sys.exit(main())

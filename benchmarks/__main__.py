"""`python -m benchmarks`: measures, side by side with the alternatives, and says what came of it."""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from benchmarks.context import Context
from benchmarks.groups import GROUPS
from benchmarks.machine import describe_machine
from benchmarks.processes import ROOT
from benchmarks.results import table, write_results
from benchmarks.running import run_groups

RESULTS = ROOT / "benchmarks" / "results" / "latest.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the groups asked for; the exit status is 1 when one of them could not be measured."""
    options = _parser().parse_args(arguments)
    names = [name for name in (options.only or "").split(",") if name]
    names = names or list(GROUPS)
    unknown = sorted(set(names) - set(GROUPS))
    if unknown:
        print(f"no group {', '.join(unknown)}; there are: {', '.join(GROUPS)}", file=sys.stderr)
        return 2
    # So that whatever a measurement has started is stopped on the way out.
    signal.signal(signal.SIGTERM, _end)
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


def _end(number: int, frame: object) -> NoReturn:
    del frame
    sys.exit(128 + number)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__)
    parser.add_argument("--only", help=f"groups, separated by commas, of: {', '.join(GROUPS)}")
    parser.add_argument("--mnist", type=Path, help="folder that holds MNIST [HXSERVE_MNIST, ../shared/mnist]")
    parser.add_argument("--seconds", type=float, default=8.0, help="length of each load [8]")
    return parser


def _find_mnist(given: Path | None) -> Path | None:
    """The folder of MNIST; None, said aloud, when there is none."""
    if given is not None:
        return given.resolve()
    for folder in (os.environ.get("HXSERVE_MNIST"), ROOT.parent / "shared" / "mnist"):
        if folder and Path(folder).is_dir():
            return Path(folder).resolve()
    print("no MNIST here (--mnist DIR): trainings are measured on the digits inside scikit-learn")
    return None


if __name__ == "__main__":
    sys.exit(main())

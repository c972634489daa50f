"""`python -m benchmarks`: measures, side by side with the alternatives, and says what came of it."""

import argparse
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from benchmarks.context import Context
from benchmarks.groups import GROUPS
from benchmarks.machine import describe_machine
from benchmarks.processes import ROOT
from benchmarks.ratio import Ratio, Target
from benchmarks.results import summarise, table, write_results

RESULTS = ROOT / "benchmarks" / "results" / "latest.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the groups asked for; the exit status is 1 when one of them could not be measured."""
    options = _parser().parse_args(arguments)
    names = [name for name in (options.only or "").split(",") if name] or list(GROUPS)
    unknown = sorted(set(names) - set(GROUPS))
    if unknown:
        print(f"no group {', '.join(unknown)}; there are: {', '.join(GROUPS)}", file=sys.stderr)
        return 2
    context = Context(seconds=options.seconds, mnist=_find_mnist(options.mnist))
    machine = describe_machine()
    ratios: dict[str, Ratio] = {}
    targets: dict[str, Target] = {}
    failed: list[str] = []
    for name in names:
        print(f"{name}:", flush=True)
        targets |= GROUPS[name].targets
        try:
            ratios |= GROUPS[name].measure(context)
        except Exception:  # noqa: BLE001  # one group that fails must not take the others with it
            traceback.print_exc()
            failed.append(name)
    summary = summarise(ratios, targets)
    write_results(RESULTS, machine, summary)
    print(f"\n{machine['cpu']}, {machine['cores']} cores, commit {machine['git_commit']}")
    print(table(summary))
    print(f"\nwritten to {RESULTS.relative_to(ROOT)}")
    if failed:
        print(f"could not be measured: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


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

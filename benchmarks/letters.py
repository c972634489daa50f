"""Group `letters`: the throughput of a letter centre's crops through the Python client."""

from collections.abc import Mapping
from typing import Final

from benchmarks.context import Context, say
from benchmarks.results import Ratio, Target
from benchmarks.service import running_service
from hxserve.client import Client
from hxserve_letters.belts import Pace
from hxserve_letters.camera_pool import LetterSource
from hxserve_letters.centre import Centre, Effort
from hxserve_letters.directory import invent_directory
from hxserve_letters.report import summarise

TARGETS: Final[Mapping[str, Target]] = {"letters.digits_per_s": Target(12_000.0, "higher")}

_MODEL: Final = "digits"
_LETTERS: Final = 3000
_SETTINGS: Final = ((4, 64), (4, 256), (8, 256), (4, 512))
"""Connections, and crops per request."""


def measure(context: Context) -> dict[str, Ratio]:
    """Measure crops per second with the best of several settings; the others are in the detail."""
    with context.folder() as folder, running_service(folder / "data", context.mnist) as service:
        say(f"training a model on {context.dataset}")
        service.await_end(service.train(_MODEL, recipe="strong", dataset=context.dataset))
        source = LetterSource(seed=0, directory=invent_directory(), mnist=context.mnist)
        found = {}
        say(f"preparing {_LETTERS:,} letters")
        with Client(service.url, service.token, retries=0, maxsize=16) as client:
            scans = Centre(client, _MODEL, "latest", Effort()).prepare(source, _LETTERS)
            for connections, crops in _SETTINGS:
                say(f"flat out over {connections} connections, {crops} crops per request")
                centre = Centre(client, _MODEL, "latest", Effort(2, connections, crops))
                run = centre.sort_flat_out(scans, source.directory, threshold=0.5)
                report = summarise(run, Pace(1, None, None, 1))
                found[f"{connections}x{crops}"] = report["digits_per_s"]
    best = max(found.values())
    return {"letters.digits_per_s": Ratio(best, {"dataset": context.dataset, **found})}

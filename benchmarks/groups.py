"""The measurement groups, by the name that `--only` takes."""

from collections.abc import Mapping
from typing import Final

from benchmarks import emulation, letters, peers, plan, serving, sharing, training, waiting
from benchmarks.running import Group

GROUPS: Final[Mapping[str, Group]] = {
    "serving": Group(serving.TARGETS, serving.measure),
    "training": Group(training.TARGETS, training.measure),
    "sharing": Group(
        {**sharing.TARGETS, **waiting.TARGETS},
        lambda context: {**sharing.measure(context), **waiting.measure(context)},
    ),
    "emulator": Group(emulation.TARGETS, emulation.measure),
    "letters": Group(letters.TARGETS, letters.measure),
    "plan": Group(plan.TARGETS, plan.measure),
    "peers": Group(peers.TARGETS, peers.measure),
}

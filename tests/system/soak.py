"""`make soak`: hours in minutes. Mixed load and random kills, and the proof that nothing is lost and nothing grows.

For the first part of the time processes are killed at random; the load goes on to the end, and memory and keys are
looked at in the last part, when all processes have been left alone for a while. Records are kept a minute only, so
that what is to be forgotten is forgotten within the run. The exit status is 1 when something was lost or grows.
"""

import argparse
import re
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final

import numpy as np
import psutil  # type: ignore[import-untyped]  # ships no types

from hxserve import Client
from hxserve.jobs import Job
from services.settings import load_settings
from tests.system.chaos.crops import prepared_crops
from tests.system.chaos.service import Service, disturbable
from tests.system.chaos.stream import Crops, Tally, streaming
from tests.system.chaos.verification import assert_nothing_lost, weights_of

TRAINING: Final[Mapping[str, Any]] = {"recipe": "strong", "dataset": "digits", "epochs": 4}
PROCESSES: Final = ("worker", "api", "redis")
KILLING_SHARE: Final = 0.55
WARM_UP_SHARE: Final = 0.7
"""Of the whole time; memory is compared from here on."""
RETAINED: Final = frozenset({"hx:idempotency:*"})
"""Families that keep a key for each request for a day, whatever the settings."""
LEVEL_MIB_PER_MIN: Final = 4.0
_SAMPLE_EVERY_S: Final = 2.0
_ID: Final = re.compile(r"[0-9a-f]{16,}|:[0-9]{5,}|:admin:[0-9a-f-]{36}")


@dataclass
class Samples:
    """What was measured over time: memory in MiB by process, and keys by family; times in seconds from the start."""

    at: list[float] = field(default_factory=list)
    memory: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    keys: list[Counter[str]] = field(default_factory=list)

    def take(self, at: float, service: Service) -> None:
        """Measures now."""
        with service.connection() as connection:
            client: Any = connection.client
            families = Counter(family_of(key.decode()) for key in client.scan_iter(count=1000))
            used = client.info("memory")["used_memory"] / 2**20
        self.at.append(at)
        self.keys.append(families)
        self.memory["redis, used"].append(used)
        for name in PROCESSES:
            self.memory[name].append(psutil.Process(service.pid(name)).memory_info().rss / 2**20)

    def slope(self, name: str, since: float) -> tuple[float, float]:
        """The last size in MiB, and MiB per minute since a time."""
        kept = [(at, mib) for at, mib in zip(self.at, self.memory[name], strict=True) if at >= since]
        times, sizes = zip(*kept, strict=True)
        return sizes[-1], float(60 * np.polyfit(times, sizes, 1)[0])

    def growth(self, since: float) -> dict[str, tuple[int, int]]:
        """By family of keys: the most in the first and in the last third of the time since."""
        kept = [keys for at, keys in zip(self.at, self.keys, strict=True) if at >= since]
        third = max(1, len(kept) // 3)
        first, last = kept[:third], kept[-third:]
        families = sorted(set().union(*kept))
        return {f: (max(k[f] for k in first), max(k[f] for k in last)) for f in families}


def family_of(key: str) -> str:
    """The family of a key: its name without what tells its members apart."""
    if key.startswith("hx:idempotency:"):
        return "hx:idempotency:*"
    if key.startswith("hx:crops:") and "@" in key:
        return "hx:crops:*"
    return _ID.sub("*", key)


class Soak:
    """One run."""

    def __init__(self, service: Service, crops: Crops, seconds: float, random: Random) -> None:
        self._service = service
        self._crops = crops
        self._seconds = seconds
        self._random = random
        self._samples = Samples()
        self._kills: Counter[str] = Counter()
        self._recoveries_s: dict[str, list[float]] = defaultdict(list)
        self._trainings: list[Job] = []

    def run(self) -> list[str]:
        """Runs it, prints what came of it, and says what is wrong."""
        started = time.monotonic()
        with streaming(self._service, self._crops, self._random.randrange(1000), pause_s=0.15) as tally:
            next_kill = 5.0
            while (at := time.monotonic() - started) < self._seconds:
                self._samples.take(at, self._service)
                self._see_to_training()
                if at >= next_kill and at < KILLING_SHARE * self._seconds:
                    self._kill()
                    next_kill = time.monotonic() - started + self._random.uniform(2.0, 15.0)
                self._service.let_pass(_SAMPLE_EVERY_S)
        trainings = [self._service.ended(job) for job in self._trainings]
        jobs = assert_nothing_lost(self._service)
        return self._report(tally, trainings, jobs)

    def _kill(self) -> None:
        name = self._random.choice(PROCESSES)
        self._service.kill(name, away_s=self._random.uniform(0.0, 2.0))
        self._kills[name] += 1
        self._recoveries_s[name].append(self._service.until_answered(self._crops))

    def _see_to_training(self) -> None:
        with Client(self._service.local.url, self._service.local.token, retries=20) as client:
            if self._trainings:
                self._trainings[-1] = client.job(self._trainings[-1].id)
            if not self._trainings or self._trainings[-1].is_final:
                self._trainings.append(client.train("soak", **TRAINING))

    def _report(self, tally: Tally, trainings: Sequence[Job], jobs: int) -> list[str]:
        wrong = list(tally.wrong)
        digests = {weights_of(job) for job in trainings if job.state == "succeeded"}
        states = Counter(job.state for job in trainings)
        _say(
            f"crops sent {tally.sent}, answered {tally.answered}, wrong {len(tally.wrong)}; {dict(tally.ways)}"
        )
        _say(f"trainings {dict(states)}, different weights {len(digests)}; jobs looked at: {jobs}")
        for name, count in self._kills.items():
            _say(
                f"killed {name}: {count} times, answered again after {max(self._recoveries_s[name]):.1f} s at most"
            )
        if tally.sent != tally.answered:
            wrong.append(f"{tally.sent - tally.answered} crops have no answer")
        if set(states) != {"succeeded"} or len(digests) != 1:
            wrong.append(f"trainings ended as {dict(states)} with {len(digests)} different weights")
        return [*wrong, *self._report_growth()]

    def _report_growth(self) -> list[str]:
        wrong = []
        since = WARM_UP_SHARE * self._seconds
        for name in self._samples.memory:
            mib, slope = self._samples.slope(name, since)
            _say(
                f"memory of {name}: {mib:.1f} MiB, {slope:+.2f} MiB/min in the last {self._seconds - since:.0f} s"
            )
            if slope > LEVEL_MIB_PER_MIN:
                wrong.append(f"the memory of {name} grows by {slope:.2f} MiB/min")
        for family, (before, after) in self._samples.growth(since).items():
            _say(f"keys {family}: {before} -> {after}")
            if after > 1.3 * before + 10 and family not in RETAINED:
                wrong.append(f"there are ever more keys {family}: {before} -> {after}")
        return wrong


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the soak; the exit status."""
    parser = argparse.ArgumentParser("python -m tests.system.soak")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    options = parser.parse_args(arguments)
    _say(f"soak of {options.minutes:g} minutes, seed {options.seed}")
    with tempfile.TemporaryDirectory(prefix="hxsoak", ignore_cleanup_errors=True) as folder:
        settings = load_settings(
            data_dir=Path(folder),
            chip="mock",
            port=0,
            save_every_s=0.5,
            keep_jobs_s=60.0,
            keep_results_s=60.0,
        )
        with disturbable(settings) as service:
            crops = prepared_crops(service)
            wrong = Soak(service, crops, 60 * options.minutes, Random(options.seed)).run()
    for line in wrong:
        _say(f"WRONG: {line}")
    _say("nothing lost, nothing wrong, nothing grows" if not wrong else f"{len(wrong)} things are wrong")
    return 1 if wrong else 0


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 the report


if __name__ == "__main__":
    sys.exit(main())

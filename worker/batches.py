"""Running crops through the chip, batch by batch."""

import json
import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Final

import msgpack
import numpy as np

from services.chips.store import Lease
from services.crops.answers import CROP_BYTES, Activations, Answer, Provenance, Scores, problem_of
from services.crops.claims import NO_CROPS, NO_PREFETCH, Backlog, Entry, Finished, Prefetch
from services.crops.extras import Extras
from services.crops.lanes import Lane
from services.crops.store import CropStore
from services.errors import ChipError, ExpiredError, HxserveError, JobCrashedError
from services.jobs.record import JobState
from services.logs import about
from services.tracing import traces
from worker.chip import ChipSession
from worker.serving import LoadedVersions, Reading
from worker.shadow import Seen, Shadow
from worker.tally import BatchTally
from worker.time_accounting import TimeAccount
from worker.trials import Trials
from worker.work_traces import batch_span

_MOST_CLAIMS: Final = 3
_MOST_CHIP_FAILURES: Final = 3
_PACE_WEIGHT: Final = 0.05
_log = logging.getLogger(__name__)


class Batches:
    """Claims crops, reads them on the chip, and stores the answers."""

    def __init__(
        self,
        lease: Lease,
        session: ChipSession,
        crops: CropStore,
        versions: LoadedVersions,
        shadow: Shadow,
        *,
        batch_crops: int,
        account: TimeAccount | None = None,
        trials: Trials | None = None,
    ) -> None:
        self._lease = lease
        self._session = session
        self._crops = crops
        self._versions = versions
        self._shadow = shadow
        self._batch_crops = batch_crops
        self._account = account or TimeAccount()
        self._trials = trials
        self._chip_failures: dict[tuple[str, int], int] = {}
        self.tally = BatchTally()
        self.on_chip: str | None = None
        """The version whose weights were used last."""
        self.crop_s: float | None = None
        """Seconds per crop, a moving average."""

    def may_read(self, lane: Lane) -> bool:
        """Return whether crops of this lane may be read on this chip."""
        return lane.home in {"", self._session.identifier}

    @property
    def prefetch(self) -> Prefetch:
        """More of the version whose weights were used last, as much as fits."""
        return Prefetch(self.on_chip or NO_CROPS, self._batch_crops)

    def look(self, prefetch: Prefetch) -> Backlog:
        """Return the backlog, with crops already claimed if nothing else waits.

        Raises:
            LeaseLostError: the worker no longer holds the chip.
            RedisUnavailableError: Redis does not answer.
        """
        return self._crops.claim(self._lease, prefetch=prefetch)

    def claim(self, reference: str, grants: Mapping[str, int]) -> Sequence[Entry]:
        """Claim crops of one version.

        `reference` is that of the lanes, as `Lane.reference` has it; `grants` is the number of crops by user.

        Raises:
            LeaseLostError: the worker no longer holds the chip.
            RedisUnavailableError: Redis does not answer.
        """
        lanes = {f"{reference}:{user}": count for user, count in grants.items()}
        with self._account.doing("records"):
            return self._crops.claim(self._lease, lanes).claimed

    def run(self, entries: Sequence[Entry], now: float, prefetch: Prefetch = NO_PREFETCH) -> Backlog | None:
        """Run claimed crops of one version; return the backlog afterwards, if there were any.

        `now` is in Unix seconds by the clock of Redis; `prefetch` are crops to claim together with the last answers.

        Raises:
            LeaseLostError: the worker no longer holds the chip.
            RedisUnavailableError: the answers are not stored; the crops stay claimed.
            ChipError: the chip failed, and may not the next time; the crops stay claimed.
        """
        look = None
        batches = list(self._fitting(entries))
        for batch in batches:
            started = time.monotonic()
            with traces.ended(batch_span(batch, now)):
                answers = self._read(batch, now)
                elapsed_s = time.monotonic() - started
                following = prefetch if batch is batches[-1] else NO_PREFETCH
                look = self._finish(batch, answers, elapsed_s, following)
            self._shadow.compare()
            if self._trials:
                self._trials.keep()
            now += elapsed_s
        return look

    def recover(self, now: float, *, after_death: bool) -> int:
        """Run the claimed crops that have no answers; return the number of their parts.

        `after_death` says that this process is new and its predecessor left the crops, so that they may be to blame.
        """
        entries = self._crops.recover(self._lease, after_death=after_death)
        failures = self._chip_failures
        self._chip_failures = {e.key: failures[e.key] for e in entries if e.key in failures}
        if entries:
            _log.warning("%d parts of requests were left unanswered, they are run now", len(entries))

        def version(entry: Entry) -> tuple[str, str]:
            return entry.lane.model, entry.lane.version

        for _, same_version in groupby(sorted(entries, key=version), version):
            self.run(list(same_version), now)
        return len(entries)

    def _fitting(self, entries: Iterable[Entry]) -> Iterator[list[Entry]]:
        for repeats, alike in groupby(sorted(entries, key=_repeats), _repeats):
            batch: list[Entry] = []
            crops = 0
            for entry in alike:
                if batch and (crops + entry.count) * repeats > self._batch_crops:
                    yield batch
                    batch, crops = [], 0
                batch.append(entry)
                crops += entry.count
            yield batch

    def _read(self, batch: list[Entry], now: float) -> list[Answer]:
        problems = {entry.key: problem for entry in batch if (problem := _problem(entry))}
        to_run = [entry for entry in batch if entry.key not in problems]
        answers: dict[tuple[str, int], Answer] = {}
        if to_run:
            try:
                answers = self._run_on_chip(to_run, now)
            except HxserveError as error:
                if isinstance(error, ChipError) and error.retryable and self._may_try_again(to_run):
                    raise
                _log_failure(to_run)
                problems |= {entry.key: error for entry in to_run}
            except Exception as error:  # noqa: BLE001 after any failure, the crops behind these must not wait for ever
                _log_failure(to_run)
                failure = ChipError(f"the crops could not be read ({type(error).__name__}: {error})")
                problems |= {entry.key: failure for entry in to_run}
        for problem in problems.values():
            traces.note({}, error=problem.code)
        return [
            Answer(problem=problem_of(problems[entry.key])) if entry.key in problems else answers[entry.key]
            for entry in batch
        ]

    def _run_on_chip(self, batch: list[Entry], now: float) -> dict[tuple[str, int], Answer]:
        lane, repeats = batch[0].lane, batch[0].repeats
        version = self._versions.get(lane.model, lane.version)
        crops = np.frombuffer(b"".join(entry.crops for entry in batch), np.uint8).reshape(-1, CROP_BYTES)
        started = time.monotonic()
        chip_call = traces.child("chip call", {"hxserve.crops": len(crops), "hxserve.repeats": repeats})
        with chip_call, self._account.doing("chip"), self._session.guarded():
            are_asked = any(Extras.ACTIVATIONS in entry.extras for entry in batch if entry.extras)
            reading = version.read(crops, repeats, activations=are_asked)
        chip_s = time.monotonic() - started
        self.tally.note(lane.model, len(crops), chip_s)
        self.on_chip = lane.reference
        provenance = Provenance(
            model=lane.model,
            version=lane.version,
            chip=self._session.chip,
            backend=self._session.backend,
            calibration=self._session.calibration,
            transferred=version.manifest.is_transferred_to(self._session.identifier),
            batch_crops=len(crops),
            chip_s=chip_s,
            repeats=repeats,
        )
        answers, slot = {}, 0
        for entry in batch:
            end = slot + entry.count
            answer = answers[entry.key] = Answer(
                *_as_bytes(reading, slot, end),
                slot=slot,
                waiting_s=max(0.0, now - entry.accepted_at),
                provenance=provenance,
            )
            if entry.extras and Extras.ACTIVATIONS in entry.extras:  # nearly all entries have none
                answer.activations = _activations(reading, slot, end)
            if entry.extras and Extras.MOCK in entry.extras:
                in_mock = version.read_in_mock(crops[slot:end], repeats)
                answer.mock = Scores(*_as_bytes(in_mock, 0, entry.count))
            slot = end
        self._shadow.note(Seen(version, crops, reading.digits, repeats))
        if self._trials:
            self._trials.note(lane, crops, reading, repeats)
        return answers

    def _may_try_again(self, batch: list[Entry]) -> bool:
        """Return whether crops may be tried again after a failure of the chip."""
        for entry in batch:
            self._chip_failures[entry.key] = self._chip_failures.get(entry.key, 0) + 1
        return all(self._chip_failures[entry.key] < _MOST_CHIP_FAILURES for entry in batch)

    def _finish(
        self, batch: list[Entry], answers: list[Answer], elapsed_s: float, prefetch: Prefetch
    ) -> Backlog:
        crops = sum(entry.count for entry in batch)
        pace = elapsed_s / crops
        self.crop_s = pace if self.crop_s is None else self.crop_s + _PACE_WEIGHT * (pace - self.crop_s)
        replies: dict[str, list[tuple[str, int, bytes]]] = {}
        charges: dict[str, float] = {}
        finished = []
        for entry, answer in zip(batch, answers, strict=True):
            self._chip_failures.pop(entry.key, None)
            packed = answer.pack()
            if entry.reply_to:
                replies.setdefault(entry.reply_to, []).append((entry.id, entry.part, packed))
            if answer.problem:
                expired = answer.problem["code"] == ExpiredError.code
                ended = JobState.EXPIRED if expired else JobState.FAILED
                finished.append(Finished(entry, b"", ended, json.dumps(dict(answer.problem))))
            else:
                user = entry.lane.user
                charges[user] = charges.get(user, 0.0) + elapsed_s * entry.count / crops
                finished.append(Finished(entry, packed))
        packed_replies = {stream: msgpack.packb(batch) for stream, batch in replies.items()}
        with self._account.doing("records"):
            return self._crops.finish(self._lease, finished, packed_replies, charges, prefetch)


def _as_bytes(reading: Reading, first: int, end: int) -> tuple[bytes, bytes, bytes]:
    """Return digits, scores and confidences of crops `first` to `end` of a batch."""
    return (
        reading.digits[first:end].tobytes(),
        reading.scores[first:end].tobytes(),
        reading.confidences[first:end].tobytes(),
    )


def _activations(reading: Reading, first: int, end: int) -> Activations:
    """Return the hidden activations of crops `first` to `end` of a batch."""
    layers = tuple((name, values.shape[1:]) for name, values in reading.hidden.items())
    parts = [values[first:end].reshape(end - first, -1) for values in reading.hidden.values()]
    return Activations(layers, np.concatenate(parts, axis=1).tobytes() if parts else b"")


def _log_failure(batch: list[Entry]) -> None:
    """Log the failure of crops with the current traceback."""
    ids = list(dict.fromkeys(entry.id for entry in batch))
    with about(jobs=",".join(ids), users=",".join(sorted({entry.lane.user for entry in batch}))):
        _log.exception("crops of %d requests for %s could not be read", len(ids), batch[0].lane.reference)


def _repeats(entry: Entry) -> int:
    return entry.repeats


def _problem(entry: Entry) -> HxserveError | None:
    if entry.is_expired:
        return ExpiredError()
    if entry.claims > _MOST_CLAIMS:
        return JobCrashedError(
            f"these crops ended their worker {_MOST_CLAIMS} times and were set aside; check the images and the model"
        )
    return None

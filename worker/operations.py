"""Running the operations of programs on the chip."""

import logging
import time
from collections import OrderedDict
from collections.abc import Mapping
from typing import Final

import numpy as np
import torch

from services.chips.store import Lease
from services.crops.answers import problem_of
from services.crops.claims import NO_PREFETCH, Backlog, Prefetch
from services.errors import ChipError, HxserveError, JobCrashedError, WeightsUnknownError
from services.logs import about
from services.names import group_of
from services.programs.operations import Operation, Readouts
from services.programs.store import Claimed, ProgramStore
from services.scheduling.policy import WaitingOperation
from services.tracing import traces
from worker.chip import ChipSession
from worker.time_accounting import TimeAccount
from worker.work_traces import operation_span

_MOST_CLAIMS: Final = 3
_MOST_CHIP_FAILURES: Final = 3
_MOST_KEPT_BYTES: Final = 64 * 2**20
_log = logging.getLogger(__name__)


class Operations:
    """Claims operations, runs them on the chip, and stores their answers."""

    def __init__(
        self, lease: Lease, session: ChipSession, programs: ProgramStore, account: TimeAccount | None = None
    ) -> None:
        self._lease = lease
        self._session = session
        self._programs = programs
        self._account = account or TimeAccount()
        self._weights = _KeptWeights()
        self._served_at: dict[str, float] = {}
        self._chip_failures: dict[str, int] = {}

    def waiting(self, operations: Mapping[str, tuple[str, str, float]]) -> list[WaitingOperation]:
        """Return the operations of a backlog for the policy."""
        return [
            WaitingOperation(operation_id, user, accepted_at, self._served_at.get(group_of(user), 0.0))
            for operation_id, (_, user, accepted_at) in operations.items()
        ]

    def run(self, operation_id: str, look: Backlog, prefetch: Prefetch = NO_PREFETCH) -> Backlog | None:
        """Run an operation of a backlog; return the one afterwards, None if its session has ended.

        `prefetch` are crops to claim together with the answer.

        Raises:
            LeaseLostError: the worker no longer holds the chip.
            RedisUnavailableError: the answer is not stored; the operation waits on.
            ChipError: the chip failed, and may not the next time; the operation waits on.
        """
        _, user, accepted_at = look.operations[operation_id]
        with self._account.doing("records"):
            claimed = (
                Claimed.of(look.handed) if look.handed else self._programs.claim(self._lease, operation_id)
            )
        if claimed is None:
            return None
        started = time.monotonic()
        span = operation_span(claimed, accepted_at, look.now)
        with about(job=claimed.operation.session, user=user), traces.ended(span):
            answer = self._answer(operation_id, claimed.operation, claimed.claims, look.now - accepted_at)
        self._served_at[group_of(user)] = look.now
        with self._account.doing("records"):
            return self._programs.finish(
                self._lease,
                operation_id,
                user,
                claimed.operation.session,
                answer,
                0.0 if answer.problem else time.monotonic() - started,
                prefetch,
            )

    def _answer(self, operation_id: str, operation: Operation, claims: int, waiting_s: float) -> Readouts:
        if claims > _MOST_CLAIMS:
            return Readouts(
                problem=problem_of(
                    JobCrashedError(
                        f"this operation ended its worker {_MOST_CLAIMS} times and was set aside; send smaller ones"
                    )
                )
            )
        try:
            answer = self._run_on_chip(operation, max(0.0, waiting_s))
        except HxserveError as error:
            failures = self._chip_failures.get(operation_id, 0) + 1
            if isinstance(error, ChipError) and error.retryable and failures < _MOST_CHIP_FAILURES:
                self._chip_failures[operation_id] = failures
                raise
            answer = Readouts(problem=problem_of(error))
        except Exception as error:  # noqa: BLE001 after any failure, the operations behind this one must not wait for ever
            _log.exception("an operation failed")
            failure = ChipError(f"the operation failed ({type(error).__name__}: {error})")
            answer = Readouts(problem=problem_of(failure))
        self._chip_failures.pop(operation_id, None)
        return answer

    def _run_on_chip(self, operation: Operation, waiting_s: float) -> Readouts:
        weights = self._weights_of(operation)
        inputs = _tensor(operation.inputs, np.uint8, operation.rows)
        calibration = (self._session.calibration or {}).get("sha256", "")
        started = time.monotonic()
        with traces.child("chip call"), self._account.doing("chip"), self._session.guarded():
            readouts = self._session.multiply(
                inputs,
                weights,
                num_sends=operation.num_sends,
                wait_between_events=operation.wait_between_events,
            )
        if readouts.shape != (operation.batch, operation.columns):
            raise ChipError(
                f"the chip gave readouts of shape {tuple(readouts.shape)}; "
                f"expected ({operation.batch}, {operation.columns})"
            )
        return Readouts(
            readouts=readouts.numpy().astype(np.int8).tobytes(),
            columns=operation.columns,
            chip=self._session.chip,
            backend=self._session.backend,
            calibration=calibration,
            waiting_s=waiting_s,
            chip_s=time.monotonic() - started,
        )

    def _weights_of(self, operation: Operation) -> torch.Tensor:
        if operation.weights:
            return _tensor(operation.weights, np.int8, operation.columns)
        key = (operation.session, operation.digest)
        weights = self._weights.get(key)
        if weights is None:
            stored = self._programs.weights(operation.session, operation.digest)
            if stored is None:
                raise WeightsUnknownError
            weights = _tensor(stored, np.int8, operation.columns)
            self._weights.keep(key, weights)
        return weights


def _tensor(content: bytes, dtype: type[np.int8 | np.uint8], columns: int) -> torch.Tensor:
    """Return integers, row by row, as float32 (rows, columns)."""
    return torch.from_numpy(np.frombuffer(content, dtype).astype(np.float32)).reshape(-1, columns)


class _KeptWeights:
    """The weights used last, as tensors, by session and digest; they are never changed."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str], torch.Tensor] = OrderedDict()
        self._bytes = 0

    def get(self, key: tuple[str, str]) -> torch.Tensor | None:
        """Return weights; None if they are not here."""
        weights = self._kept.get(key)
        if weights is not None:
            self._kept.move_to_end(key)
        return weights

    def keep(self, key: tuple[str, str], weights: torch.Tensor) -> None:
        """Keep weights, and drop those used longest ago."""
        self._kept[key] = weights
        self._bytes += weights.nbytes
        while self._bytes > _MOST_KEPT_BYTES and len(self._kept) > 1:
            _, dropped = self._kept.popitem(last=False)
            self._bytes -= dropped.nbytes

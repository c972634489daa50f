"""The chip of a service, as hxtorch's names use it: a `Chip` of the emulator that computes by requests."""

import atexit
import os
import threading
from pathlib import Path
from typing import Final

import torch

from hxserve.addresses import find_address
from hxserve.errors import ClientError, SharedChipError
from hxserve.programs.calibration_names import read_calibration_name
from hxserve.programs.operations import (
    Answer,
    SentWeights,
    Weights,
    decode_answer,
    encode_operation,
)
from hxserve.programs.patience import PATIENCE_S
from hxserve.programs.session import ENDED, Session, SessionFacts, operation_key, program_name
from hxserve.transport import Transport
from hxtorch_emulator import logger

CHIP_VARIABLE: Final = "HXSERVE_CHIP_ID"
_ANSWER_TIMEOUT_S: Final = 60.0

_log = logger.get(__name__).python_logger


class RemoteChip:
    """One program's share of a chip; safe to share between threads.

    Args:
        url: address of the service; by default the one that `hxserve` would use.
        token: bearer token.
        chip: the chip's name in the service; by default the variable HXSERVE_CHIP_ID, else the least busy chip.
        program: name shown to people; by default that of the script or notebook.
        patience_s: longest absence of the service or its chip before an operation fails, in seconds.
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        chip: str | None = None,
        program: str | None = None,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._address = url, token
        self._chip = chip or os.environ.get(CHIP_VARIABLE) or None
        self._program = program
        self._patience_s = patience_s
        self._transport: Transport | None = None
        self._session: Session | None = None
        self._process = 0
        self._calibration_sha256: str | None = None
        self._demanded_sha256: str | None = None
        self._sent = SentWeights()
        self._lock = threading.RLock()

    @property
    def chip_id(self) -> str:
        """Identifier of the hardware of the open chip, else of the one that would be opened."""
        return self.facts().identifier

    def facts(self) -> SessionFacts:
        """Return the facts of the open session; without one, of a session that is opened for the question.

        The chip that answers is the one that `open` will take.

        Raises:
            SharedChipError: the service refused, or stayed away.
        """
        if self._session is not None:
            return self._session.facts
        session = self._open_session(None)
        session.end()
        self._chip = session.facts.chip
        return session.facts

    def open(self, calibration: Path | None) -> None:
        """Open a session, in which the chip must have the calibration that the file names.

        Raises:
            RuntimeError: the file is missing or names none, or the chip has another calibration now; the service
                refused, or stayed away.
        """
        demanded_sha256 = None
        if calibration is not None:
            name = read_calibration_name(calibration)
            self._chip, demanded_sha256 = name.chip, name.sha256
        self.close()
        with self._lock:
            self._demanded_sha256 = demanded_sha256
            self._take(self._open_session(demanded_sha256))
            self._calibration_sha256 = self._current().facts.calibration_sha256
        atexit.register(self.close)

    def open_uncalibrated(self) -> None:
        """Open a session: a shared chip always keeps the calibration that it has."""
        self.open(None)
        _log.info("the shared chip keeps its calibration")

    def close(self) -> None:
        """End the session; harmless without one, and in a process that was forked from the one which opened it."""
        atexit.unregister(self.close)
        session, self._session = self._session, None
        if session is not None and self._process == os.getpid():
            session.end()

    def multiply(
        self, inputs: torch.Tensor, weights: torch.Tensor, *, num_sends: int, wait_between_events: int
    ) -> torch.Tensor:
        """Let the chip multiply, in as many operations as the service's limits ask for; return the readouts.

        Args:
            inputs: (batch, rows), integers 0..31.
            weights: (rows, columns), integers -63..63.
            num_sends: how often each input is sent.
            wait_between_events: FPGA cycles of 8 ns between two events.

        Returns:
            (batch, columns), -128..127.

        Raises:
            SharedChipError: the service refused, or stayed away; or the matrix is too large for an operation.
        """
        session = self._current()
        batch, (rows, columns) = inputs.shape[0], weights.shape
        if 0 in {batch, rows, columns}:
            return torch.zeros(batch, columns, device=inputs.device)
        sent = Weights.of(weights)
        settings = {"num_sends": num_sends, "wait_between_events": wait_between_events}
        step = session.facts.batch_limit(rows, columns)
        parts = [inputs[start : start + step] for start in range(0, batch, step)]
        readouts = [self._compute(part, sent, settings, is_reused=len(parts) > 1) for part in parts]
        return (readouts[0] if len(readouts) == 1 else torch.cat(readouts)).to(inputs.device)

    def _compute(
        self, inputs: torch.Tensor, weights: Weights, settings: dict[str, int], *, is_reused: bool
    ) -> torch.Tensor:
        """Let the chip compute one operation; `is_reused` says that others have the same weights for sure."""
        key = operation_key()
        while True:
            session = self._current()
            uses = self._sent.note_use(weights.name, 2 if is_reused else 1)
            by_name, keep = uses > 2, uses == 2
            body = encode_operation(inputs, weights, by_name=by_name, keep=keep, **settings)
            try:
                content = session.operate(body, key)
            except SharedChipError as error:
                self._recover(session, error, weights, by_name=by_name)
                continue
            answer = decode_answer(content, (inputs.shape[0], weights.values.shape[1]))
            self._compare_calibration(answer)
            return answer.readouts

    def _recover(self, session: Session, error: SharedChipError, weights: Weights, *, by_name: bool) -> None:
        """Prepare the next try of an operation.

        Raises:
            SharedChipError: there is none.
        """
        if error.code == "weights_unknown" and by_name:
            self._sent.forget(weights.name)
        elif error.code in ENDED:
            self._reopen(session, error)
        else:
            raise error

    def _reopen(self, ended: Session, error: SharedChipError) -> None:
        """Open a session in place of one that ended by its silence; the first thread to notice does it."""
        if ended.is_cancelled():
            raise SharedChipError(
                f"the session {ended.facts.id} was cancelled; call init_hardware() to open another",
                error.code,
            )
        with self._lock:
            if self._session is ended:
                _log.info(
                    "the session %s has ended (%s); another one is opened", ended.facts.id, error.detail
                )
                self._take(self._open_session(self._demanded_sha256))

    def _take(self, session: Session) -> None:
        facts = session.facts
        self._session, self._chip = session, facts.chip
        self._sent = SentWeights()
        _log.info("session %s on %s (%s, %s)", facts.id, facts.chip, facts.identifier, facts.backend)

    def _open_session(self, calibration_sha256: str | None) -> Session:
        try:
            return Session.open(
                self._service(),
                chip=self._chip,
                calibration_sha256=calibration_sha256,
                program=self._program or program_name(),
                patience_s=self._patience_s,
            )
        except SharedChipError:
            raise
        except ClientError as error:
            raise SharedChipError(error.detail, error.code) from error

    def _service(self) -> Transport:
        if self._transport is None or self._process != os.getpid():
            self._process = os.getpid()
            address = find_address(*self._address)
            self._transport = Transport(
                address, timeout_s=_ANSWER_TIMEOUT_S, retries=4, backoff_s=0.2, maxsize=16
            )
        return self._transport

    def _current(self) -> Session:
        session = self._session
        if session is None:
            raise RuntimeError("No connection allocated. Call init_hardware() first, or pass mock=True.")
        if self._process != os.getpid():
            raise SharedChipError(
                "the chip was opened before this process was forked; call init_hardware() in it",
                "other_process",
            )
        return session

    def _compare_calibration(self, answer: Answer) -> None:
        """Warn once when the chip has another calibration than before."""
        with self._lock:
            changed = answer.calibration_sha256 != self._calibration_sha256
            self._calibration_sha256 = answer.calibration_sha256
        if changed:
            _log.warning(
                "the chip was calibrated since the session was opened: results before and after are not comparable; "
                "measure_mock_parameter() gives its gain and noise now"
            )

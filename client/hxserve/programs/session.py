"""A program's session at the service: opened, used, ended."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Final, Self
from uuid import uuid4

from hxserve.classification import fresh_key
from hxserve.errors import AnswerNotUnderstoodError, ClientError, SharedChipError
from hxserve.programs.patience import PATIENCE_S, request_patiently
from hxserve.transport import Transport, json_object, segment

OPENING_PATIENCE_S: Final = 60.0
_SESSIONS: Final = "/v1/chip/sessions"
_MEDIA_TYPE: Final = "application/x-safetensors"
_LONGEST_PROGRAM_NAME: Final = 100
_HEADER_BYTES: Final = 2048
"""More than the header of an operation takes."""
_FORGOTTEN: Final = "job_not_found"
ENDED: Final = frozenset({"session_ended", _FORGOTTEN})
"""Codes of refusals because the session is open no more."""


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """What the service said of a session when it was opened.

    Attributes:
        id: of the session, which is a job of the kind `program`.
        chip: the chip's name in the service, e.g. "chip-1".
        backend: what computes: hxtorch, emulator or mock.
        identifier: of the hardware, e.g. "hxcube7fpga0chip67_1"; the chip's name where there is none.
        calibration_sha256: of the calibration in use; None if the backend has none.
        calibration: what the service knows of it.
        max_operation_bytes: largest body of an operation.
        max_operation_macs: most multiply-accumulates of an operation.
    """

    id: str
    chip: str
    backend: str
    identifier: str
    calibration_sha256: str | None
    calibration: Mapping[str, Any] | None
    max_operation_bytes: int
    max_operation_macs: int

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """Read the facts from the service's JSON.

        Raises:
            AnswerNotUnderstoodError: it describes no session.
        """
        try:
            return cls(
                id=str(record["id"]),
                chip=str(record["chip"]),
                backend=str(record["backend"] or ""),
                identifier=str(record["identifier"] or record["chip"]),
                calibration_sha256=record["calibration_sha256"],
                calibration=record["calibration"],
                max_operation_bytes=int(record["max_operation_bytes"]),
                max_operation_macs=int(record["max_operation_macs"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise AnswerNotUnderstoodError(
                f"the service sent a session that cannot be read ({error!r})"
            ) from None

    def batch_limit(self, rows: int, columns: int) -> int:
        """Return how many inputs an operation with weights (rows, columns) may have.

        Raises:
            SharedChipError: not one.
        """
        by_bytes = (self.max_operation_bytes - _HEADER_BYTES - rows * columns) // rows
        limit = min(by_bytes, self.max_operation_macs // (rows * columns))
        if limit < 1:
            raise SharedChipError(
                f"weights of {rows} x {columns} are too large for an operation of the service, which takes "
                f"{self.max_operation_bytes} bytes and {self.max_operation_macs} multiply-accumulates; "
                "use several smaller layers",
                "too_large",
            )
        return limit


class Session:
    """One session; safe to share between threads."""

    def __init__(self, transport: Transport, facts: SessionFacts, *, patience_s: float = PATIENCE_S) -> None:
        self.facts = facts
        self._transport = transport
        self._patience_s = patience_s
        self._path = f"{_SESSIONS}/{segment(facts.id)}"

    @classmethod
    def open(
        cls,
        transport: Transport,
        *,
        chip: str | None,
        calibration_sha256: str | None,
        program: str,
        patience_s: float = PATIENCE_S,
    ) -> Self:
        """Open a session.

        Args:
            transport: to the service.
            chip: its name; None for the least busy one.
            calibration_sha256: the calibration that the chip must have; None for whichever it has.
            program: name shown to people.
            patience_s: longest absence of the service or its chip, in seconds.

        Raises:
            SharedChipError: the service refused, or stayed away.
        """
        answer = request_patiently(
            transport,
            "POST",
            _SESSIONS,
            patience_s=min(patience_s, OPENING_PATIENCE_S),
            outlasts_maintenance=False,
            json={"chip": chip, "calibration": calibration_sha256, "program": program},
            headers=fresh_key(),
        )
        facts = SessionFacts.from_record(json_object(answer))
        return cls(transport, facts, patience_s=patience_s)

    def operate(self, body: bytes, key: str) -> bytes:
        """Let the chip compute an operation; return the answer's body.

        The same operation may be sent again under the same key: it is computed once.

        Raises:
            SharedChipError: the service refused (`weights_unknown`, `session_ended` and others), or stayed away.
        """
        answer = request_patiently(
            self._transport,
            "POST",
            f"{self._path}/operations",
            patience_s=self._patience_s,
            describe_line=self._describe_line,
            body=body,
            headers={"Content-Type": _MEDIA_TYPE, "Idempotency-Key": key},
        )
        return answer.data

    def _describe_line(self) -> str:
        """Return how many operations go before this session's; for the log, so without it where it cannot be had."""
        try:
            position = self._transport.call_json("GET", self._path, retry=False).get("position")
        except ClientError:
            position = None
        return "the chip is busy" if not position else f"{position} operations of others go before"

    def is_cancelled(self) -> bool:
        """Return whether somebody cancelled the session; one that the service has forgotten was not.

        Raises:
            SharedChipError: the service refused, or stayed away.
        """
        try:
            answer = request_patiently(self._transport, "GET", self._path, patience_s=self._patience_s)
        except SharedChipError as error:
            if error.code == _FORGOTTEN:
                return False
            raise
        return json_object(answer).get("state") == "cancelled"

    def end(self) -> None:
        """End the session; harmless when it has ended, or the service is away: it then ends by its silence."""
        try:
            self._transport.request("DELETE", self._path, retry=False)
        except ClientError:
            return


def operation_key() -> str:
    """Return a new name for an operation."""
    return uuid4().hex


def program_name(environment: Mapping[str, str] = os.environ) -> str:
    """Return the name of the notebook or script that runs, at most 100 characters."""
    path = environment.get("JPY_SESSION_NAME") or sys.argv[0]
    name = os.fsencode(PurePath(path).name).decode("utf-8", "replace")
    return name[:_LONGEST_PROGRAM_NAME] or "python"

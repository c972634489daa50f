"""The service's side of a shared chip: sessions and operations, computed by hxtorch's mock without noise."""

import hashlib
import json
import threading
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import torch
from safetensors.torch import load, save

from hxtorch_emulator.perceptron import MockParameter, mock
from hxtorch_emulator.perceptron.ranges import Rounded
from tests.client.service import DROPPED, Reply, Request, Service, problem

IDENTIFIER = "hxcube7fpga0chip67_1"
CALIBRATION = "a" * 64
RECALIBRATION = "b" * 64
GAIN = 0.01
SESSIONS = "/v1/chip/sessions"


@dataclass(slots=True)
class ServedSession:
    """A session as the service keeps it."""

    id: str
    request: dict[str, Any]
    state: str = "running"
    kept: dict[str, torch.Tensor] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation as the chip computed it."""

    key: str
    inputs: torch.Tensor
    weights: torch.Tensor
    was_named: bool
    was_kept: bool
    settings: tuple[int, int]


class SharingService(Service):
    """Serves one chip by the contract of sessions and operations.

    Attributes:
        sessions: by their ids.
        computed: what the chip computed, in order; an operation under a known key is answered without it.
        calibration: sha256 of the chip's present one.
        identifier: of the chip's hardware.
        limits: bytes and multiply-accumulates of an operation.
        operation_faults: replies to operations before these are looked at.
        position: number of operations that go before a session's own.
        lost_answers: number of operations whose answer is lost on the way after they were computed.
    """

    def __init__(self) -> None:
        super().__init__()
        self.sessions: dict[str, ServedSession] = {}
        self.computed: list[Operation] = []
        self.calibration: str | None = CALIBRATION
        self.identifier: str | None = IDENTIFIER
        self.limits = (8 * 2**20, 2**27)
        self.operation_faults: deque[Reply] = deque()
        self.lost_answers = 0
        self.position: int | None = None
        self._answers: dict[str, Reply] = {}
        self._computing = threading.Lock()

    def forget_weights(self) -> None:
        """Loses all weights, as a restarted service does."""
        for session in self.sessions.values():
            session.kept.clear()

    def end_sessions(self, state: str) -> None:
        """Ends all sessions."""
        for session in self.sessions.values():
            session.state = state

    def _planned(self, request: Request) -> Reply:
        match request.method, request.path.removeprefix(SESSIONS).split("/"):
            case _ if not request.path.startswith(SESSIONS):
                return super()._planned(request)
            case "POST", [""]:
                return self._open(request)
            case "POST", ["", id_, "operations"]:
                with self._computing:
                    return self._operate(self.sessions[id_], request)
            case "DELETE", ["", id_]:
                self.sessions[id_].state = "succeeded"
                return Reply(document=self._record(self.sessions[id_]))
            case _, ["", id_]:
                return Reply(document=self._record(self.sessions[id_]))
            case _:
                return super()._planned(request)

    def _open(self, request: Request) -> Reply:
        asked = request.json
        if asked["chip"] not in {None, "chip-1"}:
            return problem(404, "not_found", f"there is no chip {asked['chip']}; there is chip-1")
        if asked["calibration"] not in {None, self.calibration}:
            return problem(
                409, "calibration_changed", "chip-1 was calibrated since; save its calibration again"
            )
        session = ServedSession(f"session-{len(self.sessions) + 1}", asked)
        self.sessions[session.id] = session
        return Reply(201, self._record(session))

    def _record(self, session: ServedSession) -> dict[str, Any]:
        return {
            "id": session.id,
            "chip": "chip-1",
            "backend": "emulator",
            "identifier": self.identifier,
            "calibration": {"sha256": self.calibration},
            "calibration_sha256": self.calibration,
            "gain": GAIN,
            "noise_std": 0.0,
            "idle_timeout_s": 600.0,
            "max_operation_bytes": self.limits[0],
            "max_operation_macs": self.limits[1],
            "since": "2026-03-01T10:00:00Z",
            "state": session.state,
            "position": self.position,
        }

    def _operate(self, session: ServedSession, request: Request) -> Reply:
        if self.operation_faults:
            return self.operation_faults.popleft()
        if session.state != "running":
            return problem(409, "session_ended", f"the session {session.id} was silent for 600 s")
        key = request.headers["Idempotency-Key"]
        if key not in self._answers:
            if len(request.body) > self.limits[0]:
                return problem(413, "too_large", "split the batch")
            reply = self._compute(session, key, request.body)
            if reply.status != 200:  # a refusal is not kept
                return reply
            self._answers[key] = reply
            if self.lost_answers:
                self.lost_answers -= 1
                return DROPPED
        return self._answers[key]

    def _compute(self, session: ServedSession, key: str, body: bytes) -> Reply:
        tensors = load(body)
        metadata = json.loads(body[8 : 8 + int.from_bytes(body[:8], "little")])["__metadata__"]
        inputs, weights = tensors["inputs"], tensors.get("weights")
        was_named = weights is None
        weights = session.kept.get(metadata["weights"]) if weights is None else weights
        if weights is None:
            return problem(412, "weights_unknown", "these weights are not kept; send them")
        assert (inputs.dtype, weights.dtype) == (torch.uint8, torch.int8)
        assert inputs.shape[0] * weights.numel() <= self.limits[1]
        rows, columns = weights.shape
        name = f"{hashlib.sha256(weights.numpy().tobytes()).hexdigest()}:{rows}x{columns}"
        assert metadata.get("weights", name) == name
        was_kept = metadata.get("keep") == "true"
        if was_kept:
            session.kept[name] = weights
        settings = int(metadata["num_sends"]), int(metadata["wait_between_events"])
        self.computed.append(Operation(key, inputs, weights, was_named, was_kept, settings))
        readouts = mock.multiply(
            Rounded(inputs.float(), has_nan=False),
            Rounded(weights.float(), has_nan=False),
            num_sends=settings[0],
            parameter=MockParameter(noise_std=0.0, gain=GAIN),
        )
        said = {
            "chip": "chip-1",
            "backend": "emulator",
            "calibration": self.calibration or "",
            "waiting_ms": "0.1",
            "chip_ms": "0.2",
        }
        content = save({"readouts": readouts.to(torch.int8)}, said)
        return Reply(200, body=content, headers={"Content-Type": "application/x-safetensors"})

"""Sessions of programs written for hxtorch, and their operations on the chip."""

from typing import Annotated, Any, Self

from flask import Blueprint, Response, request
from pydantic import Field

from api.application import application
from api.authentication import authenticator, current_user
from api.documentation import SPEC, answers, json_response
from api.operations import MEDIA_TYPE, run_operation
from api.schemas import Moment, Schema, rounded
from api.server.wsgi import request_of
from services.jobs.record import JobState
from services.names import Name
from services.programs.operations import MOST_BYTES, MOST_MACS
from services.programs.sessions import IDLE_TIMEOUT_S, Session, calibration_of
from services.settings import Backend

routes = Blueprint("programs", __name__, url_prefix="/v1/chip/sessions")


class SessionBody(Schema):
    """A session to open: on any chip, or on one; on its present calibration, or on this one alone."""

    chip: Name | None = None
    calibration: Annotated[
        str | None,
        Field(max_length=64, description="sha256 of the calibration that the program was written for."),
    ] = None
    program: Annotated[str, Field(max_length=100, description="A name for people.")] = ""


class SessionAnswer(Schema):
    """A session of a program on a chip."""

    id: str
    state: JobState
    chip: str
    backend: Backend | None
    identifier: str | None
    calibration: dict[str, Any] | None
    calibration_sha256: str | None
    gain: float | None
    noise_std: float | None
    program: str
    since: Moment
    idle_timeout_s: float
    max_operation_bytes: int
    max_operation_macs: int
    operations: int
    chip_time_s: Annotated[float, rounded(3)]
    position: Annotated[
        int | None, Field(description="Operations that go before its own; null while none of its own waits.")
    ]

    @classmethod
    def of(cls, session: Session) -> Self:
        """Describe a session."""
        job, status = session.job, session.chip.status
        facts = {
            name: status.get(name) for name in ("backend", "identifier", "calibration", "gain", "noise_std")
        }
        return cls(
            id=job.id,
            state=job.state,
            chip=session.chip.chip,
            calibration_sha256=calibration_of(session.chip) or None,
            program=job.params["program"],
            since=job.created_at,  # type: ignore[arg-type] # made text when the document is
            idle_timeout_s=IDLE_TIMEOUT_S,
            max_operation_bytes=MOST_BYTES,
            max_operation_macs=MOST_MACS,
            operations=job.operations,
            chip_time_s=job.chip_time_s,
            position=session.position,
            **facts,
        )


@routes.post("")
@SPEC.validate(resp=answers(201, SessionAnswer, 404, 409, 415), tags=["programs"])
def open_session(json: SessionBody) -> Response:
    """Open a session for a program, on the chip named or on the least busy one.

    It lasts until it is released, cancelled like a job, or unused for `idle_timeout_s`. Its record is a job of the kind
    `program`.
    """
    opened = application().programs.open(current_user(), json.chip, json.calibration, json.program)
    return json_response(SessionAnswer.of(opened), 201)


@routes.get("/<session>")
@SPEC.validate(resp=answers(200, SessionAnswer, 404), tags=["programs"])
def show_session(session: str) -> SessionAnswer:
    """Show a session, open or ended."""
    return SessionAnswer.of(application().programs.show(session, current_user()))


@routes.delete("/<session>")
@SPEC.validate(resp=answers(200, SessionAnswer, 404), tags=["programs"])
def end_session(session: str) -> SessionAnswer:
    """End a session; one that has ended stays as it is."""
    return SessionAnswer.of(application().programs.end(session, current_user()))


@routes.post("/<session>/operations")
@SPEC.validate(
    resp=answers(200, None, 404, 409, 412, 413, 415, 502, 504), skip_validation=True, tags=["programs"]
)
def operate(session: str) -> Response:
    """Run one multiply-accumulate on the session's chip.

    Body and answer are safetensors: `inputs` U8 (batch, rows), 0..31, and `weights` I8 (rows, columns), -63..63, or the
    name of weights that the session keeps; `readouts` I8 (batch, columns). The header `Idempotency-Key` names the
    operation: sent again under the same one, it is run once, and has the same answer.
    """
    body = run_operation(application(), authenticator(), request_of(request.environ), session, current_user())
    return Response(body, content_type=MEDIA_TYPE)

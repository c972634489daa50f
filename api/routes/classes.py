"""Classes, for their teachers: seats, pupils and what they do, the export at the end."""

import tempfile
from collections.abc import Mapping
from datetime import UTC
from typing import Annotated, Any

from flask import Blueprint, Response, request, send_file
from pydantic import AwareDatetime, Field, StrictBool

from api.application import Application, application
from api.authentication import current_user
from api.documentation import SPEC, answers
from api.routes.challenges import BoardLine, lines
from api.schemas import Moment, Schema, rounded
from services.classes.classes import MOST_TITLE, seat_in
from services.classes.nicknames import MOST_CHARACTERS
from services.classes.record import MOST_SEATS, RETURN_S, Class, ClassState
from services.jobs.record import JobKind, JobState
from services.names import OWNER_SEPARATOR, group_name
from services.users.accounts import Account

routes = Blueprint("classes", __name__, url_prefix="/v1/classes")

_NEWEST_JOBS = 3

Title = Annotated[str, Field(min_length=1, max_length=MOST_TITLE)]
Seats = Annotated[int, Field(ge=1, le=MOST_SEATS, strict=True)]
End = Annotated[AwareDatetime, Field(description="ISO 8601 with a time zone; within 24 hours from now.")]


class NewClassBody(Schema):
    """A class to start."""

    title: Title
    seats: Seats = 25
    until: End


class ChangedClassBody(Schema):
    """Changes of a class; what is left out stays as it is."""

    title: Title | None = None
    until: End | None = None
    paused: StrictBool | None = None


class NicknameBody(Schema):
    """Another nickname of a pupil."""

    nickname: Annotated[str, Field(min_length=1, max_length=MOST_CHARACTERS)]


class ClassSummary(Schema):
    """A class; `code` is what its pupils type, and the end of `link`."""

    code: str
    title: str
    teacher: str
    state: ClassState
    seats: Annotated[int, Field(description="Pupils that may join.")]
    taken: Annotated[int, Field(description="Pupils that have joined.")]
    created_at: Moment
    until: Moment
    deleted_at: Annotated[Moment, Field(description="What the pupils made is deleted then.")]
    link: str


class PupilJob(Schema):
    """One of the newest jobs of a pupil; `GET /v1/jobs/{id}` has all of it."""

    id: str
    kind: JobKind
    model: str
    state: JobState
    progress: float


class PupilModel(Schema):
    """A model of a pupil, which the teacher may use but not change."""

    name: str
    versions: list[str]


class Pupil(Schema):
    """A pupil: the seat, the account behind it, and what it did."""

    seat: str
    user: str
    nickname: str
    joined_at: Moment
    chip_s: Annotated[float, rounded(3)]
    unfinished: Annotated[int, Field(description="Unfinished long jobs.")]
    jobs: Annotated[list[PupilJob], Field(description="The newest ones.")]
    models: list[PupilModel]


class ClassAnswer(ClassSummary):
    """A class with its pupils, in the order in which they came, and the board of its challenges."""

    pupils: list[Pupil]
    board: Annotated[dict[str, list[BoardLine]], Field(description="The best scores, by challenge.")]


class ClassesAnswer(Schema):
    """Classes, the newest first."""

    classes: list[ClassSummary]


class ReturnAnswer(Schema):
    """A code with which a pupil enters the seat again, once."""

    code: str
    link: str
    expires_in_s: float


@routes.get("")
@SPEC.validate(resp=answers(200, ClassesAnswer), tags=["classes"])
def list_classes() -> ClassesAnswer:
    """List your classes; admins see all."""
    app = application()
    return ClassesAnswer(classes=[_summary(app, each) for each in app.classes.of(current_user())])


@routes.post("")
@SPEC.validate(resp=answers(201, ClassSummary, 403, 415), tags=["classes"])
def start_class(json: NewClassBody) -> Any:
    """Start a class.

    Whoever opens its link picks a nickname and has a user of their own until its end. Pupils cannot start one.
    """
    app = application()
    until = json.until.astimezone(UTC).timestamp()
    started = app.classes.start(current_user(), json.title, json.seats, until)
    return _summary(app, started), 201, {"Location": f"/v1/classes/{started.code}"}


@routes.get("/<code>")
@SPEC.validate(resp=answers(200, ClassAnswer, 404), tags=["classes"])
def show_class(code: str) -> ClassAnswer:
    """Show a class of yours with its pupils: their newest jobs, chip time and models."""
    app = application()
    found = app.classes.get(current_user(), code)
    seats = app.classes.seats(found)
    used = app.usage.by_user(JobKind)
    owned: dict[str, list[PupilModel]] = {}
    for name in app.models.names():
        owner = name.partition(OWNER_SEPARATOR)[0]
        owned.setdefault(owner, []).append(PupilModel(name=name, versions=app.models.versions(name)))
    pupils = [
        _pupil(app, seat, sum(used.get(seat.name, {}).values()), owned.get(seat.name, [])) for seat in seats
    ]
    best = app.boards.best(group_name(found.code))
    board = {name: lines(scores, "") for name, scores in best.items()}
    return ClassAnswer(**_facts(app, found, len(seats)), pupils=pupils, board=board)


@routes.patch("/<code>")
@SPEC.validate(resp=answers(200, ClassSummary, 404, 409, 415), tags=["classes"])
def change_class(code: str, json: ChangedClassBody) -> ClassSummary:
    """Change the title or the end of a class, pause it or let it go on.

    While it is paused, what its pupils submit is refused with `class_paused`; what they submitted before goes on.
    """
    app = application()
    until = json.until.astimezone(UTC).timestamp() if json.until else None
    changed = app.classes.change(current_user(), code, title=json.title, until=until, paused=json.paused)
    return _summary(app, changed)


@routes.post("/<code>/end")
@SPEC.validate(resp=answers(200, ClassSummary, 404), tags=["classes"])
def end_class(code: str) -> ClassSummary:
    """End a class: its pupils are out within a second, and what they made is kept until `deleted_at`."""
    app = application()
    return _summary(app, app.classes.end(current_user(), code))


@routes.delete("/<code>")
@SPEC.validate(resp=answers(202, ClassSummary, 404), tags=["classes"])
def delete_class(code: str) -> Any:
    """End a class and delete it with everything that its pupils made; the class is missing when that is done."""
    app = application()
    return _summary(app, app.classes.delete(current_user(), code)), 202


@routes.get("/<code>/export")
@SPEC.validate(resp=answers(200, None, 404), tags=["classes"])
def export_class(code: str) -> Response:
    """Download what the pupils of a class made, as one zip.

    It has `class.json`, and for each pupil a folder with `jobs.json` and the files of each version of a model, which
    can be uploaded again.
    """
    app = application()
    found = app.classes.get(current_user(), code)
    file = tempfile.TemporaryFile()  # noqa: SIM115 the response closes it
    app.class_export.write(found, file)
    file.seek(0)
    return send_file(
        file, mimetype="application/zip", as_attachment=True, download_name=f"class-{found.code}.zip"
    )


@routes.patch("/<code>/seats/<seat>")
@SPEC.validate(resp=answers(200, Pupil, 404, 409, 415), tags=["classes"])
def rename_pupil(code: str, seat: str, json: NicknameBody) -> Pupil:
    """Give a pupil another nickname; seat and user keep their names."""
    app = application()
    renamed = app.classes.rename(current_user(), code, seat, json.nickname)
    if renamed.name in app.boards.players(group_name(code)):
        app.boards.show_player(group_name(code), renamed.name, renamed.nickname)
    return _pupil(app, renamed, 0.0, [])


@routes.delete("/<code>/seats/<seat>")
@SPEC.validate(resp=answers(204, None, 404), tags=["classes"])
def remove_pupil(code: str, seat: str) -> Response:
    """Remove a pupil, who is out within a second, and delete what the pupil made; the seat is free again."""
    application().classes.remove(current_user(), code, seat)
    return Response(status=204)


@routes.post("/<code>/seats/<seat>/return")
@SPEC.validate(resp=answers(201, ReturnAnswer, 404, 409), tags=["classes"])
def let_pupil_back(code: str, seat: str) -> Any:
    """Get a code for a pupil who lost the session: typed at the link of the class, it opens the seat again, once."""
    entry = application().classes.let_back(current_user(), code, seat)
    return ReturnAnswer(code=entry, link=link_of(code), expires_in_s=RETURN_S), 201


def link_of(code: str) -> str:
    """Return the link of a class, at the address under which the present request reached the service."""
    return f"{request.host_url}c/{code.upper()}"


def _facts(app: Application, found: Class, taken: int) -> Mapping[str, Any]:
    return {
        "code": found.code,
        "title": found.title,
        "teacher": found.teacher,
        "state": found.state,
        "seats": found.seats,
        "taken": taken,
        "created_at": found.created_at,
        "until": found.until,
        "deleted_at": found.until + app.class_deletion.keep_s,
        "link": link_of(found.code),
    }


def _summary(app: Application, found: Class) -> ClassSummary:
    return ClassSummary(**_facts(app, found, app.classes.taken(found)))


def _pupil(app: Application, account: Account, chip_s: float, models: list[PupilModel]) -> Pupil:
    newest = app.jobs.newest(before=None, count=_NEWEST_JOBS, user=account.name)
    jobs = app.jobs.get_many(job_id for _, job_id in newest)
    return Pupil(
        seat=seat_in(account.name),
        user=account.name,
        nickname=account.nickname,
        joined_at=account.created_at,  # type: ignore[arg-type] # a moment is made from Unix seconds
        chip_s=chip_s,
        unfinished=sum(job.kind.is_long and not job.state.is_final for job in jobs),
        jobs=[PupilJob.model_validate(job) for job in jobs],
        models=models,
    )

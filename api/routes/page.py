"""The pages: draw a digit, train, follow jobs and chips. Their scripts read `/v1`."""

from typing import Any

from flask import Blueprint, request

from api.application import application
from api.authentication import current_user
from api.pages import language, render_page
from api.problems import status_of
from api.routes.login import open_session
from api.texts import Texts
from services.chips.store import ChipRecord
from services.errors import HxserveError
from services.jobs.recipes import RECIPES
from services.jobs.record import JobKind
from services.settings import CHIPLESS

routes = Blueprint("page", __name__)


@routes.get("/")
def draw() -> Any:
    """Show the drawing page; a token in the address signs in first."""
    if "token" in request.args:
        return open_session(request.args["token"], "/")
    return render_page("draw.html", "draw")


@routes.errorhandler(HxserveError)
def show_problem(error: HxserveError) -> Any:
    """Show an error as a page."""
    status = status_of(type(error))
    words = Texts(language()).problem(error.code, error.message)
    return render_page("problem.html", problem=words, status=int(status)), status


@routes.get("/train")
def train() -> str:
    """Show the form for a training."""
    records = application().chips.records()
    has_chip = any(record.status.get("backend", "mock") not in CHIPLESS for record in records)
    return render_page("train.html", "train", recipes=RECIPES, has_chip=has_chip, maintained=_maintained())


@routes.get("/jobs")
def list_jobs() -> str:
    """Show the list of jobs: your own, or everybody's for admins."""
    return render_page("jobs.html", "job", "jobs", kinds=list(JobKind), maintained=_maintained())


@routes.get("/jobs/<job_id>")
def show_job(job_id: str) -> Any:
    """Show one job: its progress, result and events."""
    job = application().inspections.job(job_id, current_user())
    return render_page(
        "job.html",
        "job",
        job_id=job_id,
        maintained=[] if job.state.is_final else _maintained(),
        has_curves="epochs_total" in job.metrics,
        has_outcome=any(map(any, (job.result or {}).get("confusion", ()))),
    )


@routes.get("/chip")
def watch_chip() -> str:
    """Show the chips: their state and their use."""
    chips = [record.chip for record in application().chips.records()]
    return render_page("chip.html", "chip", "job", chips=chips)


@routes.get("/letters")
def watch_letters() -> str:
    """Show the running letter centres."""
    return render_page("letters.html", "letters")


def _maintained() -> list[ChipRecord]:
    """Return the chips in maintenance, for which long work waits."""
    return [record for record in application().chips.records() if record.drain]

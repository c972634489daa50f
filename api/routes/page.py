"""The pages: draw a digit, correct readings, teach a handwriting, train, follow jobs.

Their scripts read `/v1`.
"""

from dataclasses import asdict
from typing import Any, Final

from flask import Blueprint, request

from api.application import application
from api.authentication import current_user, only_admins
from api.pages import render_page
from api.routes.login import open_session
from services.classes.classes import seat_in
from services.datasets.manifest import BUILT_IN
from services.errors import JobNotFoundError
from services.jobs.recipes import RECIPES, RecipeName
from services.jobs.record import JobKind
from services.names import class_of
from services.settings import CHIPLESS

_CARDS: Final[tuple[tuple[str, RecipeName, int | None], ...]] = (
    ("quick", "strong", 1),
    ("best", "conv", None),
)
"""Cards of the form for a training: name, recipe, and epochs if not the recipe's."""

routes = Blueprint("page", __name__)


@routes.get("/")
def draw() -> Any:
    """Show the drawing page; a token in the address signs in first."""
    if "token" in request.args:
        return open_session(request.args["token"], "/")
    return render_page(
        "draw.html", "draw", "correct", "job", "think", "beside", "twice", "stairs", keep_days=_keep_days()
    )


@routes.get("/corrections")
def show_corrections() -> str:
    """Show your open corrections, and the accuracy in production."""
    return render_page("corrections.html", "corrections", "job", keep_days=_keep_days())


@routes.get("/train")
def train() -> str:
    """Show the form for a training; `dataset` in the address is chosen, the params of the job `again` are filled in."""
    app, user = application(), current_user()
    again = _params_again(request.args["again"]) if "again" in request.args else None
    has_chip = any(record.status.get("backend", "mock") not in CHIPLESS for record in app.chips.records())
    recipes = {
        name: facts
        for name, facts in RECIPES.items()
        if not facts.adapts or (again and again["recipe"] == name)
    }
    datasets = app.dataset_registry.names_for(user)
    dataset = request.args.get("dataset")
    if dataset and dataset not in {*datasets, *BUILT_IN}:
        datasets = [dataset, *datasets]
    return render_page(
        "train.html",
        "train",
        model=seat_in(user.name) if class_of(user.name) else "digits",
        recipes=recipes,
        has_chip=has_chip,
        datasets=datasets,
        dataset=dataset,
        again=again,
        cards=[_card(name, recipe, epochs, has_chip) for name, recipe, epochs in _CARDS],
    )


def _params_again(job_id: str) -> dict[str, Any]:
    """Return model and params of a training, to fill in.

    Raises:
        JobNotFoundError: there is no such training that the user may see.
    """
    job = application().inspections.job(job_id, current_user())
    if job.kind is not JobKind.TRAINING:
        raise JobNotFoundError(f"job {job_id} is no training; only trainings are run again with changes")
    return {"model": job.model, **job.params}


def _card(name: str, recipe: RecipeName, epochs: int | None, has_chip: bool) -> dict[str, Any]:
    """Describe a card of the form: what it fills in, and the accuracy that such trainings reached here."""
    facts = RECIPES[recipe]
    chip_epochs = (facts.chip_epochs if epochs is None else epochs) if has_chip else None
    expected = application().past.expected(
        current_user(), recipe, epochs=epochs or facts.epochs, chip_epochs=chip_epochs
    )
    filled = {"recipe": recipe, "epochs": epochs, "chip_epochs": epochs if has_chip else None}
    return {"name": name, "filled": filled, "expected": expected and asdict(expected)}


@routes.get("/datasets")
def show_datasets() -> str:
    """Show the data sets, and the form to upload one."""
    return render_page("datasets.html", "datasets", "job")


@routes.get("/teach")
def teach() -> str:
    """Show the boxes to write digits in, from which a network learns a handwriting."""
    return render_page("teach.html", "teach", "draw", "job")


@routes.get("/jobs")
def list_jobs() -> str:
    """Show the list of jobs: your own, or everybody's for admins."""
    return render_page("jobs.html", "job", "jobs", kinds=list(JobKind))


@routes.get("/jobs/<job_id>")
def show_job(job_id: str) -> Any:
    """Show one job: its progress, result and events."""
    job = application().inspections.job(job_id, current_user())
    return render_page(
        "job.html",
        "job",
        "stairs",
        job_id=job_id,
        has_stairs=job.kind is JobKind.STAIRCASE,
        has_curves="epochs_total" in job.metrics,
        has_outcome=any(map(any, (job.result or {}).get("confusion", ()))),
    )


@routes.get("/models")
def show_models() -> str:
    """Show the models that you may use: versions, aliases, accuracies."""
    return render_page("models.html", "models", "job", "draw", "train")


@routes.get("/admin")
def administrate() -> str:
    """Show chips and users to admins."""
    only_admins()
    return render_page("admin.html", "admin", "chip", "job", "me", "stairs")


@routes.get("/me")
def show_me() -> str:
    """Show your quotas, tokens and choices, and sign in a second device."""
    has_hooks = class_of(current_user().name) is None
    return render_page(
        "me.html", "me", "job", "datasets", "hooks", keep_days=_keep_days(), has_hooks=has_hooks
    )


@routes.get("/chip")
def watch_chip() -> str:
    """Show the chips: their state and their use."""
    chips = [record.chip for record in application().chips.records()]
    return render_page("chip.html", "chip", "job", chips=chips)


@routes.get("/letters")
def watch_letters() -> str:
    """Show the running letter centres; an admin starts the service's own."""
    app, user = application(), current_user()
    if not user.is_admin:
        return render_page("letters.html", "letters", "envelope", "draw")
    views = app.registry.views(user)
    models = [
        "digits",
        *(view.name for view in views if view.aliases.get("latest") and view.name != "digits"),
    ]
    return render_page(
        "letters.html", "letters", "envelope", "draw", "order", orders=app.letter_orders.view(), models=models
    )


@routes.get("/letters/desk")
def code_letters() -> str:
    """Show the coding desk."""
    return render_page("desk.html", "desk", "letters")


def _keep_days() -> str:
    """Return for how many days an open correction is kept."""
    return f"{application().corrections.keep_s / 86_400:g}"

"""Data sets: their versions, sample sheets and crops, and with whom they are shared."""

from dataclasses import asdict, replace
from typing import Annotated, Literal

from flask import Blueprint, Response, request, send_file
from pydantic import Field

from api.application import application
from api.authentication import current_user
from api.background import in_thread
from api.documentation import SPEC, answers
from api.schemas import DamagedVersion, Schema, StoredProblem
from api.sheets import draw_sheet
from services.crops.answers import problem_of
from services.datasets.manifest import DatasetManifest
from services.datasets.registry import DatasetView
from services.errors import DatasetDamagedError, DatasetNotFoundError

routes = Blueprint("datasets", __name__, url_prefix="/v1/datasets")


class DatasetSummary(Schema):
    """A data set with those of its versions that you may use.

    Send `name` to use the data set: it is `service~mine` for the service's `mine` if you have a `mine` of your own.
    """

    name: str
    owner: Annotated[str | None, Field(description="Null when it is the service's.")]
    versions: list[str]
    shared: Annotated[bool, Field(description="Everyone may use it.")]
    newest: Annotated[
        DatasetManifest | None, Field(description="Manifest of the newest version; null if it is damaged.")
    ]


class DatasetsAnswer(Schema):
    """All data sets that you may use, without those that the service brings."""

    datasets: list[DatasetSummary]


class DatasetAnswer(DatasetSummary):
    """A data set with the manifests of its versions, oldest first; the rest as in the list."""

    versions: list[DatasetManifest | DamagedVersion]  # type: ignore[assignment] # the list has their numbers alone


class SheetQuery(Schema):
    """The part of a data set that a sample sheet shows."""

    part: Literal["train", "test"] = "train"


@routes.get("")
@SPEC.validate(resp=answers(200, DatasetsAnswer), tags=["data sets"])
def list_datasets() -> DatasetsAnswer:
    """List the data sets you may use: yours, those shared, the service's."""
    views = application().dataset_registry.views(current_user())
    return DatasetsAnswer(datasets=[_summary(view) for view in views])


@routes.get("/<name>")
@SPEC.validate(resp=answers(200, DatasetAnswer, 404), tags=["data sets"])
def show_dataset(name: str) -> DatasetAnswer:
    """Show a data set with the manifests of its versions.

    `mine` is your own data set of this name if you have one, else the service's, which is always `service~mine`;
    another user's that is shared is `<owner>~mine`. A version whose manifest is damaged is listed with its problem.
    """
    app = application()
    view = app.dataset_registry.look(current_user(), name)
    versions = [_manifest(view.name, version) for version in view.versions]
    return DatasetAnswer.model_validate(_summary(view).model_dump() | {"versions": versions})


@routes.get("/<name>/versions/<version>")
@SPEC.validate(resp=answers(200, DatasetManifest, 404, 500), tags=["data sets"])
def show_dataset_version(name: str, version: str) -> DatasetManifest:
    """Show the manifest of a version, named by its number or the beginning of its sha256."""
    return _find(name, version)


@routes.get("/<name>/versions/<version>/sheet")
@SPEC.validate(query=SheetQuery, resp=answers(200, None, 304, 404, 500), tags=["data sets"])
def show_sheet(name: str, version: str, query: SheetQuery) -> Response:
    """Show some crops of each digit as a PNG, one row for each, 0 at the top."""
    found = _find(name, version)
    response = Response(mimetype="image/png")
    response.set_etag(f"{found.sha256}-{query.part}")
    if not request.if_none_match.contains(response.get_etag()[0] or ""):
        train, test = in_thread(application().datasets.crops, found.name, found.version)
        response.data = in_thread(draw_sheet, train if query.part == "train" else test)
    response.make_conditional(request)
    return response


@routes.get("/<name>/versions/<version>/crops")
@SPEC.validate(resp=answers(200, None, 304, 404, 500), tags=["data sets"])
def download_crops(name: str, version: str) -> Response:
    """Download the crops of a version as a safetensors file.

    It has the tensors `train_images` and `test_images`, uint8 of shape (n, 28, 28), bright on dark, and `train_labels`
    and `test_labels`, uint8 of shape (n,).
    """
    found = _find(name, version)
    try:
        return send_file(
            application().datasets.crops_path(found.name, found.version).resolve(),
            mimetype="application/octet-stream",
            as_attachment=True,
            download_name=f"{found.name}-{found.version}.safetensors",
            etag=found.sha256,
        )
    except OSError:
        raise DatasetNotFoundError(
            f"the crops of {found.reference} are gone; restore them from a backup"
        ) from None


@routes.delete("/<name>")
@SPEC.validate(resp=answers(204, None, 403, 404, 507), tags=["data sets"])
def delete_dataset(name: str) -> Response:
    """Delete a data set with all its versions; models trained on it stay."""
    application().dataset_registry.delete(current_user(), name)
    return Response(status=204)


@routes.delete("/<name>/versions/<version>")
@SPEC.validate(resp=answers(204, None, 403, 404, 507), tags=["data sets"])
def delete_dataset_version(name: str, version: str) -> Response:
    """Delete a version, named by its number; models trained on it stay."""
    application().dataset_registry.delete_version(current_user(), name, version)
    return Response(status=204)


@routes.put("/<name>/share")
@SPEC.validate(resp=answers(200, DatasetSummary, 403, 404, 507), tags=["data sets"])
def share_dataset(name: str) -> DatasetSummary:
    """Let everyone use a data set of yours with all its versions, present and future."""
    return _summary(application().dataset_registry.share(current_user(), name))


@routes.delete("/<name>/share")
@SPEC.validate(resp=answers(200, DatasetSummary, 403, 404, 507), tags=["data sets"])
def unshare_dataset(name: str) -> DatasetSummary:
    """Make a data set private again."""
    return _summary(application().dataset_registry.unshare(current_user(), name))


def _find(name: str, version: str) -> DatasetManifest:
    return application().dataset_registry.find(current_user(), f"{name}@{version}")


def _manifest(name: str, version: str) -> DatasetManifest | DamagedVersion:
    """Return the manifest of a version, or its problem."""
    try:
        return application().datasets.manifest(name, version)
    except (DatasetDamagedError, DatasetNotFoundError) as error:
        problem = StoredProblem.model_validate(problem_of(error))
        return DamagedVersion(version=version, problem=problem)


def _summary(view: DatasetView) -> DatasetSummary:
    name = application().dataset_registry.name_for(current_user(), view.name)
    newest = _manifest(view.name, view.versions[-1])
    shown = asdict(replace(view, name=name))
    return DatasetSummary(**shown, newest=newest if isinstance(newest, DatasetManifest) else None)

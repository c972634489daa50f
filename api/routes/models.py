"""Models: their versions and weights, and with whom they are shared."""

from dataclasses import replace
from typing import Annotated

from flask import Blueprint, Response, request, send_file
from pydantic import Field

from api.application import application
from api.authentication import current_user
from api.documentation import SPEC, answers
from api.operations import MEDIA_TYPE
from api.routes.jobs import job_response
from api.schemas import DamagedVersion, JobAnswer, Schema, StoredProblem
from api.uploads import read_upload
from services.crops.answers import problem_of
from services.errors import (
    CheckpointDamagedError,
    InvalidInputError,
    ModelNotFoundError,
    UnsupportedMediaError,
)
from services.models.manifest import Manifest
from services.models.registry import ModelView
from services.names import NAME_WORDS, is_model_name

routes = Blueprint("models", __name__, url_prefix="/v1/models")


class ModelSummary(Schema):
    """A model with those of its versions and aliases that you may use.

    Send `name` to use the model: it is `service~digits` for the service's `digits` if you have a `digits` of your own.
    `partial_versions` are what cancelled trainings had learnt; `latest` never moves to one of them.
    `shared` says that everyone may use all versions, `shared_versions` are those that everyone may use one by one.
    """

    name: str
    owner: Annotated[str | None, Field(description="Null when it is the service's.")]
    versions: list[str]
    partial_versions: list[str]
    aliases: dict[str, str]
    shared: bool
    shared_versions: list[str]


class ModelsAnswer(Schema):
    """All models that you may use."""

    models: list[ModelSummary]


class ModelAnswer(ModelSummary):
    """A model with the manifests of its versions, oldest first; the rest as in the list."""

    versions: list[Manifest | DamagedVersion]  # type: ignore[assignment] # the list has their numbers alone


@routes.get("")
@SPEC.validate(resp=answers(200, ModelsAnswer), tags=["models"])
def list_models() -> ModelsAnswer:
    """List the models you may use, with their versions and aliases: yours, those shared, the service's."""
    registry, user = application().registry, current_user()
    return ModelsAnswer(models=[_summary(view) for view in registry.views(user)])


@routes.get("/<name>")
@SPEC.validate(resp=answers(200, ModelAnswer, 404), tags=["models"])
def show_model(name: str) -> ModelAnswer:
    """Show a model with the manifests of its versions.

    `digits` is your own model of this name if you have one, else the service's, which is always `service~digits`;
    another user's that is shared is `<owner>~digits`. A version whose manifest is damaged is listed with its problem.
    """
    app = application()
    view = app.registry.look(current_user(), name)
    versions: list[Manifest | DamagedVersion] = []
    for version in view.versions:
        try:
            versions.append(app.models.manifest(view.name, version))
        except (CheckpointDamagedError, ModelNotFoundError) as error:
            problem = StoredProblem.model_validate(problem_of(error))
            versions.append(DamagedVersion(version=version, problem=problem))
    return ModelAnswer.model_validate(_summary(view).model_dump() | {"versions": versions})


@routes.post("/<name>/versions")
@SPEC.validate(
    resp=answers(202, JobAnswer, 403, 404, 409, 413, 415, 507), skip_validation=True, tags=["models"]
)
def upload_version(name: str) -> Response:
    """Upload a version, as a job of the kind `upload`.

    The body is a safetensors file as a download of weights gives it: float32 tensors named `linear1.weight`,
    `linear1.bias`, `conv1.weight` and so on, and in the metadata one key, `hxserve`, with a JSON object of the schema
    `Description`. The job computes the check crops in the mock without noise, and publishes the version if it finds the
    scores that the file states. The file is durable when the answer comes. With an `Idempotency-Key` header, the same
    request sent twice is one job.
    """
    if request.mimetype != MEDIA_TYPE:
        raise UnsupportedMediaError(f"the body is of type {request.mimetype!r}; send {MEDIA_TYPE}")
    app, user, body = application(), current_user(), request.get_data(cache=False)
    if not is_model_name(name):
        raise InvalidInputError(f"{name!r} cannot be the name of a model; use {NAME_WORDS}")
    key = request.headers.get("Idempotency-Key")
    job = app.submissions.submit_upload(name, read_upload(body), body, user, key)
    return job_response(app, job, 202)


@routes.delete("/<name>")
@SPEC.validate(resp=answers(204, None, 403, 404, 507), tags=["models"])
def delete_model(name: str) -> Response:
    """Delete a model with all its versions and aliases."""
    application().registry.delete(current_user(), name)
    return Response(status=204)


@routes.get("/<name>/versions/<version>")
@SPEC.validate(resp=answers(200, Manifest, 404, 500), tags=["models"])
def show_version(name: str, version: str) -> Manifest:
    """Show the manifest of a version or alias."""
    app = application()
    found = app.registry.find(current_user(), name, version)
    return app.models.manifest(found.model, found.version)


@routes.get("/<name>/versions/<version>/weights")
@SPEC.validate(resp=answers(200, None, 304, 404, 500), tags=["models"])
def download_weights(name: str, version: str) -> Response:
    """Download the weights of a version or alias, as a safetensors file."""
    app = application()
    found = app.registry.find(current_user(), name, version)
    manifest = app.models.manifest(found.model, found.version)
    try:
        return send_file(
            app.models.weights_path(found.model, found.version).resolve(),
            mimetype="application/octet-stream",
            as_attachment=True,
            download_name=f"{found.model}-{found.version}.safetensors",
            etag=manifest.weights_sha256,
        )
    except OSError:
        raise ModelNotFoundError(
            f"the weights of {found.model}@{found.version} are gone; restore them from a backup"
        ) from None


@routes.delete("/<name>/versions/<version>")
@SPEC.validate(resp=answers(204, None, 403, 404, 409, 507), tags=["models"])
def delete_version(name: str, version: str) -> Response:
    """Delete a version; an alias that names it must be moved first."""
    app = application()
    found = app.registry.version_to_change(current_user(), name, version)
    app.models.delete_version(found.model, found.version, user=current_user().name)
    return Response(status=204)


@routes.put("/<name>/share")
@routes.put("/<name>/versions/<version>/share")
@SPEC.validate(resp=answers(200, ModelSummary, 403, 404, 507), tags=["models"])
def share(name: str, version: str | None = None) -> ModelSummary:
    """Let everyone use a model of yours with all its versions, present and future; or one version of it."""
    return _summary(application().registry.share(current_user(), name, version))


@routes.delete("/<name>/share")
@routes.delete("/<name>/versions/<version>/share")
@SPEC.validate(resp=answers(200, ModelSummary, 403, 404, 409, 507), tags=["models"])
def unshare(name: str, version: str | None = None) -> ModelSummary:
    """Make a model private again with all its versions; or one version that was shared by itself."""
    return _summary(application().registry.unshare(current_user(), name, version))


def _summary(view: ModelView) -> ModelSummary:
    name = application().registry.name_for(current_user(), view.name)
    return ModelSummary.model_validate(replace(view, name=name))

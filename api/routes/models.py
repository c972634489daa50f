"""Routes of the model registry."""

from dataclasses import asdict
from typing import Any

from flask import Blueprint, Response, jsonify, send_file

from api.application import application
from api.authentication import current_user
from api.documentation import SPEC, answers
from api.schemas import AliasAnswer, AliasBody, ModelAnswer, ModelsAnswer, ModelSummary
from services.crops.answers import problem_of
from services.errors import CheckpointDamagedError, ModelNotFoundError
from services.models.files import ModelStore
from services.models.manifest import Manifest

routes = Blueprint("models", __name__, url_prefix="/v1/models")


@routes.get("")
@SPEC.validate(resp=answers(200, ModelsAnswer), tags=["models"])
def list_models() -> Response:
    """List the models you may use, with their versions and aliases: yours, those shared, the service's."""
    registry, user = application().registry, current_user()
    views = [registry.look(user, name) for name in registry.names(user)]
    return jsonify({"models": [asdict(view) for view in views]})


@routes.get("/<name>")
@SPEC.validate(resp=answers(200, ModelAnswer, 404), tags=["models"])
def show_model(name: str) -> Response:
    """Show a model with the manifests of its versions.

    `digits` is your own model of this name if you have one, else the service's; another user's that is shared is
    `<owner>~digits`. A version whose manifest is damaged is listed with its problem.
    """
    app = application()
    view = app.registry.look(current_user(), name)
    shown = [_version_json(app.models, view.name, version) for version in view.versions]
    return jsonify({**asdict(view), "versions": shown})


@routes.delete("/<name>")
@SPEC.validate(resp=answers(204, None, 403, 404, 507), tags=["models"])
def delete_model(name: str) -> Response:
    """Delete a model with all its versions and aliases."""
    application().registry.delete(current_user(), name)
    return Response(status=204)


@routes.get("/<name>/versions/<version>")
@SPEC.validate(resp=answers(200, Manifest, 404, 500), tags=["models"])
def show_version(name: str, version: str) -> Response:
    """Show the manifest of a version or alias."""
    app = application()
    found = app.registry.find(current_user(), name, version)
    return jsonify(app.models.manifest(found.model, found.version).model_dump())


@routes.get("/<name>/versions/<version>/weights")
@SPEC.validate(resp=answers(200, None, 304, 404, 500), tags=["models"])
def download_weights(name: str, version: str) -> Response:
    """Download the weights of a version or alias, as a safetensors file."""
    app = application()
    found = app.registry.find(current_user(), name, version)
    manifest = app.models.manifest(found.model, found.version)
    try:
        response = send_file(
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
    return response


@routes.delete("/<name>/versions/<version>")
@SPEC.validate(resp=answers(204, None, 403, 404, 409, 507), tags=["models"])
def delete_version(name: str, version: str) -> Response:
    """Delete a version; an alias that means it must be moved first."""
    app = application()
    found = app.registry.version_to_change(current_user(), name, version)
    app.models.delete_version(found.model, found.version)
    return Response(status=204)


@routes.put("/<name>/aliases/<alias>")
@SPEC.validate(json=AliasBody, resp=answers(200, AliasAnswer, 403, 404, 415, 507), tags=["models"])
def set_alias(name: str, alias: str, json: AliasBody) -> Response:
    """Let an alias mean a version."""
    app = application()
    found = app.registry.version_to_change(current_user(), name, json.version)
    app.models.set_alias(found.model, alias, found.version)
    return jsonify({"name": found.model, "alias": alias, "version": found.version})


@routes.delete("/<name>/aliases/<alias>")
@SPEC.validate(resp=answers(204, None, 403, 404, 507), tags=["models"])
def delete_alias(name: str, alias: str) -> Response:
    """Delete an alias; its version stays."""
    app = application()
    app.models.delete_alias(app.registry.to_change(current_user(), name), alias)
    return Response(status=204)


@routes.put("/<name>/share")
@SPEC.validate(resp=answers(200, ModelSummary, 403, 404, 507), tags=["models"])
def share_model(name: str) -> Response:
    """Let everyone use a model of yours, with all its versions, also those to come."""
    return jsonify(asdict(application().registry.share(current_user(), name)))


@routes.delete("/<name>/share")
@SPEC.validate(resp=answers(200, ModelSummary, 403, 404, 507), tags=["models"])
def unshare_model(name: str) -> Response:
    """Keep a model to yourself again, with all its versions."""
    return jsonify(asdict(application().registry.unshare(current_user(), name)))


@routes.put("/<name>/versions/<version>/share")
@SPEC.validate(resp=answers(200, ModelSummary, 403, 404, 507), tags=["models"])
def share_version(name: str, version: str) -> Response:
    """Let everyone use one version of a model of yours."""
    return jsonify(asdict(application().registry.share(current_user(), name, version)))


@routes.delete("/<name>/versions/<version>/share")
@SPEC.validate(resp=answers(200, ModelSummary, 403, 404, 409, 507), tags=["models"])
def unshare_version(name: str, version: str) -> Response:
    """Keep one version of a model to yourself again."""
    return jsonify(asdict(application().registry.unshare(current_user(), name, version)))


def _version_json(models: ModelStore, name: str, version: str) -> dict[str, Any]:
    try:
        return models.manifest(name, version).model_dump()
    except (CheckpointDamagedError, ModelNotFoundError) as error:
        return {"version": version, "problem": problem_of(error)}

"""Routes of the model registry."""

from typing import Any

from flask import Blueprint, Response, jsonify, send_file

from api.application import application
from api.documentation import SPEC, answers
from api.schemas import AliasAnswer, AliasBody, ModelAnswer, ModelsAnswer, ModelSummary
from services.answers import problem_of
from services.errors import CheckpointDamagedError, ModelNotFoundError
from services.manifest import Manifest
from services.models import LATEST, ModelStore

routes = Blueprint("models", __name__, url_prefix="/v1/models")


@routes.get("")
@SPEC.validate(resp=answers(200, ModelsAnswer), tags=["models"])
def list_models() -> Response:
    """List models with their versions and aliases."""
    models = application().models
    return jsonify(
        {
            "models": [
                ModelSummary(
                    name=name, versions=models.versions(name), aliases=models.aliases(name)
                ).model_dump()
                for name in models.names()
            ]
        }
    )


@routes.get("/<name>")
@SPEC.validate(resp=answers(200, ModelAnswer, 404), tags=["models"])
def show_model(name: str) -> Response:
    """Show a model with the manifests of its versions.

    A version whose manifest is damaged is listed with its problem.
    """
    models = application().models
    versions = models.versions(name)
    if not versions:
        models.resolve(name, LATEST)
    shown = [_version_json(models, name, version) for version in versions]
    return jsonify({"name": name, "aliases": models.aliases(name), "versions": shown})


@routes.delete("/<name>")
@SPEC.validate(resp=answers(204, None, 404, 507), tags=["models"])
def delete_model(name: str) -> Response:
    """Delete a model with all its versions and aliases."""
    application().models.delete_model(name)
    return Response(status=204)


@routes.get("/<name>/versions/<version>")
@SPEC.validate(resp=answers(200, Manifest, 404, 500), tags=["models"])
def show_version(name: str, version: str) -> Response:
    """Show the manifest of a version or alias."""
    models = application().models
    return jsonify(models.manifest(name, models.resolve(name, version)).model_dump())


@routes.get("/<name>/versions/<version>/weights")
@SPEC.validate(resp=answers(200, None, 304, 404, 500), tags=["models"])
def download_weights(name: str, version: str) -> Response:
    """Download the weights of a version or alias, as a safetensors file."""
    models = application().models
    number = models.resolve(name, version)
    manifest = models.manifest(name, number)
    try:
        response = send_file(
            models.weights_path(name, number).resolve(),
            mimetype="application/octet-stream",
            as_attachment=True,
            download_name=f"{name}-{number}.safetensors",
            etag=manifest.weights_sha256,
        )
    except OSError:
        raise ModelNotFoundError(
            f"the weights of {name}@{number} are gone; restore them from a backup"
        ) from None
    return response


@routes.delete("/<name>/versions/<version>")
@SPEC.validate(resp=answers(204, None, 404, 409, 507), tags=["models"])
def delete_version(name: str, version: str) -> Response:
    """Delete a version; an alias that means it must be moved first."""
    models = application().models
    models.delete_version(name, models.resolve(name, version))
    return Response(status=204)


@routes.put("/<name>/aliases/<alias>")
@SPEC.validate(json=AliasBody, resp=answers(200, AliasAnswer, 404, 415, 507), tags=["models"])
def set_alias(name: str, alias: str, json: AliasBody) -> Response:
    """Let an alias mean a version."""
    models = application().models
    models.set_alias(name, alias, models.resolve(name, json.version))
    return jsonify({"name": name, "alias": alias, "version": json.version})


@routes.delete("/<name>/aliases/<alias>")
@SPEC.validate(resp=answers(204, None, 404, 507), tags=["models"])
def delete_alias(name: str, alias: str) -> Response:
    """Delete an alias; its version stays."""
    application().models.delete_alias(name, alias)
    return Response(status=204)


def _version_json(models: ModelStore, name: str, version: str) -> dict[str, Any]:
    try:
        return models.manifest(name, version).model_dump()
    except (CheckpointDamagedError, ModelNotFoundError) as error:
        return {"version": version, "problem": problem_of(error)}

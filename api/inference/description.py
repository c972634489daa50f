"""What the Open Inference Protocol says of the server and its models, over HTTP and gRPC alike."""

from importlib.metadata import version as installed_version
from typing import Any, Final

from api.application import Application
from api.crops.tensors import INPUT, OUTPUTS
from hxserve_pictures.crops import SIDE
from services.errors import CheckpointDamagedError, ModelNotFoundError
from services.models.files import LATEST
from services.models.registry import Reference
from services.users.authentication import User

PLATFORM: Final = "hxserve_brainscales2"


def server() -> dict[str, Any]:
    """Return the server, its version, and the extensions of the protocol that it supports."""
    return {
        "name": "hxserve",
        "version": installed_version("hxserve-server"),
        "extensions": [
            "binary_tensor_data",
            "model_configuration",
            "model_repository",
            "schedule_policy",
            "statistics",
        ],
    }


def metadata(app: Application, user: User, name: str, version: str | None) -> dict[str, Any]:
    """Return what a model, or a version or alias of it, takes and gives.

    Raises:
        ModelNotFoundError: there is none that the user may see.
    """
    if version is None:
        view = app.registry.look(user, name)
        shown, versions = app.registry.name_for(user, view.name), list(view.versions)
    else:
        found = app.registry.find(user, name, version)
        shown, versions = app.registry.name_for(user, found.model), [found.version]
    return {
        "name": shown,
        "versions": versions,
        "platform": PLATFORM,
        "inputs": [{"name": INPUT, "datatype": "UINT8", "shape": [-1, SIDE, SIDE]}],
        "outputs": [
            {"name": output.name, "datatype": output.datatype, "shape": [-1, *output.shape]}
            for output in OUTPUTS
        ],
    }


def config(app: Application, user: User, name: str, version: str | None) -> dict[str, Any]:
    """Return a model, or a version or alias of it, in the form of Triton's model configuration.

    Raises:
        ModelNotFoundError: there is none that the user may see.
    """
    found = app.registry.find(user, name, version or LATEST)
    return {
        "name": app.registry.name_for(user, found.model),
        "platform": PLATFORM,
        "backend": "hxserve",
        "max_batch_size": app.settings.max_crops_per_request,
        "input": [{"name": INPUT, "data_type": "TYPE_UINT8", "dims": [SIDE, SIDE]}],
        "output": [
            {"name": output.name, "data_type": f"TYPE_{output.datatype}", "dims": list(output.shape)}
            for output in OUTPUTS
        ],
    }


def index(app: Application, user: User, *, ready_only: bool) -> list[dict[str, str]]:
    """Return all versions of all models that the user may see, or only those that are ready."""
    listed = [_indexed(app, user, reference) for reference in visible(app, user)]
    return [entry for entry in listed if not ready_only or entry["state"] == "READY"]


def visible(app: Application, user: User) -> list[Reference]:
    """Return all versions that the user may see."""
    views = app.registry.views(user)
    return [Reference(view.name, version) for view in views for version in view.versions]


def _indexed(app: Application, user: User, reference: Reference) -> dict[str, str]:
    state, reason = "READY", ""
    try:
        app.models.manifest(reference.model, reference.version)
    except (CheckpointDamagedError, ModelNotFoundError) as error:
        state, reason = "UNAVAILABLE", error.message
    name = app.registry.name_for(user, reference.model)
    return {"name": name, "version": reference.version, "state": state, "reason": reason}

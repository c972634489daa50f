"""Statistics of requests in the form of the Open Inference Protocol, over HTTP and gRPC alike."""

from typing import Any

from api.application import Application
from api.inference.description import visible
from services.crops.statistics import Duration
from services.models.registry import Reference
from services.users.authentication import User


def statistics(app: Application, user: User, name: str | None, version: str | None) -> dict[str, Any]:
    """Return statistics of all models, of a model, or of a version or alias of it, since this process started.

    Raises:
        ModelNotFoundError: there is none that the user may see.
    """
    if name is None:
        versions = visible(app, user)
    elif version is None:
        view = app.registry.look(user, name)
        versions = [Reference(view.name, number) for number in view.versions]
    else:
        versions = [app.registry.find(user, name, version)]
    return {"model_stats": [_of_version(app, user, reference) for reference in versions]}


def _of_version(app: Application, user: User, reference: Reference) -> dict[str, Any]:
    counted = app.statistics.of(reference.model, reference.version)
    nothing = _duration(Duration())
    return {
        "name": app.registry.name_for(user, reference.model),
        "version": reference.version,
        "last_inference": round(counted.last_at * 1000),
        "inference_count": counted.crops,
        "execution_count": round(counted.calls),
        "inference_stats": {
            "success": _duration(counted.succeeded),
            "fail": _duration(counted.failed),
            "queue": _duration(counted.waited),
            **_compute(counted.computed),
            "cache_hit": nothing,
            "cache_miss": nothing,
        },
        "batch_stats": [
            {"batch_size": size, **_compute(calls)} for size, calls in sorted(counted.batches.items())
        ],
    }


def _compute(duration: Duration) -> dict[str, dict[str, int]]:
    """Return the time on the chip in the protocol's form; input and output are not measured separately."""
    computed = _duration(duration)
    nothing = computed | {"ns": 0}
    return {"compute_input": nothing, "compute_infer": computed, "compute_output": nothing}


def _duration(duration: Duration) -> dict[str, int]:
    return {"count": round(duration.count), "ns": round(duration.seconds * 1e9)}

"""The route by which users see themselves."""

from flask import Blueprint, Response, jsonify

from api.application import application
from api.authentication import current_user
from api.documentation import SPEC, answers
from api.schemas import MeAnswer

routes = Blueprint("me", __name__, url_prefix="/v1/me")


@routes.get("")
@SPEC.validate(resp=answers(200, MeAnswer), tags=["users"])
def show_me() -> Response:
    """Show who you are, what you may take, and what of it is left."""
    user = current_user()
    taken = application().users.taken(user.name)
    used = {
        "max_queued_jobs": taken.queued_jobs,
        "max_waiting_crops": taken.waiting_crops,
        "chip_seconds_per_day": round(taken.chip_s, 3),
    }
    quotas = {
        name: {
            "limit": limit,
            "used": used.get(name),
            "remaining": max(0, round(limit - used[name], 3)) if limit is not None and name in used else None,
        }
        for name, limit in user.quotas.items()
    }
    return jsonify({"name": user.name, "role": "admin" if user.is_admin else "user", "quotas": quotas})

"""Routes of the running letter centres."""

from flask import Blueprint, Response, jsonify

from api.application import application
from api.authentication import current_user
from api.documentation import SPEC, answers
from api.schemas import LettersAnswer, LettersStatus

routes = Blueprint("letters", __name__, url_prefix="/v1/letters")


@routes.get("")
@SPEC.validate(resp=answers(200, LettersAnswer), tags=["letters"])
def show_letters() -> Response:
    """Show the letter centres that sort now: yours, and for admins everybody's."""
    viewer = current_user()
    running = application().letters.running()
    return jsonify(
        {"centres": [{"user": user, **status} for user, status in running.items() if viewer.may_see(user)]}
    )


@routes.put("")
@SPEC.validate(json=LettersStatus, resp=answers(204, None, 413, 415), tags=["letters"])
def tell_letters(json: LettersStatus) -> Response:
    """Say how your letter centre is; what was said is forgotten after ten seconds."""
    application().letters.keep(current_user().name, json.model_dump())
    return Response(status=204)

"""Routes of the running letter centres."""

from flask import Blueprint, Response, current_app, jsonify
from flask.blueprints import BlueprintSetupState

from api.application import application
from api.authentication import current_user
from api.beats import Beat, event_stream
from api.belts import BeltTeller, read_centres
from api.documentation import SPEC, answers
from api.schemas import LettersAnswer, LettersStatus

routes = Blueprint("letters", __name__, url_prefix="/v1/letters")


@routes.record_once
def _begin(state: BlueprintSetupState) -> None:
    state.app.extensions["centres"] = Beat(read_centres)


@routes.get("")
@SPEC.validate(resp=answers(200, LettersAnswer), tags=["letters"])
def show_letters() -> Response:
    """Show the letter centres that sort now: yours, and for admins everybody's."""
    viewer = current_user()
    running = application().letters.running()
    return jsonify(
        {"centres": [{"user": user, **status} for user, status in running.items() if viewer.may_see(user)]}
    )


@routes.get("/events")
@SPEC.validate(resp=answers(200, None), tags=["letters"])
def stream_letters() -> Response:
    """Listen to the letter centres: a server-sent event whenever they have changed, at most once a second.

    `centres` are as in `GET /v1/letters`, with the ids of their newest letters in `belt` instead of `recent`; `letters`
    has, by id, those that this stream has not told of before.
    """
    app, centres, teller = application(), current_app.extensions["centres"], BeltTeller(current_user())
    return event_stream(app, lambda: teller.event(centres.newest(app)))


@routes.put("")
@SPEC.validate(json=LettersStatus, resp=answers(204, None, 413, 415), tags=["letters"])
def tell_letters(json: LettersStatus) -> Response:
    """Say how your letter centre is; what was said is forgotten after ten seconds."""
    application().letters.keep(current_user().name, json.model_dump())
    return Response(status=204)

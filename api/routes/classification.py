"""The route that crops take."""

import werkzeug
from flask import Blueprint, current_app, request

from api.authentication import current_user
from api.crops.endpoint import Endpoint
from api.documentation import SPEC, answers
from api.schemas import ClassifyAnswer, ClassifyQuery, ImagesBody, JobAnswer
from services.models.files import LATEST

routes = Blueprint("classification", __name__, url_prefix="/v1/models")

_ANSWERS = answers(200, ClassifyAnswer, 404, 409, 413, 415, 429, 502, 504)
_ANSWERS.add_model(202, JobAnswer)


@routes.post("/<name>/classify")
@routes.post("/<name>/versions/<version>/classify")
@SPEC.validate(
    query=ClassifyQuery, json=ImagesBody, resp=_ANSWERS, skip_validation=True, tags=["classification"]
)
def classify(name: str, version: str = LATEST) -> werkzeug.Response:
    """Classify digits with a version or alias, or with the version that `latest` means.

    The body is `application/octet-stream` (n x 784 bytes), `application/x-npy`, a picture (`image/png` or `image/jpeg`,
    for example), `multipart/form-data` of pictures, or JSON. 200 with one prediction per image; 202 with a job when
    they are not there within `wait` seconds.
    """
    del name, version
    endpoint: Endpoint = current_app.extensions["crops"]
    return endpoint.answer_in_flask(request.environ, current_user())

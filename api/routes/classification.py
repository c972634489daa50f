"""The route that crops take."""

import orjson
import werkzeug
from flask import Blueprint, Response, request
from pydantic import ValidationError

from api.application import Application, application
from api.authentication import current_user
from api.bodies import read_crops
from api.documentation import SPEC, answers
from api.routes.jobs import job_response
from api.schemas import ClassifyAnswer, ClassifyQuery, ImagesBody, JobAnswer
from services.crops.requests import Pending, Request
from services.crops.store import NO_KEY
from services.errors import InvalidInputError
from services.jobs.params import explain
from services.jobs.submission import bind_key
from services.models.files import LATEST
from services.users.authentication import User

routes = Blueprint("classification", __name__, url_prefix="/v1/models")

_ANSWERS = answers(200, ClassifyAnswer, 404, 409, 413, 415, 429, 502, 504)
_ANSWERS.add_model(202, JobAnswer)


@routes.post("/<name>/classify")
@SPEC.validate(
    query=ClassifyQuery, json=ImagesBody, resp=_ANSWERS, skip_validation=True, tags=["classification"]
)
def classify(name: str) -> Response:
    """Classify digits with the version that `latest` means.

    The body is `application/octet-stream` (n x 784 bytes), `application/x-npy`, `image/png`, `image/jpeg`,
    `multipart/form-data` of such pictures, or JSON. 200 with one prediction per image; 202 with a job when they are
    not there within `wait` seconds.
    """
    return _classify(name, LATEST)


@routes.post("/<name>/versions/<version>/classify")
@SPEC.validate(
    query=ClassifyQuery, json=ImagesBody, resp=_ANSWERS, skip_validation=True, tags=["classification"]
)
def classify_with_version(name: str, version: str) -> Response:
    """Classify digits with a version or alias.

    As with `latest`; the body has the same forms.
    """
    return _classify(name, version)


def _classify(name: str, version: str) -> Response:
    app = application()
    answer = answer_crops(app, current_user(), name, version, request)
    if isinstance(answer, Pending):
        return job_response(app, app.jobs.get(answer.job_id), 202)
    return Response(answer, content_type="application/json")


def answer_crops(
    app: Application, user: User, name: str, version: str, request: werkzeug.Request
) -> bytes | Pending:
    """The JSON that answers a request with crops in any form, or the job that will.

    Raises:
        HxserveError: the request is not what it should be, or the crops cannot be run.
    """
    query = read_query(request)
    crops = read_crops(request, app.settings.max_crops_per_request)
    key = request.headers.get("Idempotency-Key")
    answer = app.classifications.classify(request_for(user, name, version, query, crops, key))
    return answer if isinstance(answer, Pending) else orjson.dumps(answer)


def read_query(request: werkzeug.Request) -> ClassifyQuery:
    """What the address says of how crops are to be classified.

    Raises:
        InvalidInputError: it says something impossible.
    """
    try:
        return ClassifyQuery.model_validate(request.args.to_dict())
    except ValidationError as error:
        raise InvalidInputError(explain(error, ClassifyQuery)) from None


def request_for(
    user: User,
    name: str,
    version: str,
    query: ClassifyQuery,
    crops: bytes,
    key: str | None = None,
) -> Request:
    """What is asked for by a request whose parts have been read; `crops` are (n, 784) bytes.

    Raises:
        InvalidInputError: the Idempotency-Key is too long.
    """
    return Request(
        user=user,
        model=name,
        version=version,
        crops=crops,
        wait_s=query.wait,
        deadline_s=query.deadline,
        repeats=query.repeats,
        allow_transfer=query.allow_transfer,
        idempotency=bind_key(user, key, _manner(name, version, query) + crops) if key else NO_KEY,
    )


def _manner(name: str, version: str, query: ClassifyQuery) -> bytes:
    return f"{name}@{version} x {query.repeats}{' anywhere' if query.allow_transfer else ''}".encode()

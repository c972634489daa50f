"""The OpenAPI document, made from the routes, and its page."""

import base64
import hashlib
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from flask import Flask, Response, jsonify
from offapi import OpenAPITemplate
from pydantic import BaseModel, ValidationError
from pydantic.json_schema import models_json_schema
from spectree import Response as Answers
from spectree import SecurityScheme, SpecTree
from spectree.models import SecureType, SecuritySchemeData
from spectree.plugins.flask_plugin import FlaskPlugin

from api.bodies import BINARY_FORMS
from api.inference.schemas import InferenceError
from api.schemas import (
    AliasBody,
    ChangedUserBody,
    JobsQuery,
    NewTokenBody,
    NewUserBody,
    Problem,
    QueueQuery,
    SeriesQuery,
    WaitQuery,
)
from services.errors import InvalidInputError, UnsupportedMediaError
from services.jobs.params import PARAMS_OF, JobRequest, explain

_MODELS: Final = {
    model.__name__: model
    for model in (
        AliasBody,
        ChangedUserBody,
        JobRequest,
        JobsQuery,
        NewTokenBody,
        NewUserBody,
        QueueQuery,
        SeriesQuery,
        WaitQuery,
    )
}
"""Where the known fields of a wrong request are found; pydantic's error names its model."""

_FILE: Final = {"type": "string", "format": "binary"}
_FILES: Final = {"type": "object", "additionalProperties": _FILE, "minProperties": 1}

_REFUSALS_OF_BODIES: Final = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
)
"""Any call that reads a body may answer so: it was malformed, came too slowly, or is too large."""

_SCRIPT: Final = re.compile(r"<script>(.*?)</script>", re.DOTALL)

_TOKEN: Final = "token"  # noqa: S105 a name


def _refuse_invalid(
    request_: Any, response: Any, error: Exception | None, instance: Any, adapter: Any
) -> None:
    del request_, response, instance, adapter
    if isinstance(error, ValidationError):
        raise InvalidInputError(explain(error, _MODELS.get(error.title, BaseModel)))


class _RequestsOnly(FlaskPlugin):
    """Checks what comes in; that what goes out is as documented is the tests' work, not every request's.

    Routes return responses, which pass untouched: reading one would wait for the end of an event stream.
    """

    def register_route(self, app: Any) -> None:
        """Serves nothing: `register_documentation` does."""
        del app

    def request_validation(
        self, request: Any, query: Any, json: Any, form: Any, headers: Any, cookies: Any
    ) -> None:
        # spectree itself takes whatever is no JSON object for an empty one.
        if json and request.get_data():
            if not request.is_json:
                raise UnsupportedMediaError(
                    f"the body is of type {request.mimetype!r}; send application/json"
                )
            if not isinstance(request.get_json(silent=True), dict):
                raise InvalidInputError("the body is not JSON; send one JSON object")
        super().request_validation(  # type: ignore[no-untyped-call] # spectree leaves it untyped
            request, query, json, form, headers, cookies
        )

    def validate_response(
        self, resp: Any, resp_model: Answers | None, skip_validation: bool, force_resp_serialize: bool
    ) -> Any:
        del resp_model, skip_validation, force_resp_serialize
        return resp, None


SPEC: Final = SpecTree(
    backend=_RequestsOnly,
    before=_refuse_invalid,
    mode="strict",
    title="hxserve",
    version="1",
    description="One neuromorphic chip, many users: training jobs, digit classification, models.",
    path="spectree",
    page_templates={},
    annotations=True,
    security_schemes=[
        SecurityScheme(name=_TOKEN, data=SecuritySchemeData(type=SecureType.HTTP, scheme="bearer"))
    ],
    security={_TOKEN: []},
)
"""What documents and checks the routes."""


def answers(status: int, model: type[BaseModel] | None, *others: int) -> Answers:
    """The answers of a route: one when all is well, and besides the problems it may report, or 304."""
    described: dict[str, Any] = {
        f"HTTP_{code}": Problem if code >= 400 else None for code in {401, 422, 429, 503, *others}
    }
    described[f"HTTP_{status}"] = model
    return Answers(**described)


def inference_answers(status: int, model: type[BaseModel], *others: int) -> Answers:
    """The answers of a route of the inference protocol, whose errors have its form."""
    described: dict[str, Any] = {f"HTTP_{code}": InferenceError for code in {400, 401, 503, *others}}
    described[f"HTTP_{status}"] = model
    return Answers(**described)


def register_documentation(app: Flask) -> None:
    """Serves `/openapi.json` and `/docs`, from this machine alone."""
    SPEC.register(app)

    @app.get("/openapi.json")
    def openapi() -> Response:
        return jsonify(_finished(SPEC.spec))

    page = OpenAPITemplate.SWAGGER.value.format(spec_url="/openapi.json")
    policy = _policy_of(page)

    @app.get("/docs")
    def docs() -> Response:
        return Response(
            page, content_type="text/html; charset=utf-8", headers={"Content-Security-Policy": policy}
        )


def _policy_of(page: str) -> str:
    """What the documentation's page may do: run the scripts it came with, and ask this service alone."""
    scripts = (hashlib.sha256(script.encode()).digest() for script in _SCRIPT.findall(page))
    hashes = " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in scripts)
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src 'self' data:; font-src data:; "
        "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    )


def _params_of_jobs() -> dict[str, Any]:
    """The schemas of the params of all kinds of jobs, by name."""
    _, definitions = models_json_schema(
        [(model, "validation") for model in PARAMS_OF.values()], ref_template="#/components/schemas/{model}"
    )
    return dict(definitions["$defs"])


def _finished(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The document with problems under their own media type, and with every form of a body of crops.

    A body of which every field may be left out may be left out itself. What jobs of each kind may be told is described
    too, though no route names it: `JobRequest` does, in words.
    """
    document = dict(spec)
    schemas = document["components"]["schemas"]
    schemas |= _params_of_jobs()
    for operations in document["paths"].values():
        for operation in operations.values():
            body = operation.get("requestBody", {}).get("content", {})
            if body:
                schema = body["application/json"]["schema"]["$ref"].rpartition("/")[2]
                operation["requestBody"]["required"] = bool(schemas[schema].get("required"))
                refusal = operation["responses"].get("422") or operation["responses"]["400"]
                for status in _REFUSALS_OF_BODIES:
                    described = {**refusal, "description": status.phrase, "content": {**refusal["content"]}}
                    operation["responses"].setdefault(str(int(status)), described)
            if "/ImagesBody." in str(body):
                body |= {
                    kind: {"schema": _FILES if kind.startswith("multipart/") else _FILE}
                    for kind in BINARY_FORMS
                }
            for status, answer in operation["responses"].items():
                content = answer.get("content", {})
                if status[0] in "45" and "/Problem." in str(content.get("application/json")):
                    content["application/problem+json"] = content.pop("application/json")
    return document

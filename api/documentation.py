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
from spectree.plugins.werkzeug_utils import flask_response_unpack
from werkzeug.wrappers import Response as AnyResponse

from api.crops.payloads import BINARY_FORMS
from api.inference.schemas import InferenceError
from api.operations import MEDIA_TYPE as TENSORS
from api.schemas import ImagesBody, Problem
from services.errors import InvalidInputError, UnsupportedMediaError
from services.explanations import explain
from services.jobs.params import PARAMS_OF
from services.jobs.submission import LONGEST_KEY
from services.models.description import Description

_FILE: Final = {"type": "string", "format": "binary"}
_FILES: Final = {"type": "object", "additionalProperties": _FILE, "minProperties": 1}

_BODY_ERRORS: Final = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
)
"""The body of any request may be malformed, come too slowly, or be too large."""

_SCRIPT: Final = re.compile(r"<script>(.*?)</script>", re.DOTALL)

_TOKEN: Final = "token"  # noqa: S105 a name


class _Plugin(FlaskPlugin):
    """Validates requests, and serialises the documents that routes return.

    Tests compare answers with their schemas, so requests need not pay for it. A `Response` passes untouched: reading
    one would wait for the end of an event stream.
    """

    def register_route(self, app: Any) -> None:
        """Add no route: `register_documentation` does."""
        del app

    def request_validation(
        self, request: Any, query: Any, json: Any, form: Any, headers: Any, cookies: Any
    ) -> None:
        # spectree itself takes anything but a JSON object for an empty one.
        if json and request.get_data():
            if not request.is_json:
                raise UnsupportedMediaError(
                    f"the body is of type {request.mimetype!r}; send application/json"
                )
            if not isinstance(request.get_json(silent=True), dict):
                raise InvalidInputError("the body is not JSON; send one JSON object")
        try:
            super().request_validation(  # type: ignore[no-untyped-call] # spectree leaves it untyped
                request, query, json, form, headers, cookies
            )
        except ValidationError as error:
            model = query if query and error.title == query.__name__ else json
            raise InvalidInputError(explain(error, model)) from None

    def validate_response(
        self, resp: Any, resp_model: Answers | None, skip_validation: bool, force_resp_serialize: bool
    ) -> Any:
        del resp_model, skip_validation, force_resp_serialize
        if isinstance(resp, AnyResponse):
            return resp, None
        document, status, headers = flask_response_unpack(resp)
        return json_response(document, status, headers), None


def json_response(document: BaseModel, status: int = 200, headers: Any = None) -> Response:
    """Send a document."""
    text = f"{document.model_dump_json()}\n"
    return Response(text, status, headers, content_type="application/json")


SPEC: Final = SpecTree(
    backend=_Plugin,
    mode="strict",
    title="hxserve",
    version="1",
    description="One neuromorphic chip, many users: training jobs, digit classification, models.",
    path="spectree",
    page_templates={},
    naming_strategy=lambda model: model.__name__,
    nested_naming_strategy=lambda _, name: name,
    annotations=True,
    security_schemes=[
        SecurityScheme(name=_TOKEN, data=SecuritySchemeData(type=SecureType.HTTP, scheme="bearer"))
    ],
    security={_TOKEN: []},
)
"""Documents the routes and validates their requests."""


def answers(status: int, model: type[BaseModel] | None, *others: int) -> Answers:
    """Describe the answers of a route: its document with `status`, a problem with each error status, or 304."""
    described: dict[str, Any] = {
        f"HTTP_{code}": Problem if code >= 400 else None for code in {401, 422, 429, 503, *others}
    }
    described[f"HTTP_{status}"] = model
    return Answers(**described)


def inference_answers(status: int, model: type[BaseModel], *others: int) -> Answers:
    """Describe the answers of a route of the inference protocol, which has its own form of errors."""
    described: dict[str, Any] = {f"HTTP_{code}": InferenceError for code in {400, 401, 503, *others}}
    described[f"HTTP_{status}"] = model
    return Answers(**described)


def register_documentation(app: Flask) -> None:
    """Serve `/openapi.json` and `/docs`; the page loads nothing from elsewhere."""
    SPEC.register(app)

    @app.get("/openapi.json")
    def openapi() -> Response:
        return jsonify(_complete(SPEC.spec))

    page = OpenAPITemplate.SWAGGER.value.format(spec_url="/openapi.json")
    policy = _content_security_policy(page)

    @app.get("/docs")
    def docs() -> Response:
        return Response(
            page, content_type="text/html; charset=utf-8", headers={"Content-Security-Policy": policy}
        )


def _content_security_policy(page: str) -> str:
    """Allow the page to run its own scripts and to call this service alone."""
    scripts = (hashlib.sha256(script.encode()).digest() for script in _SCRIPT.findall(page))
    hashes = " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in scripts)
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src 'self' data:; font-src data:; "
        "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    )


def _complete(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Add the parts of the document that spectree does not know.

    These are the params of each kind of job, the forms of a body of crops, the errors of any request with a body, the
    bodies that may be left out, and the media type of problems.
    """
    document = dict(spec)
    schemas = document["components"]["schemas"]
    _, params = models_json_schema(
        [*((model, "validation") for model in PARAMS_OF.values()), (Description, "validation")],
        ref_template="#/components/schemas/{model}",
    )
    schemas |= params["$defs"]
    paths = document["paths"]
    operate = paths["/v1/chip/sessions/{session}/operations"]["post"]
    operate["responses"]["200"]["content"] = {TENSORS: {"schema": _FILE}}
    _describe_body(operate, {TENSORS: _FILE}, _idempotency_key(1))
    _describe_body(paths["/v1/models/{name}/versions"]["post"], {TENSORS: _FILE}, _idempotency_key(0))
    _describe_body(
        paths["/v1/datasets/{name}/versions"]["post"], {"multipart/form-data": _FILES}, _idempotency_key(0)
    )
    _describe_body(
        paths["/v1/datasets/{name}/uploads/{upload}/files/{index}"]["put"],
        {"application/octet-stream": _FILE},
        {"name": "Content-Range", "in": "header", "required": False, "schema": {"type": "string"}},
    )
    sheet = paths["/v1/datasets/{name}/versions/{version}/sheet"]["get"]
    sheet["responses"]["200"]["content"] = {"image/png": {"schema": _FILE}}
    for operation in (operation for item in document["paths"].values() for operation in item.values()):
        responses = operation["responses"]
        body = operation.get("requestBody")
        if body and "application/json" in body["content"]:
            name = body["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
            body["required"] = bool(schemas[name].get("required"))
            if name == ImagesBody.__name__:
                body["content"] |= {
                    kind: {"schema": _FILES if kind.startswith("multipart/") else _FILE}
                    for kind in BINARY_FORMS
                }
            _add_body_errors(responses)
        for status, answer in responses.items():
            content = answer.get("content", {})
            if status[0] in "45" and f"/{Problem.__name__}'" in str(content.get("application/json")):
                content["application/problem+json"] = content.pop("application/json")
    return document


def _describe_body(
    operation: dict[str, Any], forms: Mapping[str, Mapping[str, Any]], header: Mapping[str, Any]
) -> None:
    """Describe a body by the schema of each media type, and the header that comes with it."""
    operation["requestBody"] = {"required": True, "content": {k: {"schema": v} for k, v in forms.items()}}
    # Set, not added: spectree gives out the same objects each time.
    operation["parameters"] = [
        *(known for known in operation["parameters"] if known["in"] != "header"),
        dict(header),
    ]
    _add_body_errors(operation["responses"])


def _idempotency_key(least: int) -> dict[str, Any]:
    """Describe the header `Idempotency-Key`, of at least `least` characters: required if that is one or more."""
    schema = {"type": "string", "minLength": least, "maxLength": LONGEST_KEY}
    return {"name": "Idempotency-Key", "in": "header", "required": least > 0, "schema": schema}


def _add_body_errors(responses: dict[str, Any]) -> None:
    refusal = responses.get("422") or responses["400"]
    for status in _BODY_ERRORS:
        described = {**refusal, "description": status.phrase, "content": {**refusal["content"]}}
        responses.setdefault(str(int(status)), described)

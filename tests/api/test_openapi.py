"""The OpenAPI document: valid, complete, and kept by the answers."""

import base64
import io
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from flask import Flask
from flask.testing import FlaskClient
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from pydantic import BaseModel
from safetensors.numpy import save
from werkzeug.wrappers import Response

from api.application import Application
from api.operations import MEDIA_TYPE as TENSORS
from services.chips.samples import Samples
from services.explanations import WORDS_OF
from services.jobs.params import PARAMS_OF
from services.models.files import ModelStore
from services.store.connection import Connection
from tests.api.jobs import BETTER, record_comparison
from tests.api.requests import CLASSIFY, TOKEN
from tests.services.chip import Chip
from tests.services.datasets.crops import a_dataset_origin, some_labelled
from tests.services.samples import an_origin, some_crops
from tests.services.uploads import a_version_file

PUBLIC = {"/healthz", "/readyz", "/v2/health/live", "/v2/health/ready"}
PAGES = {
    "/",
    "/teach",
    "/train",
    "/datasets",
    "/jobs",
    "/jobs/<job_id>",
    "/chip",
    "/letters",
    "/letters/desk",
    "/corrections",
    "/models",
    "/me",
    "/admin",
    "/login",
    "/login/link",
    "/logout",
    "/classes",
    "/challenges",
    "/classes/<code>",
    "/classes/<code>/screen",
    "/c",
    "/c/<code>",
}
UNDOCUMENTED = {"/openapi.json", "/docs", "/static/<path:filename>", *PAGES}
DESK_LETTER = {"number": 1, "envelope": "", "crops": [], "read": "", "reason": "no postcode found"}
LETTERS = {
    "title": "sorting",
    "letters": 9,
    "machines": 1,
    "done": 3,
    "routed": 2,
    "wrong": 0,
    "rejects": {"not sure": 1},
    "letters_per_h": 36000,
    "recent": [],
}
WEBHOOK = {"url": "https://receiver.example/hook"}
TRAINING = {"kind": "training", "model": "digits"}
UPLOAD = {"content_type": TENSORS, "data": a_version_file()}
UPLOADS: list[tuple[str, str, dict[str, Any]]] = [
    ("POST", "/v1/models/brought/versions", UPLOAD | {"headers": {"Idempotency-Key": "brought"}}),
    ("POST", "/v1/models/brought/versions", UPLOAD | {"data": b"x"}),
    ("POST", "/v1/models/brought/versions", UPLOAD | {"content_type": "text/plain"}),
]
DATASETS: list[tuple[str, str, dict[str, Any]]] = [
    ("GET", "/v1/datasets", {}),
    ("GET", "/v1/datasets/mine", {}),
    ("GET", "/v1/datasets/nothing", {}),
    ("GET", "/v1/datasets/mine/versions/1", {}),
    ("GET", "/v1/datasets/mine/versions/9", {}),
    ("GET", "/v1/datasets/mine/versions/1/sheet?part=test", {}),
    ("GET", "/v1/datasets/mine/versions/1/sheet?part=all", {}),
    ("GET", "/v1/datasets/mine/versions/1/crops", {}),
    ("GET", "/v1/datasets/mine/versions/9/crops", {}),
    ("PUT", "/v1/datasets/ada~letters/share", {}),
    ("PUT", "/v1/datasets/mine/share", {}),
    ("DELETE", "/v1/datasets/ada~letters/share", {}),
    ("DELETE", "/v1/datasets/mine/versions/1", {}),
    ("DELETE", "/v1/datasets/mine/versions/1", {}),
    ("DELETE", "/v1/datasets/ada~letters", {}),
    ("POST", "/v1/datasets/new/uploads", {"json": {"files": [{"name": "a.npz", "bytes": 3}]}}),
    ("POST", "/v1/datasets/new/uploads", {"json": {"files": []}}),
    ("POST", "/v1/datasets/new/uploads", {"data": "x", "content_type": "text/plain"}),
    ("GET", "/v1/datasets/new/uploads/nothing", {}),
    ("POST", "/v1/datasets/new/versions", {"data": {"file": (io.BytesIO(b"x"), "a.npz")}}),
    ("POST", "/v1/datasets/new/versions", {"data": {}, "content_type": "multipart/form-data"}),
    ("POST", "/v1/datasets/new/versions", {"data": "x", "content_type": "text/plain"}),
]
INFER = {"inputs": [{"name": "crops", "datatype": "UINT8", "shape": [1, 784], "data": [0] * 784}]}


@pytest.fixture
def document(stranger: FlaskClient) -> dict[str, Any]:
    document: dict[str, Any] = stranger.get("/openapi.json").get_json()
    return document


def test_the_document_is_valid_openapi_3_1(document: dict[str, Any]) -> None:
    OpenAPIV31SpecValidator(document).validate()

    assert document["openapi"].startswith("3.1.")


def test_the_document_lists_every_route_and_no_other(app: Flask, document: dict[str, Any]) -> None:
    routes = {
        (re.sub(r"<(?:[^<>:]+:)?(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if rule.rule not in UNDOCUMENTED
    }

    listed = {
        (path, method)
        for path, item in document["paths"].items()
        for method in item
        if method != "parameters"
    }

    assert listed == routes


def test_the_params_of_every_kind_of_job_are_documented(document: dict[str, Any]) -> None:
    for model in PARAMS_OF.values():
        assert set(document["components"]["schemas"][model.__name__]["properties"]) == set(model.model_fields)


def test_no_two_documents_share_a_name() -> None:
    models = {
        model
        for model in _subclasses(BaseModel)
        if model.__module__.startswith(("api.", "services.")) and not model.__name__.startswith("_")
    }

    names = Counter(model.__name__ for model in models)

    assert {name for name, count in names.items() if count > 1} == set()


def _subclasses(kind: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for below in kind.__subclasses__():
        yield below
        yield from _subclasses(below)


def test_every_operation_says_in_a_sentence_what_it_does(document: dict[str, Any]) -> None:
    operations = [operation for item in document["paths"].values() for operation in item.values()]

    assert all(operation["summary"].endswith(".") for operation in operations)
    assert all(operation["tags"] for operation in operations)


def test_problems_are_documented_as_what_they_are_sent_as(document: dict[str, Any]) -> None:
    for path, item in document["paths"].items():
        for operation in item.values():
            for status, answer in operation["responses"].items():
                kinds = set(answer.get("content", {}))
                if status[0] in "45" and not re.search("HealthAnswer|ReadyAnswer", str(answer)):
                    is_inference = path.startswith("/v2")
                    assert kinds == {"application/json" if is_inference else "application/problem+json"}


def test_the_documentation_needs_nothing_from_outside(stranger: FlaskClient) -> None:
    page = stranger.get("/docs").get_data(as_text=True)

    assert "openapi.json" in page
    assert re.findall(r"""(?:src|href)\s*=\s*["']?(?:https?:)?//[^"'\s>]*""", page) == []
    assert not re.findall(r"@import|url\(\s*['\"]?https?:", page)


def _operation_of(app: Flask, method: str, path: str) -> tuple[str, str]:
    rule, _ = app.url_map.bind("localhost").match(path.partition("?")[0], method, return_rule=True)
    return re.sub(r"<(?:[^<>:]+:)?(\w+)>", r"{\1}", rule.rule), method.lower()


def _check(app: Flask, document: dict[str, Any], method: str, path: str, answer: Response) -> None:
    route, verb = _operation_of(app, method, path)
    answers = document["paths"][route][verb]["responses"]
    assert str(answer.status_code) in answers, f"{method} {path}: {answer.status_code} is not documented"
    content = answers[str(answer.status_code)].get("content")
    if not content:
        return
    assert answer.mimetype in content, f"{method} {path}: {answer.mimetype} is not documented"
    schema = content[answer.mimetype]["schema"]
    if schema.get("format") == "binary":
        return
    validator = OAS31Validator(schema | {"components": document["components"]})
    assert [error.message for error in validator.iter_errors(answer.get_json())] == []


def _requests(job_id: str, comparison: str) -> list[tuple[str, str, dict[str, Any]]]:
    """Every route, in good ways and bad."""
    versions, aliases = "/v1/models/digits/versions", "/v1/models/digits/aliases"
    return [
        ("POST", "/v1/jobs", {"json": TRAINING}),
        ("POST", "/v1/jobs", {"json": {"kind": "calibration"}}),
        ("POST", "/v1/jobs", {"json": {}}),
        ("POST", "/v1/jobs", {"data": "x", "content_type": "text/plain"}),
        ("POST", "/v1/jobs", {"json": {"kind": "evaluation", "model": "nothing"}}),
        ("GET", "/v1/jobs", {}),
        ("GET", "/v1/jobs?limit=0", {}),
        ("GET", f"/v1/jobs/{job_id}", {}),
        ("GET", f"/v1/jobs/{job_id}", {"headers": {"If-None-Match": "*"}}),
        ("GET", f"/v1/jobs/{job_id}?wait=x", {}),
        ("GET", "/v1/jobs/nothing", {}),
        ("POST", "/v1/jobs/nothing/cancel", {}),
        ("POST", f"/v1/jobs/{job_id}/cancel", {}),
        ("GET", f"/v1/jobs/{job_id}/events", {}),
        ("GET", "/v1/jobs/nothing/events", {}),
        ("POST", CLASSIFY, {"data": some_crops(2)}),
        ("POST", f"{CLASSIFY}?wait=0", {"data": some_crops(2)}),
        ("POST", CLASSIFY, {"data": b"x"}),
        ("POST", CLASSIFY, {"data": b"x", "content_type": "text/plain"}),
        ("POST", CLASSIFY, {"data": bytes(2**20 + 1)}),
        ("POST", "/v1/models/nothing/classify", {"data": some_crops(1)}),
        ("POST", f"{versions}/1/classify", {"data": some_crops(2)}),
        ("POST", f"{versions}/9/classify", {"data": some_crops(2)}),
        ("POST", "/v1/chip/drain", {"json": {"message": "new cables"}}),
        ("POST", "/v1/chip/drain", {"json": {"chip": "chip-9"}}),
        ("GET", "/v1/chip", {}),
        ("POST", "/v1/chip/resume", {"json": {}}),
        ("GET", "/v2", {}),
        ("GET", "/v2/health/live", {}),
        ("GET", "/v2/health/ready", {}),
        ("POST", "/v2/repository/index", {}),
        ("POST", "/v2/repository/index", {"data": "x"}),
        ("GET", "/v2/models/stats", {}),
        *(("GET", f"/v2/models/digits{what}", {}) for what in ("", "/ready", "/config", "/stats")),
        *(("GET", f"/v2/models/digits/versions/1{what}", {}) for what in ("", "/ready", "/config", "/stats")),
        *(("GET", f"/v2/models/nothing{what}", {}) for what in ("", "/ready", "/config", "/stats")),
        ("POST", "/v2/models/digits/infer", {"json": INFER}),
        ("POST", "/v2/models/digits/infer", {"json": {}}),
        ("POST", "/v2/models/digits/infer", {"data": bytes(2**20 + 1)}),
        ("POST", "/v2/models/nothing/infer", {"json": INFER}),
        ("POST", "/v2/models/digits/versions/1/infer", {"json": INFER}),
        ("POST", "/v2/models/digits/versions/9/infer", {"json": INFER}),
        ("GET", "/v1/models", {}),
        ("GET", "/v1/models/digits", {}),
        ("GET", "/v1/models/nothing", {}),
        ("GET", f"{versions}/1", {}),
        ("GET", f"{versions}/9", {}),
        ("GET", f"{versions}/1/weights", {}),
        ("GET", f"{versions}/9/weights", {}),
        ("PUT", f"{aliases}/production", {"json": {"version": "1"}}),
        ("PUT", f"{aliases}/production", {"json": {}}),
        ("PUT", f"{aliases}/production", {"data": "x", "content_type": "text/plain"}),
        ("PUT", f"{aliases}/production", {"json": {"version": "9"}}),
        ("POST", f"{aliases}/production/promote", {"json": {"version": "2", "comparison": comparison}}),
        ("POST", f"{aliases}/production/promote", {"json": {"version": "1", "comparison": comparison}}),
        ("POST", f"{aliases}/production/promote", {"json": {"version": "2"}}),
        ("POST", f"{aliases}/nothing/promote", {"json": {"version": "2", "comparison": comparison}}),
        ("GET", f"{aliases}/production/history", {}),
        ("PUT", f"{aliases}/production/rollout", {"json": {"candidate": "1", "share": 0.5}}),
        ("PUT", f"{aliases}/production/rollout", {"json": {"candidate": "2"}}),
        ("PUT", f"{aliases}/production/rollout", {"json": {"candidate": "9"}}),
        ("GET", f"{aliases}/production/rollout", {}),
        ("DELETE", f"{aliases}/production/rollout", {}),
        ("GET", f"{aliases}/production/rollout", {}),
        ("GET", f"{aliases}/nothing/history", {}),
        ("POST", f"{aliases}/production/rollback", {"json": {"why": "too slow"}}),
        ("POST", f"{aliases}/production/rollback", {"json": {}}),
        ("PUT", "/v1/models/ada~letters/share", {}),
        ("PUT", "/v1/models/digits/share", {}),
        ("PUT", "/v1/models/nothing/share", {}),
        ("DELETE", "/v1/models/ada~letters/versions/1/share", {}),
        ("DELETE", "/v1/models/ada~letters/share", {}),
        ("PUT", "/v1/models/ada~letters/versions/1/share", {}),
        ("PUT", "/v1/models/ada~letters/versions/9/share", {}),
        ("DELETE", "/v1/models/ada~letters/versions/1/share", {}),
        ("DELETE", f"{versions}/1", {}),
        ("DELETE", f"{aliases}/production", {}),
        ("DELETE", f"{aliases}/production", {}),
        ("DELETE", f"{versions}/1", {}),
        ("DELETE", f"{versions}/1", {}),
        ("DELETE", "/v1/models/digits", {}),
        ("DELETE", "/v1/models/digits", {}),
        ("GET", "/v1/chip", {}),
        ("GET", "/v1/chip/chip-1/series/canary", {}),
        ("GET", "/v1/chip/chip-1/series/shadow?limit=0", {}),
        ("GET", "/v1/chip/chip-1/series/weather", {}),
        ("GET", "/v1/queue", {}),
        ("GET", "/v1/usage", {}),
        ("GET", "/v1/me", {}),
        ("POST", "/v1/users", {"json": {"name": "ada", "expires_in": 60, "quotas": {"max_queued_jobs": 3}}}),
        ("POST", "/v1/users", {"json": {"name": "ada"}}),
        ("POST", "/v1/users", {"json": {"name": "Ada!"}}),
        ("POST", "/v1/users", {"data": "x", "content_type": "text/plain"}),
        ("GET", "/v1/users", {}),
        ("GET", "/v1/users/ada", {}),
        ("GET", "/v1/users/nobody", {}),
        ("PATCH", "/v1/users/ada", {"json": {"quotas": {"chip_seconds_per_day": "unlimited"}}}),
        ("PATCH", "/v1/users/ada", {"json": {"quotas": {"max_queued_jobs": -1}}}),
        ("PATCH", "/v1/users/nobody", {"json": {}}),
        ("POST", "/v1/users/ada/tokens", {"json": {}}),
        ("POST", "/v1/users/nobody/tokens", {"json": {}}),
        ("DELETE", "/v1/users/ada/tokens/0123456789ab", {}),
        ("DELETE", "/v1/users/ada/tokens", {}),
        ("DELETE", "/v1/users/nobody/tokens", {}),
        ("GET", "/v1/usage/minutes", {}),
        ("GET", "/v1/usage/minutes?minutes=0", {}),
        ("GET", "/v1/queue/depth", {}),
        ("GET", "/v1/queue/depth?minutes=0", {}),
        ("GET", "/v1/chip/chip-1/pattern", {}),
        ("GET", "/v1/chip/chip-9/pattern", {}),
        ("GET", "/v1/pulse", {}),
        ("PUT", "/v1/letters", {"json": LETTERS}),
        ("PUT", "/v1/letters", {"json": {}}),
        ("GET", "/v1/letters", {}),
        ("GET", "/v1/letters/events", {}),
        ("POST", "/v1/letters/order", {"json": {}}),
        ("POST", "/v1/letters/order/beats", {"json": {}}),
        ("POST", "/v1/letters/order", {"json": {"letters": 0}}),
        ("POST", "/v1/letters/order", {"json": {"letters": 20}}),
        ("POST", "/v1/letters/order", {"json": {}}),
        ("POST", "/v1/letters/order/beats", {"json": {}}),
        ("POST", "/v1/letters/order/beats", {"json": {"id": 1}}),
        ("GET", "/v1/letters/order", {}),
        ("DELETE", "/v1/letters/order", {}),
        ("GET", "/v1/desk", {}),
        ("PUT", "/v1/desk/letters/run-1", {"json": DESK_LETTER}),
        ("POST", "/v1/desk/claims", {}),
        ("PUT", "/v1/desk/letters/run-1/postcode", {"json": {"postcode": "69120"}}),
        ("DELETE", "/v1/desk/letters/run-1/postcode", {}),
        ("DELETE", "/v1/desk/letters/run-9/postcode", {}),
        ("POST", "/v1/desk/collections", {"json": {"received": []}}),
        ("GET", "/v1/samples/3", {}),
        ("GET", "/v1/samples/4", {}),
        ("POST", "/v1/crops", {"data": some_crops(2)}),
        ("POST", "/v1/crops", {"data": b"x"}),
        ("GET", "/metrics", {}),
        ("GET", "/healthz", {}),
        ("GET", "/readyz", {}),
    ]


def test_every_route_answers_as_documented(
    app: Flask,
    client: FlaskClient,
    document: dict[str, Any],
    chip: Chip,
    models: ModelStore,
    application: Application,
) -> None:
    models.publish(an_origin(name="ada~letters"), b"weights")
    for name in ("mine", "ada~letters"):
        application.datasets.publish(a_dataset_origin(name), some_labelled(30), some_labelled(20, seed=1))
    application.samples.keep({3: Samples("mnist", [some_crops(1)])})
    job_id = client.post("/v1/jobs", json=TRAINING).get_json()["id"]
    comparison = record_comparison(application, chip.lease, BETTER)
    session = client.post("/v1/chip/sessions", json={}).get_json()["id"]
    answered = set()

    answer_id = client.post("/v1/models/digits/classify?keep=true", data=some_crops(1)).get_json()["id"]
    jobs = _requests(job_id, comparison)
    requests = [*jobs, *_program_requests(session), *_correction_requests(answer_id), *UPLOADS]
    requests += _own_requests(application)
    requests += _webhook_requests(client, application)

    code = client.post("/v1/classes", json={"title": "a class", "until": _tomorrow()}).get_json()["code"]
    for nickname in ("Lena", "Max"):
        app.test_client().post(
            f"/c/{code}", data={"nickname": nickname}, headers={"Origin": "http://localhost"}
        )
    requests += _class_requests(code)
    requests += _challenge_requests(client, application, models)

    for method, path, arguments in [*requests, *DATASETS, *_parts(client), *_batches(client)]:
        with client.open(path, method=method, **arguments) as answer:
            _check(app, document, method, path, answer)
            if answer.status_code < 300:
                answered.add(_operation_of(app, method, path))

    chip.stop()
    everything = {(path, method) for path, item in document["paths"].items() for method in item}
    assert answered == everything


def _own_requests(application: Application) -> list[tuple[str, str, dict[str, Any]]]:
    """The routes of one's own tokens, as a user that has a record and as the admin that has none."""
    _, issued = application.users.add("lovelace")
    as_user = {"headers": {"Authorization": f"Bearer {issued.secret}"}}
    return [
        ("GET", "/v1/me/tokens", {}),
        ("POST", "/v1/me/tokens", {"json": {}}),
        ("POST", "/v1/me/tokens", {"json": {"expires_in": 60}, **as_user}),
        ("POST", "/v1/me/tokens", {"json": {"expires_in": -1}, **as_user}),
        ("POST", "/v1/me/sign-in-links", {}),
        ("DELETE", f"/v1/me/tokens/{issued.token.id}", as_user),
        ("DELETE", "/v1/me/tokens/0123456789ab", {}),
    ]


def _webhook_requests(client: FlaskClient, application: Application) -> list[tuple[str, str, dict[str, Any]]]:
    """The routes of webhooks, in good ways and bad."""
    application.deliverer.stop()
    path = f"/v1/webhooks/{client.post('/v1/webhooks', json=WEBHOOK).get_json()['id']}"
    again = f"/v1/webhooks/deliveries/{client.post(f'{path}/test').get_json()['id']}/again"
    return [
        ("POST", "/v1/webhooks", {"json": WEBHOOK}),
        ("POST", "/v1/webhooks", {"json": {"url": "http://127.0.0.1/"}}),
        ("POST", "/v1/webhooks", {"data": "x", "content_type": "text/plain"}),
        ("GET", "/v1/webhooks", {}),
        ("GET", path, {}),
        ("GET", "/v1/webhooks/nothing", {}),
        ("POST", f"{path}/secret", {}),
        ("POST", "/v1/webhooks/nothing/secret", {}),
        ("POST", f"{path}/test", {}),
        ("GET", "/v1/webhooks/deliveries", {}),
        ("GET", "/v1/webhooks/deliveries?cursor=x", {}),
        ("POST", again, {}),
        ("POST", "/v1/webhooks/deliveries/nothing/again", {}),
        ("PATCH", path, {"json": {"active": False, "events": ["job.failed"]}}),
        ("PATCH", path, {"json": {"events": ["job.begun"]}}),
        ("PATCH", "/v1/webhooks/nothing", {"json": {"active": True}}),
        ("POST", f"{path}/test", {}),
        ("POST", again, {}),
        ("DELETE", path, {}),
        ("DELETE", path, {}),
    ]


def _tomorrow() -> str:
    return (datetime.now(UTC) + timedelta(hours=23)).isoformat()


def _challenge_requests(
    client: FlaskClient, application: Application, models: ModelStore
) -> list[tuple[str, str, dict[str, Any]]]:
    """The routes of challenges, in good ways and bad."""
    mistakes = [{"png": "cGljdHVyZQ==", "digit": 3, "answer": 5, "margin": 2.0}]
    models.publish(an_origin(name="quizzed", metrics={"accuracy": 0.9, "mistakes": mistakes}), b"weights")
    crop = base64.b64encode(some_crops(1)).decode()
    sixty = client.post("/v1/challenges/sixty", json={"model": "quizzed"}).get_json()["game"]
    quiz = client.post("/v1/challenges/mistakes", json={"model": "quizzed"}).get_json()["game"]
    fool = application.boards.add_fool("service", "somebody", 3, 5, crop).id
    return [
        ("GET", "/v1/challenges/board", {}),
        ("PUT", "/v1/challenges/board", {"json": {"nickname": "Ada"}}),
        ("PUT", "/v1/challenges/board", {"json": {"nickname": "..."}}),
        ("POST", "/v1/challenges/sixty", {"json": {"model": "quizzed"}}),
        ("POST", "/v1/challenges/sixty", {"json": {"model": "nothing"}}),
        ("POST", f"/v1/challenges/sixty/{sixty}/answers", {"json": {"place": 0, "crop": crop}}),
        ("POST", "/v1/challenges/sixty/nothing/answers", {"json": {"place": 0, "crop": crop}}),
        ("POST", "/v1/challenges/fools", {"json": {"model": "quizzed", "digit": 3, "crop": crop}}),
        ("POST", "/v1/challenges/fools", {"json": {"model": "quizzed", "digit": 3, "crop": "x"}}),
        ("GET", "/v1/challenges/fools", {}),
        ("POST", f"/v1/challenges/fools/{fool}/votes", {"json": {"digit": 3}}),
        ("POST", f"/v1/challenges/fools/{fool}/votes", {"json": {"digit": 3}}),
        ("POST", "/v1/challenges/mistakes", {"json": {"model": "quizzed"}}),
        ("POST", "/v1/challenges/mistakes", {"json": {"model": "nothing"}}),
        ("POST", f"/v1/challenges/mistakes/{quiz}/answers", {"json": {"digits": [3]}}),
        ("POST", f"/v1/challenges/mistakes/{quiz}/answers", {"json": {"digits": [3]}}),
    ]


def _class_requests(code: str) -> list[tuple[str, str, dict[str, Any]]]:
    """The routes of classes, in good ways and bad."""
    path = f"/v1/classes/{code}"
    return [
        ("POST", "/v1/classes", {"json": {"title": "another", "until": _tomorrow()}}),
        ("POST", "/v1/classes", {"json": {"title": "another"}}),
        ("GET", "/v1/classes", {}),
        ("GET", path, {}),
        ("GET", "/v1/classes/nothing", {}),
        ("PATCH", path, {"json": {"paused": True, "until": _tomorrow(), "title": "a new title"}}),
        ("PATCH", f"{path}/seats/lena", {"json": {"nickname": "Mina"}}),
        ("PATCH", f"{path}/seats/lena", {"json": {"nickname": "Max"}}),
        ("POST", f"{path}/seats/lena/return", {}),
        ("POST", f"{path}/seats/nobody/return", {}),
        ("DELETE", f"{path}/seats/max", {}),
        ("DELETE", f"{path}/seats/max", {}),
        ("GET", f"{path}/export", {}),
        ("POST", f"{path}/end", {}),
        ("PATCH", path, {"json": {"paused": False}}),
        ("POST", f"{path}/seats/lena/return", {}),
        ("DELETE", path, {}),
    ]


def _correction_requests(answer: str) -> list[tuple[str, str, dict[str, Any]]]:
    """The routes of corrections, in good ways and bad."""
    return [
        ("POST", "/v1/corrections", {"json": {"answer": answer, "digit": 3}}),
        ("POST", "/v1/corrections", {"json": {"answer": answer, "index": 1, "digit": 3}}),
        ("POST", "/v1/corrections", {"json": {"answer": "nothing", "digit": 3}}),
        ("POST", "/v1/corrections", {"data": b"3"}),
        ("GET", "/v1/corrections", {}),
        ("GET", "/v1/corrections?cursor=x", {}),
        ("POST", "/v1/corrections/close", {"json": {"dataset": "mnist"}}),
        ("POST", "/v1/corrections/close", {"json": {"dataset": "mine"}}),
        ("GET", "/v1/accuracy", {}),
        ("DELETE", f"/v1/corrections/{answer}-0", {}),
        ("POST", "/v1/corrections", {"json": {"answer": answer, "digit": 4}}),
        ("DELETE", f"/v1/corrections/{answer}-0", {}),
        ("PUT", "/v1/me/keep", {"json": {"keep": True}}),
        ("PUT", "/v1/me/keep", {"json": {"keep": False}}),
    ]


def _batches(client: FlaskClient) -> list[tuple[str, str, dict[str, Any]]]:
    """The routes of batch jobs, in good ways and bad."""
    body = {"files": [{"name": "a.idx", "bytes": 3}]}
    first, second = (client.post("/v1/uploads", json=body).get_json()["upload"] for _ in range(2))
    batch = {"kind": "batch", "model": "digits", "params": {"upload": first}}
    of_dataset = {"kind": "batch", "model": "digits", "params": {"dataset": "digits", "part": "test"}}
    job_id, other = (
        client.post("/v1/jobs", json=json).get_json()["id"]
        for json in (of_dataset, {"kind": "evaluation", "model": "digits"})
    )
    return [
        ("POST", "/v1/uploads", {"json": body}),
        ("POST", "/v1/uploads", {"json": {"files": []}}),
        ("POST", "/v1/uploads", {"json": {"files": [{"name": "../a", "bytes": 3}]}}),
        ("GET", f"/v1/uploads/{first}", {}),
        ("GET", "/v1/uploads/nothing", {}),
        ("POST", "/v1/jobs", {"json": batch}),
        ("PUT", f"/v1/uploads/{first}/files/0", {"data": b"abcd"}),
        ("PUT", f"/v1/uploads/{first}/files/0", {"data": b"abc"}),
        ("PUT", f"/v1/uploads/{first}/files/0", {"data": b"abc"}),
        ("POST", "/v1/jobs", {"json": batch}),
        ("POST", "/v1/jobs", {"json": batch | {"model": "other"}}),
        ("POST", "/v1/jobs", {"json": {"kind": "batch", "model": "digits"}}),
        ("POST", "/v1/jobs", {"json": {"kind": "batch", "model": "digits", "params": {"upload": "x"}}}),
        ("DELETE", f"/v1/uploads/{first}", {}),
        ("DELETE", f"/v1/uploads/{second}", {}),
        *(("GET", f"/v1/jobs/{job_id}/answers?format={form}", {}) for form in ("npz", "csv", "jsonl")),
        ("GET", f"/v1/jobs/{job_id}/answers?format=x", {}),
        ("GET", f"/v1/jobs/{other}/answers", {}),
        ("GET", "/v1/jobs/nothing/answers", {}),
    ]


def _parts(client: FlaskClient) -> list[tuple[str, str, dict[str, Any]]]:
    """The routes of an upload in parts, in good ways and bad."""
    body = {"files": [{"name": "a.npz", "bytes": 3}]}
    uploads = "/v1/datasets/new/uploads"
    first, second = (client.post(uploads, json=body).get_json()["upload"] for _ in range(2))
    return [
        ("GET", f"{uploads}/{first}", {}),
        ("POST", f"{uploads}/{first}/complete", {}),
        ("PUT", f"{uploads}/{first}/files/0", {"data": b"abcd"}),
        ("PUT", f"{uploads}/{first}/files/7", {"data": b"abc"}),
        ("PUT", f"{uploads}/{first}/files/0", {"data": b"abc"}),
        ("PUT", f"{uploads}/{first}/files/0", {"data": b"abc"}),
        ("POST", f"{uploads}/{first}/complete", {}),
        ("DELETE", f"{uploads}/{first}", {}),
        ("DELETE", f"{uploads}/{second}", {}),
    ]


def _program_requests(session: str) -> list[tuple[str, str, dict[str, Any]]]:
    """The routes of programs, in good ways and bad."""
    tensors = {"inputs": np.ones((2, 3), np.uint8), "weights": np.ones((3, 4), np.int8)}
    operation = {"content_type": TENSORS, "headers": {"Idempotency-Key": "1"}, "data": save(tensors)}
    path = f"/v1/chip/sessions/{session}"
    return [
        ("POST", "/v1/chip/sessions", {"json": {"chip": "chip-9"}}),
        ("POST", "/v1/chip/sessions", {"json": {"program": "a program"}}),
        ("GET", path, {}),
        ("GET", "/v1/chip/sessions/nothing", {}),
        ("POST", f"{path}/operations", operation),
        ("POST", f"{path}/operations", operation | {"data": b"x"}),
        ("POST", f"{path}/operations", operation | {"content_type": "text/plain"}),
        ("DELETE", path, {}),
        ("POST", f"{path}/operations", operation),
    ]


@pytest.mark.parametrize(("method", "path"), [("GET", "/v1/jobs"), ("POST", CLASSIFY), ("GET", "/v1/models")])
def test_who_has_no_token_is_answered_as_documented(
    app: Flask, stranger: FlaskClient, document: dict[str, Any], method: str, path: str
) -> None:
    _check(app, document, method, path, stranger.open(path, method=method))


def test_a_service_that_is_not_ready_answers_as_documented(
    app: Flask, client: FlaskClient, document: dict[str, Any], connection: Connection
) -> None:
    connection.client.flushall()

    _check(app, document, "GET", "/readyz", client.get("/readyz"))


def test_a_damaged_version_is_shown_as_documented(
    app: Flask, client: FlaskClient, document: dict[str, Any], models: ModelStore
) -> None:
    models.weights_path("digits", "1").with_name("manifest.json").write_text("damaged")

    _check(app, document, "GET", "/v1/models/digits", client.get("/v1/models/digits"))


def test_the_document_asks_for_the_token_where_the_service_does(document: dict[str, Any]) -> None:
    [(name, scheme)] = document["components"]["securitySchemes"].items()

    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")
    for path, item in document["paths"].items():
        for operation in item.values():
            asked = operation.get("security", document.get("security"))
            assert bool([entry for entry in asked or [] if name in entry]) == (path not in PUBLIC)
    assert TOKEN not in str(document)


def test_every_pattern_of_a_request_has_words_for_the_error(client: FlaskClient) -> None:
    patterns = set(_patterns(client.get("/openapi.json").get_json()))

    assert len(patterns) >= 3
    assert patterns <= WORDS_OF.keys()


def _patterns(document: Any) -> Iterator[str]:
    if isinstance(document, dict):
        if isinstance(document.get("pattern"), str):
            yield document["pattern"]
        document = list(document.values())
    for part in document if isinstance(document, list) else []:
        yield from _patterns(part)

"""What belongs to one user is, for every other, as if it were not there."""

import itertools
import re
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from api.operations import MEDIA_TYPE as TENSORS
from services.models.files import ModelStore
from services.users.accounts import Role
from tests.api.requests import CLASSIFY, RAW, Enter, refused
from tests.services.chip import Chip
from tests.services.samples import an_origin, some_crops
from tests.services.uploads import a_version_file

TRAINING = {"kind": "training", "model": "digits"}
OF_A_JOB = [
    ("GET", "/v1/jobs/{}"),
    ("GET", "/v1/jobs/{}?wait=1"),
    ("GET", "/v1/jobs/{}/events"),
    ("POST", "/v1/jobs/{}/cancel"),
]


def _id(response: TestResponse) -> str:
    assert response.status_code == 202, response.get_data(as_text=True)
    job_id: str = response.get_json()["id"]
    return job_id


def _jobs_of(client: FlaskClient) -> list[str]:
    """A long job, and a classification that has its results."""
    crops = {"data": some_crops(2), "content_type": RAW}
    return [
        _id(client.post("/v1/jobs", json=TRAINING)),
        _id(client.post(f"{CLASSIFY}?wait=0", **crops)),
    ]


def _said(response: TestResponse, job_id: str) -> dict[str, Any]:
    """A problem document without the name that was asked for."""
    refused(response, 404, "job_not_found")
    body: dict[str, Any] = response.get_json()
    return body | {field: body[field].replace(job_id, "?") for field in ("detail", "error")}


def test_another_users_jobs_cannot_be_told_from_missing_ones(enter: Enter, idle_chip: Chip) -> None:
    ada, grace = enter("ada"), enter("grace")
    theirs = _jobs_of(ada)
    idle_chip.work_once()

    for (method, path), job_id in itertools.product(OF_A_JOB, theirs):
        missing = f"{job_id[:-1]}{'0' if job_id[-1] != '0' else '1'}"

        seen, unseen = (grace.open(path.format(name), method=method) for name in (job_id, missing))

        assert _said(seen, job_id) == _said(unseen, missing)
        assert set(seen.headers.keys()) == set(unseen.headers.keys())
    assert ada.get(f"/v1/jobs/{theirs[0]}").get_json()["cancel_requested"] is False


@pytest.mark.parametrize("way", OF_A_JOB)
def test_ones_own_jobs_and_an_admins_sight_are_not_touched(
    client: FlaskClient, enter: Enter, idle_chip: Chip, way: tuple[str, str]
) -> None:
    ada, root = enter("ada"), enter("root", Role.ADMIN)
    [_, sent] = _jobs_of(ada)
    idle_chip.work_once()

    for somebody in (ada, root, client):
        with somebody.open(way[1].format(sent), method=way[0]) as response:
            assert response.status_code == 200


def test_everybody_lists_their_own_jobs_and_admins_all(
    client: FlaskClient, enter: Enter, idle_chip: Chip
) -> None:
    del idle_chip
    ada, grace = enter("ada"), enter("grace")
    adas, graces = _jobs_of(ada), _jobs_of(grace)

    def listed(who: FlaskClient, query: str = "") -> list[str]:
        return sorted(job["id"] for job in who.get(f"/v1/jobs{query}").get_json()["jobs"])

    assert listed(ada) == listed(ada, "?user=ada") == sorted(adas)
    assert listed(grace) == sorted(graces)
    assert listed(ada, "?user=grace") == listed(ada, "?user=nobody") == []
    assert listed(client) == sorted([*adas, *graces])
    assert listed(client, "?user=grace") == sorted(graces)
    assert listed(grace, "?kind=training") == graces[:1]


def test_pages_of_ones_own_jobs_leave_nothing_out(enter: Enter) -> None:
    ada, grace = enter("ada"), enter("grace")
    mine = [_id(who.post("/v1/jobs", json=TRAINING)) for who in (ada, grace) * 5][::2]

    found: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = ada.get(f"/v1/jobs?limit=2&cursor={cursor}").get_json()
        found += [job["id"] for job in page["jobs"]]
        cursor = page["next_cursor"]

    assert found == mine[::-1]


def test_a_key_of_one_user_opens_no_job_of_another(enter: Enter) -> None:
    ada, grace = enter("ada"), enter("grace")
    key = {"Idempotency-Key": "k"}

    first, other = (_id(who.post("/v1/jobs", json=TRAINING, headers=key)) for who in (ada, grace))

    assert first != other


def test_usage_names_only_oneself_and_sums_up_the_rest(client: FlaskClient, enter: Enter, chip: Chip) -> None:
    del chip
    ada, grace = enter("ada"), enter("grace")
    for who in (ada, grace, grace):
        assert who.post(CLASSIFY, data=some_crops(1), content_type=RAW).status_code == 200

    seen = ada.get("/v1/usage")

    assert [user["user"] for user in seen.get_json()["users"]] == ["ada"]
    assert seen.get_json()["all"] == {"chip_time_s": {"classification": 0.003}, "total_s": 0.003}
    assert [user["user"] for user in client.get("/v1/usage").get_json()["users"]] == ["ada", "grace"]


@pytest.mark.parametrize(
    "path",
    [
        *("/v1/chip", "/v1/queue", "/v1/usage", "/v1/jobs", "/v1/me", "/v1/models", "/"),
        *("/v2", "/v2/models/stats", "/v2/repository/index", "/v1/models/nothing", "/readyz"),
    ],
)
def test_what_everybody_sees_names_nobody_else(
    enter: Enter, idle_chip: Chip, models: ModelStore, path: str
) -> None:
    ada, grace = enter("adalovelace"), enter("grace")
    models.publish(an_origin(name="adalovelace~letters"), b"weights")
    theirs = _jobs_of(ada)
    idle_chip.work_once()

    text = grace.open(path, method="POST" if path.endswith("index") else "GET").get_data(as_text=True)

    assert not [name for name in ("adalovelace", "~letters", *theirs) if name in text]


def test_a_calibration_goes_before_everybodys_work_and_is_for_admins(enter: Enter) -> None:
    refused(enter("ada").post("/v1/jobs", json={"kind": "calibration"}), 403, "forbidden")

    assert enter("root", Role.ADMIN).post("/v1/jobs", json={"kind": "calibration"}).status_code == 202


NO_BODY: dict[str, Any] = {}
INFER = {"data": some_crops(1), "headers": {"Inference-Header-Content-Length": "0"}}
BODY_OF: dict[str, dict[str, Any]] = {
    "/v1/jobs": {"json": {"kind": "evaluation", "model": "ada~letters"}},
    "/v1/models/<name>/classify": {"data": some_crops(1), "content_type": RAW},
    "/v1/models/<name>/versions/<version>/classify": {"data": some_crops(1), "content_type": RAW},
    "/v2/models/<name>/infer": INFER,
    "/v2/models/<name>/versions/<version>/infer": INFER,
    "/v1/models/<name>/versions": {"data": a_version_file(), "content_type": TENSORS},
    "/v1/models/<name>/aliases/<alias>": {"json": {"version": "1"}},
    "/v1/users/<name>": {"json": {"disabled": True}},
    "/v1/users/<name>/tokens": {"json": {}},
}
MAKING_A_VERSION = ("POST", "/v1/models/<name>/versions")
"""Names of another's models are refused as such, whether there is one or not."""
OF_EVERYBODY = ("/v1/chip", "/v1/samples", "/static")
"""Paths whose parts name nothing of a user's."""


def _with_ids(app: Flask, ids: dict[str, str]) -> list[tuple[str, str, str]]:
    """Every method and route whose path names something of a user's: method, rule, and path with these ids."""
    found = []
    for rule in app.url_map.iter_rules():
        if rule.arguments and not rule.rule.startswith(OF_EVERYBODY):
            kind = rule.rule.split("/")[2]
            path = re.sub(r"<(\w+)>", lambda m: ids.get(f"{kind}.{m[1]}", ids.get(m[1], "?")), rule.rule)  # noqa: B023
            methods = sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
            found += [(method, rule.rule, path) for method in methods]
    return found


@pytest.fixture
def letters(models: ModelStore) -> None:
    """A private model of ada's, with an alias."""
    models.publish(an_origin(name="ada~letters", job="c"), b"weights")
    models.set_alias("ada~letters", "best", "1")


def _ids(job_id: str, model: str) -> dict[str, str]:
    return {
        "job_id": job_id,
        "models.name": model,
        "users.name": "ada",
        "version": "1",
        "alias": "best",
        "token_id": "0123456789ab",
    }


@pytest.mark.usefixtures("letters", "chip")
def test_no_route_lets_one_user_at_anothers_things(app: Flask, enter: Enter) -> None:
    ada, grace = enter("ada"), enter("grace")
    job_id = _id(ada.post("/v1/jobs", json=TRAINING))
    before = ada.get("/v1/models/letters").get_json()
    routes = _with_ids(app, _ids(job_id, "ada~letters"))

    answers = {}
    for method, rule, path in routes:
        with grace.open(path, method=method, **BODY_OF.get(rule, NO_BODY)) as response:
            answers[method, rule] = response.status_code

    assert len(answers) > 20
    assert "/v1/models/<name>/versions/<version>/weights" in {rule for _, rule in answers}
    wrong = {
        route: status
        for route, status in answers.items()
        if status != (403 if route[1].startswith("/v1/users") or route == MAKING_A_VERSION else 404)
    }
    assert wrong == {}
    assert ada.get("/v1/models/letters").get_json() == before
    assert ada.get(f"/v1/jobs/{job_id}").get_json()["revision"] == 1


@pytest.mark.usefixtures("letters", "chip")
def test_the_same_routes_let_the_owner_in(app: Flask, enter: Enter) -> None:
    ada = enter("ada")
    job_id = _id(ada.post("/v1/jobs", json=TRAINING))

    for name in ("letters", "ada~letters"):
        reading = [
            (rule, path)
            for method, rule, path in _with_ids(app, _ids(job_id, name))
            if (method == "GET" and not path.startswith("/v1/users") and not path.endswith("/events"))
            or path.endswith(("/classify", "/infer"))
        ]
        for rule, path in reading:
            method = "POST" if path.endswith(("/classify", "/infer")) else "GET"
            with ada.open(path, method=method, **BODY_OF.get(rule, NO_BODY)) as response:
                assert response.status_code == 200, path


@pytest.mark.usefixtures("letters", "chip")
def test_a_private_model_cannot_be_told_from_a_missing_one(app: Flask, enter: Enter) -> None:
    grace = enter("grace")
    private, missing = (_with_ids(app, _ids("x", name)) for name in ("ada~letters", "ada~nothing"))

    for (method, rule, seen), (_, _, unseen) in zip(private, missing, strict=True):
        if not rule.startswith("/v1/models"):
            continue
        answers = [grace.open(path, method=method, **BODY_OF.get(rule, NO_BODY)) for path in (seen, unseen)]
        texts = [
            re.sub("letters|nothing", "?", answer.get_data(as_text=True)).replace("ada~?", "?")
            for answer in answers
        ]
        assert texts[0] == texts[1]
    evaluations = [
        grace.post("/v1/jobs", json={"kind": "evaluation", "model": f"ada~{name}"}).get_json()["detail"]
        for name in ("letters", "nothing")
    ]
    assert evaluations[0].replace("letters", "nothing") == evaluations[1]

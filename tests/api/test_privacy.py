"""What belongs to one user is, for every other, as if it were not there."""

import io
import itertools
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from api.application import Application
from api.operations import MEDIA_TYPE as TENSORS
from services.datasets.files import LabelledCrops
from services.models.aliases import Rollout
from services.models.files import ModelStore
from services.users.accounts import Role
from tests.api.requests import CLASSIFY, RAW, Enter, refused
from tests.api.test_desk import a_letter
from tests.services.chip import Chip
from tests.services.datasets.crops import a_dataset_origin, some_labelled
from tests.services.samples import an_origin, some_crops
from tests.services.uploads import a_version_file

TRAINING = {"kind": "training", "model": "digits"}
BATCH = {"kind": "batch", "model": "letters", "params": {"dataset": "digits", "part": "test"}}
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


def _kept_by(client: FlaskClient, model: str, chip: Chip) -> str:
    """The id of a kept answer that can be corrected."""
    sent = client.post(f"/v1/models/{model}/classify?wait=0&keep=true", data=some_crops(1), content_type=RAW)
    chip.work_once()
    return _id(sent)


def _parts() -> tuple[LabelledCrops, LabelledCrops]:
    """Training and test part of a data set."""
    return some_labelled(31), some_labelled(12, seed=1)


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
        missing = _another(job_id)

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
        *("/v1/webhooks", "/v1/webhooks/deliveries"),
        *(
            "/v1/me/tokens",
            "/v1/classes",
            "/v1/challenges/board",
            "/v1/challenges/fools",
            "/train",
            "/models",
        ),
        *("/v2", "/v2/models/stats", "/v2/repository/index", "/v1/models/nothing", "/readyz"),
        *(
            "/v1/datasets",
            "/v1/datasets/nothing",
            "/v1/corrections",
            "/v1/accuracy",
            "/v1/desk",
            "/v1/letters",
        ),
    ],
)
def test_what_everybody_sees_names_nobody_else(
    enter: Enter, idle_chip: Chip, application: Application, models: ModelStore, path: str
) -> None:
    ada, grace = enter("adalovelace"), enter("grace")
    models.publish(an_origin(name="adalovelace~letters"), b"weights")
    application.datasets.publish(a_dataset_origin("adalovelace~letters"), *_parts())
    theirs = [*_jobs_of(ada), _kept_by(ada, "letters", idle_chip)]
    assert ada.post("/v1/corrections", json={"answer": theirs[-1], "digit": 7}).status_code == 201
    assert ada.put("/v1/desk/letters/adas", json=a_letter()).status_code == 204

    text = grace.open(path, method="POST" if path.endswith("index") else "GET").get_data(as_text=True)

    assert not [name for name in ("adalovelace", "~letters", "adas", *theirs) if name in text]


def test_a_calibration_goes_before_everybodys_work_and_is_for_admins(enter: Enter) -> None:
    refused(enter("ada").post("/v1/jobs", json={"kind": "calibration"}), 403, "forbidden")

    assert enter("root", Role.ADMIN).post("/v1/jobs", json={"kind": "calibration"}).status_code == 202


NO_BODY: dict[str, Any] = {}
INFER = {"data": some_crops(1), "headers": {"Inference-Header-Content-Length": "0"}}
BODY_OF: dict[str, dict[str, Any]] = {
    "/v1/uploads/<upload>/files/<int:index>": {"data": b"new"},
    "/v1/jobs": {"json": {"kind": "evaluation", "model": "ada~letters"}},
    "/v1/models/<name>/classify": {"data": some_crops(1), "content_type": RAW},
    "/v1/models/<name>/versions/<version>/classify": {"data": some_crops(1), "content_type": RAW},
    "/v2/models/<name>/infer": INFER,
    "/v2/models/<name>/versions/<version>/infer": INFER,
    "/v1/models/<name>/versions": {"data": a_version_file(), "content_type": TENSORS},
    "/v1/models/<name>/aliases/<alias>": {"json": {"version": "1"}},
    "/v1/models/<name>/aliases/<alias>/promote": {"json": {"version": "1", "comparison": "x"}},
    "/v1/models/<name>/aliases/<alias>/rollback": {"json": {}},
    "/v1/models/<name>/aliases/<alias>/rollout": {"json": {"candidate": "2", "share": 0.1}},
    "/v1/users/<name>": {"json": {"disabled": True}},
    "/v1/users/<name>/tokens": {"json": {}},
    "/v1/datasets/<name>/uploads": {"json": {"files": [{"name": "mine.npz", "bytes": 3}]}},
    "/v1/datasets/<name>/uploads/<upload>/files/<int:index>": {"data": b"new"},
    "/v1/datasets/<name>/versions": {"data": {"file": (b"content", "mine.npz")}},
    "/v1/desk/letters/<letter_id>": {"json": a_letter(number=4)},
    "/v1/desk/letters/<letter_id>/postcode": {"json": {"postcode": "01234"}},
    "/v1/classes/<code>": {"json": {"paused": True}},
    "/v1/classes/<code>/seats/<seat>": {"json": {"nickname": "Ida"}},
    "/v1/webhooks/<string(maxlength=9):webhook_id>": {"json": {"active": False}},
    "/v1/challenges/sixty/<game>/answers": {"json": {"place": 0, "crop": None}},
    "/v1/challenges/mistakes/<game>/answers": {"json": {"digits": []}},
    "/v1/challenges/fools/<fool>/votes": {"json": {"digit": 1}},
}
MAKING = {
    ("POST", "/v1/models/<name>/versions"),
    ("POST", "/v1/datasets/<name>/uploads"),
    ("POST", "/v1/datasets/<name>/versions"),
}
"""Names of another's models and data sets are refused as such, whether there is one or not."""
ON_ONES_OWN_DESK = ("PUT", "/v1/desk/letters/<letter_id>")
"""Whoever puts a letter on a desk puts it on their own."""
OF_EVERYBODY = ("/v1/chip", "/v1/samples", "/static", "/c/")
"""Paths whose parts name nothing of a user's, and the door of a class, open to whoever has its code."""


@dataclass(frozen=True)
class Adas:
    """Ids of things of ada's, by the names of their places in paths."""

    ids: dict[str, str]

    def routes(self, app: Flask, *, of: str | None = None) -> list[tuple[str, str, str]]:
        """Every method and route whose path names something of a user's: method, rule, and path with the ids.

        Args:
            app: has the routes.
            of: what the names of models and data sets are replaced by.
        """
        ids = self.ids if of is None else self.ids | {"models.name": of, "datasets.name": of}
        found = []
        for rule in app.url_map.iter_rules():
            if rule.arguments and not rule.rule.startswith(OF_EVERYBODY):
                kind = rule.rule.split("/")[2]
                path = re.sub(
                    r"<(?:[^<>:]+:)?(\w+)>",
                    lambda m: ids.get(f"{kind}.{m[1]}") or ids[m[1]],  # noqa: B023 called at once
                    rule.rule,
                )
                methods = sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
                found += [(method, rule.rule, path) for method in methods]
        return sorted(found, key=lambda route: route[:2] == ON_ONES_OWN_DESK)

    def seen_by(self, ada: FlaskClient) -> list[Any]:
        """Everything of ada's as she sees it herself."""
        paths = [
            *("/v1/models/letters", "/v1/datasets/letters", "/v1/corrections", "/v1/desk", "/v1/accuracy"),
            "/v1/models/letters/aliases/best/history",
            f"/v1/datasets/letters/uploads/{self.ids['upload']}",
            f"/v1/uploads/{self.ids['uploads.upload']}",
            f"/v1/classes/{self.ids['code']}",
            "/v1/webhooks",
            "/v1/webhooks/deliveries",
        ]
        answers = [ada.get(path) for path in paths]
        assert [answer.status_code for answer in answers] == [200] * len(paths)
        job = ada.get(f"/v1/jobs/{self.ids['job_id']}").get_json()
        return [*(answer.get_json() for answer in answers), job["revision"], job["cancel_requested"]]


@pytest.fixture
def ada(enter: Enter) -> FlaskClient:
    """A client of ada's."""
    return enter("ada")


@pytest.fixture
def adas(ada: FlaskClient, application: Application, models: ModelStore, idle_chip: Chip) -> Adas:
    """Private things of ada's.

    A model with an alias and its rollout, a batch job, a data set and uploads, a correction, a letter on her desk, a
    class with a pupil, a game, and a webhook with a delivery.
    """
    for job in ("c", "d"):
        models.publish(an_origin(name="ada~letters", job=job), b"weights")
    models.set_alias("ada~letters", "best", "1")
    rollout = Rollout(candidate="2", share=0.1, shadow=0.0, user="ada", since=0.0)
    models.alias_files.change(
        "ada~letters", "best", lambda best: best and best.model_copy(update={"rollout": rollout})
    )
    application.datasets.publish(a_dataset_origin("ada~letters"), *_parts())
    file = {"files": [{"name": "mine.npz", "bytes": 3}]}
    upload, of_files = (ada.post(f"/v1/{path}uploads", json=file) for path in ("datasets/letters/", ""))
    correction = ada.post("/v1/corrections", json={"answer": _kept_by(ada, "letters", idle_chip), "digit": 7})
    assert ada.put("/v1/desk/letters/first", json=a_letter()).status_code == 204
    until = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    started = ada.post("/v1/classes", json={"title": "7b", "seats": 2, "until": until})
    application.classes.join(started.get_json()["code"], "Emmy")
    [pupil] = ada.get(f"/v1/classes/{started.get_json()['code']}").get_json()["pupils"]
    game = ada.post("/v1/challenges/sixty", json={"model": "letters", "version": "1"})
    application.deliverer.stop()
    hook = ada.post("/v1/webhooks", json={"url": "https://receiver.example/"}).get_json()["id"]
    return Adas(
        {
            "webhook_id": hook,
            "delivery_id": ada.post(f"/v1/webhooks/{hook}/test").get_json()["id"],
            "job_id": _id(ada.post("/v1/jobs", json=BATCH)),
            "models.name": "ada~letters",
            "datasets.name": "ada~letters",
            "users.name": "ada",
            "version": "1",
            "alias": "best",
            "token_id": "0123456789ab",
            "upload": upload.get_json()["upload"],
            "uploads.upload": of_files.get_json()["upload"],
            "index": "0",
            "correction_id": correction.get_json()["id"],
            "letter_id": "first",
            "code": started.get_json()["code"],
            "seat": pupil["seat"],
            "game": game.get_json()["game"],
            "fool": "0123456789ab",
        }
    )


def _body_of(rule: str) -> dict[str, Any]:
    """A body for a route; a form is made anew, since sending it uses it up."""
    body = BODY_OF.get(rule, NO_BODY)
    match body.get("data"):
        case {"file": (bytes() as content, name)}:
            return {"data": {"file": (io.BytesIO(content), name)}}
    return body


def test_no_route_lets_one_user_at_anothers_things(
    app: Flask, enter: Enter, ada: FlaskClient, adas: Adas, idle_chip: Chip
) -> None:
    grace = enter("grace")
    idle_chip.start()
    before = adas.seen_by(ada)

    answers = {}
    for method, rule, path in adas.routes(app):
        with grace.open(path, method=method, **_body_of(rule)) as response:
            answers[method, rule] = response.status_code

    assert len(answers) > 40
    assert "/v1/models/<name>/versions/<version>/weights" in {rule for _, rule in answers}
    assert answers.pop(ON_ONES_OWN_DESK) == 204
    wrong = {
        route: status
        for route, status in answers.items()
        if status != (403 if route[1].startswith("/v1/users") or route in MAKING else 404)
    }
    assert wrong == {}
    assert adas.seen_by(ada) == before


@pytest.mark.parametrize("name", ["letters", "ada~letters"])
def test_the_same_routes_let_the_owner_in(
    app: Flask, ada: FlaskClient, adas: Adas, idle_chip: Chip, name: str
) -> None:
    idle_chip.start()
    reading = [
        (rule, path)
        for method, rule, path in adas.routes(app, of=name)
        if (method == "GET" and not path.startswith("/v1/users") and not path.endswith("/events"))
        or path.endswith(("/classify", "/infer"))
    ]

    for rule, path in reading:
        method = "POST" if path.endswith(("/classify", "/infer")) else "GET"
        with ada.open(path, method=method, **_body_of(rule)) as response:
            assert response.status_code == 200, path


def test_a_private_thing_cannot_be_told_from_a_missing_one(
    app: Flask, enter: Enter, adas: Adas, idle_chip: Chip
) -> None:
    grace = enter("grace")
    idle_chip.start()
    gone = {
        name: _another(adas.ids[name])
        for name in (
            *("job_id", "upload", "uploads.upload", "correction_id", "letter_id", "code", "game"),
            *("webhook_id", "delivery_id"),
        )
    }
    missing = Adas(adas.ids | gone).routes(app, of="ada~nothing")
    unlike = {"letters", "nothing", *gone.values(), *(adas.ids[name] for name in gone)}

    def texts(body: Any, *paths: str, method: str) -> list[str]:
        said = [grace.open(path, method=method, **body()).get_data(as_text=True) for path in paths]
        return [re.sub("|".join(sorted(unlike, key=len, reverse=True)), "?", text) for text in said]

    for (method, rule, seen), (_, _, unseen) in zip(adas.routes(app), missing, strict=True):
        if not rule.startswith("/v1/users") and (method, rule) != ON_ONES_OWN_DESK:
            first, second = texts(lambda: _body_of(rule), seen, unseen, method=method)  # noqa: B023 called at once
            assert first.replace("ada~?", "?") == second.replace("ada~?", "?"), (method, rule)


def _another(name: str) -> str:
    """An id of the same form that names nothing."""
    return f"{name[:-1]}{'0' if name[-1] != '0' else '1'}"


@pytest.mark.parametrize(
    "job",
    [
        {"kind": "evaluation", "model": "ada~?"},
        {"kind": "comparison", "model": "ada~?", "params": {"version": "2", "against": "best"}},
        {"kind": "evaluation", "model": "digits", "params": {"dataset": "ada~?"}},
        {"kind": "batch", "model": "ada~?", "params": {"dataset": "digits"}},
        {"kind": "batch", "model": "digits", "params": {"dataset": "ada~?"}},
        {
            "kind": "comparison",
            "model": "digits",
            "params": {"version": "2", "against": "1", "dataset": "ada~?@1"},
        },
        {"kind": "training", "model": "mine", "params": {"dataset": {"mnist": 1, "ada~?@1": 20}}},
        {"kind": "training", "model": "mine", "params": {"start_from": "ada~?@1"}},
    ],
)
@pytest.mark.usefixtures("adas")
def test_jobs_on_a_private_thing_are_refused_like_those_on_a_missing_one(
    enter: Enter, job: dict[str, Any]
) -> None:
    grace = enter("grace")

    seen, unseen = (
        grace.post("/v1/jobs", json=json.loads(json.dumps(job).replace("?", name)))
        for name in ("letters", "nothing")
    )

    assert seen.status_code == unseen.status_code == 404
    assert seen.get_json()["detail"].replace("letters", "nothing") == unseen.get_json()["detail"]


def test_another_users_comparison_promotes_nothing(enter: Enter, adas: Adas, models: ModelStore) -> None:
    grace = enter("grace")
    for job in ("e", "f"):
        models.publish(an_origin(name="grace~letters", job=job), b"weights")
    models.set_alias("grace~letters", "best", "1")

    seen, unseen = (
        grace.post("/v1/models/letters/aliases/best/promote", json={"version": "2", "comparison": job_id})
        for job_id in (adas.ids["job_id"], _another(adas.ids["job_id"]))
    )

    refused(seen, 404, "job_not_found")
    assert (
        seen.get_json()["detail"].replace(adas.ids["job_id"], _another(adas.ids["job_id"]))
        == (unseen.get_json()["detail"])
    )


def test_another_users_answer_cannot_be_corrected(enter: Enter, ada: FlaskClient, adas: Adas) -> None:
    grace = enter("grace")
    [answer] = [correction["answer"] for correction in ada.get("/v1/corrections").get_json()["corrections"]]
    del adas

    seen, unseen = (
        grace.post("/v1/corrections", json={"answer": name, "digit": 1})
        for name in (answer, _another(answer))
    )

    refused(seen, 404, "answer_not_kept")
    assert seen.get_json()["detail"].replace(answer, _another(answer)) == unseen.get_json()["detail"]

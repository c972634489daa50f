"""Promotion over HTTP: what moves an alias, what is refused, and what the history says."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from flask.testing import FlaskClient

from api.application import Application
from services.chips.series import Trial
from services.jobs.acceptance import Idempotency
from services.models.files import ModelStore
from services.users.accounts import Role
from tests.api.jobs import BETTER, record_comparison
from tests.api.requests import RAW, Enter, refused
from tests.services.chip import Chip
from tests.services.samples import PLENTY, a_job, an_origin, some_crops

ALIAS = "/v1/models/digits/aliases/production"
EQUAL = {"both_right": 9600, "only_candidate": 60, "only_present": 60, "both_wrong": 280}
WORSE = {"both_right": 9600, "only_candidate": 50, "only_present": 100, "both_wrong": 250}

Compared = Callable[..., str]


@pytest.fixture(autouse=True)
def _production(models: ModelStore) -> None:
    models.publish(an_origin(job="c"), b"weights of c")
    models.set_alias("digits", "production", "1", user="root")


@pytest.fixture
def compared(application: Application, idle_chip: Chip) -> Compared:
    """Records a comparison that has succeeded, with this paired table, and returns its id."""
    return partial(record_comparison, application, idle_chip.lease)


def _promote(client: FlaskClient, comparison: str, version: str = "2", **more: Any) -> Any:
    body = {"version": version, "comparison": comparison, **more}
    return client.post(f"{ALIAS}/promote", json=body)


@pytest.mark.parametrize(("table", "verdict"), [(BETTER, "better"), (EQUAL, "not_worse")])
def test_a_version_that_is_better_or_not_worse_is_promoted(
    client: FlaskClient, compared: Compared, models: ModelStore, table: dict[str, int], verdict: str
) -> None:
    job = compared(table)

    answer = _promote(client, job, why="reads sevens")

    assert (answer.status_code, answer.get_json()["version"]) == (200, "2")
    assert models.aliases("digits")["production"] == "2"
    [change, *_] = client.get(f"{ALIAS}/history").get_json()["changes"]
    assert (change["action"], change["user"], change["why"]) == ("promoted", "admin", "reads sevens")
    assert (change["before"], change["version"]) == ("1", "2")
    assert (change["figures"]["comparison"], change["figures"]["verdict"]) == (job, verdict)
    assert change["figures"]["accuracies"]["candidate"] == (9700 if verdict == "better" else 9660) / 10_000


def test_a_promotion_sent_twice_is_one(client: FlaskClient, compared: Compared) -> None:
    job = compared(BETTER)

    answers = [_promote(client, job) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert len(answers[1].get_json()["changes"]) == 2


def test_a_worse_version_is_refused_with_the_figures(
    client: FlaskClient, compared: Compared, models: ModelStore
) -> None:
    answer = _promote(client, compared(WORSE))

    detail = refused(answer, 409, "promotion_refused")
    for figure in ("96.50%", "97.00%", "-0.50 points", "50 crops against 100", "production stays"):
        assert figure in detail
    assert models.aliases("digits")["production"] == "1"


def test_the_margin_decides_what_is_not_worse(client: FlaskClient, compared: Compared) -> None:
    job = compared(WORSE)

    refused(_promote(client, job, margin=0.007), 409, "promotion_refused")
    assert _promote(client, job, margin=0.008).status_code == 200


def test_a_comparison_with_what_the_alias_no_longer_names_is_refused(
    client: FlaskClient, compared: Compared, models: ModelStore
) -> None:
    job = compared(BETTER)
    models.set_alias("digits", "production", "3")

    detail = refused(_promote(client, job), 409, "promotion_refused")

    assert "names version 3 now" in detail
    assert models.aliases("digits")["production"] == "3"


def test_a_comparison_of_another_version_or_arithmetic_or_none_is_refused(
    client: FlaskClient, compared: Compared, application: Application
) -> None:
    training = a_job(user="admin")
    application.jobs.submit(training, Idempotency(), most=PLENTY)

    for job in (compared(BETTER, version="3"), compared(BETTER, execution="float32"), training.id):
        refused(_promote(client, job), 409, "promotion_refused")
    refused(_promote(client, "nothing"), 404, "job_not_found")


def test_rollbacks_lead_back_step_by_step(client: FlaskClient, compared: Compared) -> None:
    _promote(client, compared(BETTER))
    client.put(ALIAS, json={"version": "3", "why": "by hand"})

    first = client.post(f"{ALIAS}/rollback", json={"why": "too slow"})
    second = client.post(f"{ALIAS}/rollback", json={})

    assert [answer.get_json()["version"] for answer in (first, second)] == ["2", "1"]
    history = client.get(f"{ALIAS}/history").get_json()
    assert [(change["action"], change["version"]) for change in history["changes"]] == [
        ("rolled_back", "1"),
        ("rolled_back", "2"),
        ("set", "3"),
        ("promoted", "2"),
        ("set", "1"),
    ]
    assert [change["why"] for change in history["changes"][:3]] == ["", "too slow", "by hand"]
    refused(client.post(f"{ALIAS}/rollback", json={}), 409, "conflict")


def test_a_rollback_passes_over_deleted_versions(client: FlaskClient, models: ModelStore) -> None:
    for version in ("2", "3"):
        client.put(ALIAS, json={"version": version})
    models.delete_version("digits", "2")

    assert client.post(f"{ALIAS}/rollback", json={}).get_json()["version"] == "1"


def test_only_owners_and_admins_move_an_alias_or_see_its_history(
    enter: Enter, compared: Compared, models: ModelStore
) -> None:
    job = compared(BETTER, user="ada")
    models.publish(an_origin(name="ada~letters"), b"weights")
    models.set_alias("ada~letters", "production", "1")
    ada, root = enter("ada"), enter("root", Role.ADMIN)

    refused(_promote(ada, job), 403, "forbidden")
    refused(ada.post(f"{ALIAS}/rollback", json={}), 403, "forbidden")
    refused(ada.get(f"{ALIAS}/history"), 403, "forbidden")
    assert ada.get("/v1/models/letters/aliases/production/history").status_code == 200
    assert _promote(root, job).status_code == 200


def test_an_alias_that_does_not_exist_is_not_promoted(client: FlaskClient, compared: Compared) -> None:
    body = {"version": "2", "comparison": compared(BETTER)}

    refused(client.post("/v1/models/digits/aliases/beta/promote", json=body), 404, "model_not_found")


def test_a_comparison_is_submitted_with_both_versions_found(client: FlaskClient) -> None:
    params = {"version": "latest", "dataset": "digits"}
    answer = client.post("/v1/jobs", json={"kind": "comparison", "model": "digits", "params": params})

    found = answer.get_json()["params"]
    assert (found["version"], found["against"], found["repeats"]) == ("3", "1", 8)


@pytest.mark.parametrize(
    ("params", "status", "code"),
    [
        ({"version": "1"}, 422, "invalid_input"),
        ({"version": "2", "against": "nothing"}, 404, "model_not_found"),
        ({"version": "9"}, 404, "model_not_found"),
        ({"version": "2", "repeats": 1}, 422, "invalid_input"),
    ],
)
def test_a_comparison_of_nothing_is_refused(
    client: FlaskClient, params: dict[str, Any], status: int, code: str
) -> None:
    request = {"kind": "comparison", "model": "digits", "params": params}

    refused(client.post("/v1/jobs", json=request), status, code)


def test_versions_bound_to_two_chips_are_compared_by_transfer_alone(
    client: FlaskClient, application: Application, models: ModelStore
) -> None:
    for chip in ("near", "far"):
        models.publish(an_origin(job=chip, execution="chip", identifier=chip), b"weights")
        application.connection.client.hset("hx:chips:identifiers", chip, chip)
    params = {"version": "5", "against": "4"}

    detail = refused(
        client.post("/v1/jobs", json={"kind": "comparison", "model": "digits", "params": params}),
        409,
        "chip_elsewhere",
    )
    transferred = {"kind": "comparison", "model": "digits", "params": {**params, "allow_transfer": True}}

    assert "near" in detail
    assert "far" in detail
    assert client.post("/v1/jobs", json=transferred).status_code == 202


def _versions_for(client: FlaskClient, senders: list[str], alias: str = "production") -> list[str]:
    path = f"/v1/models/digits/versions/{alias}/classify"
    answers = [
        client.post(path, data=some_crops(1), content_type=RAW, headers={"Hxserve-Sender": sender})
        for sender in senders
    ]
    return [answer.get_json()["version"] for answer in answers]


@pytest.fixture
def started(idle_chip: Chip) -> None:
    """The chip answers."""
    idle_chip.start()


@pytest.mark.usefixtures("started")
def test_a_rollout_answers_a_share_of_the_senders_with_the_candidate(client: FlaskClient) -> None:
    senders = [f"pupil-{number}" for number in range(60)]

    before = _versions_for(client, senders[:3])
    client.put(f"{ALIAS}/rollout", json={"candidate": "2", "share": 0.5})
    during = _versions_for(client, senders)
    again = _versions_for(client, senders)
    client.delete(f"{ALIAS}/rollout")
    after = _versions_for(client, senders[:3])

    assert set(before + after) == {"1"}
    assert during == again
    assert 15 < during.count("2") < 45


@pytest.mark.usefixtures("started")
def test_a_user_is_a_sender(client: FlaskClient, enter: Enter) -> None:
    client.put(f"{ALIAS}/rollout", json={"candidate": "2", "share": 0.5})

    answers = [_versions_for(enter(f"user-{number}"), [""] * 3) for number in range(20)]

    assert all(len(set(versions)) == 1 for versions in answers)
    assert {versions[0] for versions in answers} == {"1", "2"}


@pytest.mark.usefixtures("started")
def test_numbers_and_other_aliases_have_no_rollout(client: FlaskClient) -> None:
    client.put(f"{ALIAS}/rollout", json={"candidate": "2", "share": 1.0})

    assert _versions_for(client, ["a"]) == ["2"]
    assert _versions_for(client, ["a"], alias="1") == ["1"]
    assert _versions_for(client, ["a"], alias="latest") == ["3"]
    shown = client.get("/v1/models/digits/versions/production").get_json()
    assert shown["version"] == "1"


@pytest.mark.usefixtures("started")
def test_a_candidate_that_a_user_may_not_use_does_not_answer_them(
    enter: Enter, models: ModelStore, client: FlaskClient
) -> None:
    for job in ("d", "e"):
        models.publish(an_origin(name="ada~letters", job=job), b"weights")
    models.set_alias("ada~letters", "production", "1")
    client.put("/v1/models/ada~letters/versions/1/share")
    client.put("/v1/models/ada~letters/aliases/production/rollout", json={"candidate": "2", "share": 1.0})
    path = "/v1/models/ada~letters/versions/production/classify"

    for user, version in (("ada", "2"), ("grace", "1")):
        answer = enter(user).post(path, data=some_crops(1), content_type=RAW)
        assert answer.get_json()["version"] == version


def test_a_rollout_is_shown_with_what_the_candidate_has_read(
    client: FlaskClient, application: Application, idle_chip: Chip
) -> None:
    client.put(f"{ALIAS}/rollout", json={"candidate": "2", "share": 0.1, "shadow": 0.5})
    now = time.time()
    for crops, disagreements in ((100, 3), (300, 5)):
        point = {"crops": crops, "disagreements": disagreements, "dropped": 7}
        confidences = {"confidence": 0.9 * crops, "candidate_confidence": 0.8 * crops}
        application.series.add(
            idle_chip.lease, Trial("digits", "1", "2"), {"at": now, **point, **confidences}
        )
    application.series.add(
        idle_chip.lease,
        Trial("digits", "1", "2"),
        {"at": 5.0, **dict.fromkeys((*point, *confidences), 1)},  # of an earlier rollout
    )

    shown = client.get(f"{ALIAS}/rollout").get_json()

    assert (shown["version"], shown["candidate"], shown["share"], shown["shadow"]) == ("1", "2", 0.1, 0.5)
    assert (shown["trial"]["crops"], shown["trial"]["disagreement"]) == (400, 8 / 400)
    assert (shown["trial"]["dropped"], shown["trial"]["confidence"]) == (14, 0.9)
    assert [point["candidate_confidence"] for point in shown["points"]] == [0.8, 0.8]


def test_a_rollout_that_is_changed_goes_on_and_is_in_the_history(client: FlaskClient) -> None:
    first = client.put(f"{ALIAS}/rollout", json={"candidate": "2", "share": 0.1}).get_json()
    for _ in range(2):  # the second says nothing new
        second = client.put(f"{ALIAS}/rollout", json={"candidate": "2", "share": 0.3}).get_json()
    client.delete(f"{ALIAS}/rollout")
    client.delete(f"{ALIAS}/rollout")

    changes = client.get(f"{ALIAS}/history").get_json()["changes"]
    assert first["since"] == second["since"]
    assert [change["action"] for change in changes] == ["rollout_ended", "rollout", "rollout", "set"]
    assert changes[1]["figures"] == {"candidate": "2", "share": 0.3, "shadow": 0.0}
    refused(client.get(f"{ALIAS}/rollout"), 404, "not_found")


def test_a_promotion_ends_the_rollout(client: FlaskClient, compared: Compared) -> None:
    client.put(f"{ALIAS}/rollout", json={"candidate": "2", "share": 0.1})

    _promote(client, compared(BETTER))

    refused(client.get(f"{ALIAS}/rollout"), 404, "not_found")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"candidate": "1"}, 422, "invalid_input"),
        ({"candidate": "9"}, 404, "model_not_found"),
        ({"candidate": "2", "share": 1.5}, 422, "invalid_input"),
    ],
)
def test_a_rollout_of_nothing_is_refused(
    client: FlaskClient, body: dict[str, Any], status: int, code: str
) -> None:
    refused(client.put(f"{ALIAS}/rollout", json=body), status, code)

"""What belongs to one user is, for every other, as if it were not there."""

import itertools
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from services.accounts import Role
from tests.api.requests import CLASSIFY, RAW, Enter, refused
from tests.services.chip import Chip
from tests.services.samples import some_crops

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
    "path", ["/v1/chip", "/v1/queue", "/v1/usage", "/v1/jobs", "/v1/me", "/v1/models", "/"]
)
def test_what_everybody_sees_names_nobody_else(enter: Enter, idle_chip: Chip, path: str) -> None:
    del idle_chip
    ada, grace = enter("adalovelace"), enter("grace")
    theirs = _jobs_of(ada)

    text = grace.get(path).get_data(as_text=True)

    assert not [name for name in ("adalovelace", *theirs) if name in text]


def test_a_calibration_goes_before_everybodys_work_and_is_for_admins(enter: Enter) -> None:
    refused(enter("ada").post("/v1/jobs", json={"kind": "calibration"}), 403, "forbidden")

    assert enter("root", Role.ADMIN).post("/v1/jobs", json={"kind": "calibration"}).status_code == 202

"""The chip, the queue, the use of both, and health."""

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from api.app import create_app
from api.application import open_application
from services.chips.drain import Draining
from services.chips.series import SeriesStore
from services.chips.store import ChipStore, Lease
from services.crops.store import CropStore
from services.errors import ForbiddenError
from services.settings import Settings
from services.store.connection import Connection
from services.users.authentication import Tokens, User
from tests.api.requests import CLASSIFY, TOKEN, refused
from tests.services.chip import Chip
from tests.services.samples import CHIP, a_holder, some_crops


def test_without_a_worker_there_is_no_chip_and_the_service_is_not_ready(client: FlaskClient) -> None:
    ready = client.get("/readyz")

    assert client.get("/v1/chip").get_json() == {"chips": []}
    assert ready.status_code == 503
    assert ready.get_json() == {"status": "not ready", "reasons": ["no worker holds a chip"]}


@pytest.mark.usefixtures("chip")
def test_a_chip_that_is_served_is_ready_and_says_what_it_is(client: FlaskClient) -> None:
    [shown] = client.get("/v1/chip").get_json()["chips"]

    assert (shown["id"], shown["state"], shown["backend"], shown["holder"]) == (
        CHIP,
        "ready",
        "mock",
        a_holder(),
    )
    assert shown["since"].endswith("Z")
    assert client.get("/readyz").get_json() == {"status": "ok", "reasons": []}


def test_a_chip_that_has_drifted_says_so_and_serves_on(
    client: FlaskClient, idle_chip: Chip, connection: Connection
) -> None:
    canary = {"at": 1e9, "score_lsb": 6.5, "limit_lsb": 5.25, "is_drifted": True}
    status = {"ready": True, "backend": "emulator", "drifted": True, "canary": canary}
    ChipStore(connection, lease_s=60).renew(idle_chip.lease, status)

    [shown] = client.get("/v1/chip").get_json()["chips"]
    ready = client.get("/readyz")

    assert (shown["state"], shown["canary"]) == ("drifted", canary)
    assert (ready.status_code, ready.get_json()) == (
        200,
        {"status": "ok", "reasons": [f"chip {CHIP} has drifted"]},
    )
    idle_chip.start()
    assert client.post(CLASSIFY, data=some_crops(1)).status_code == 200


@pytest.fixture
def canaries(idle_chip: Chip, connection: Connection) -> list[dict[str, float]]:
    """Five points of a canary, as kept."""
    series = SeriesStore(connection)
    points = [{"at": 1e9 + n, "score_lsb": n / 8, "limit_lsb": 5.25} for n in range(5)]
    for point in points:
        series.add(idle_chip.lease, "canary", point)
    return points


@pytest.mark.parametrize(("query", "shown"), [("", slice(None)), ("?limit=2", slice(3, 5))])
def test_a_series_is_shown_with_its_newest_points_in_order(
    client: FlaskClient, canaries: list[dict[str, float]], query: str, shown: slice
) -> None:
    answer = client.get(f"/v1/chip/{CHIP}/series/canary{query}").get_json()

    assert answer == {"chip": CHIP, "series": "canary", "points": canaries[shown]}


@pytest.mark.usefixtures("canaries")
def test_a_series_without_points_is_empty(client: FlaskClient) -> None:
    assert client.get(f"/v1/chip/{CHIP}/series/shadow").get_json()["points"] == []


@pytest.mark.parametrize("path", [f"{CHIP}/series/weather", "chip-9/series/canary", f"{CHIP}/series/lease"])
@pytest.mark.usefixtures("canaries")
def test_what_is_no_series_of_a_chip_is_not_found(client: FlaskClient, path: str) -> None:
    assert "canary and shadow" in refused(client.get(f"/v1/chip/{path}"), 404, "not_found")


@pytest.mark.parametrize("limit", ["0", "5001", "x"])
@pytest.mark.usefixtures("canaries")
def test_a_wrong_number_of_points_is_refused(client: FlaskClient, limit: str) -> None:
    answer = client.get(f"/v1/chip/{CHIP}/series/canary?limit={limit}")

    assert "limit" in refused(answer, 422, "invalid_input")


def test_a_process_that_answers_is_alive_whatever_else_is_not(client: FlaskClient) -> None:
    assert client.get("/healthz").get_json() == {"status": "ok", "reasons": []}


def test_the_queue_counts_what_waits(client: FlaskClient, idle_chip: Chip) -> None:
    client.post(f"{CLASSIFY}?wait=0", data=some_crops(70))
    client.post("/v1/jobs", json={"kind": "training", "model": "digits"})

    queue = client.get("/v1/queue").get_json()

    assert queue["crops"]["waiting"] == 70
    assert (queue["jobs"]["queued"], queue["jobs"]["running"]) == (1, 0)
    assert idle_chip.work_once() == 2
    assert client.get("/v1/queue").get_json()["crops"]["waiting"] == 0


@pytest.mark.usefixtures("chip")
def test_the_use_of_the_chip_is_shown_by_user_and_kind(client: FlaskClient) -> None:
    client.post(CLASSIFY, data=some_crops(1))

    [used] = client.get("/v1/usage").get_json()["users"]

    assert used == {"user": "admin", "chip_time_s": {"classification": 0.001}, "total_s": 0.001}


def test_without_redis_the_service_says_so_and_stays_alive(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("away")
    settings = Settings(redis_url=f"unix://{folder}/nothing.sock", data_dir=folder)
    with open_application(settings, lambda _: None) as application:
        client = create_app(application, Tokens(TOKEN)).test_client()
        client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {TOKEN}"

        assert client.get("/healthz").status_code == 200
        assert client.get("/readyz").get_json()["status"] == "not ready"
        jobs = client.get("/v1/jobs")
        submission = client.post("/v1/jobs", json={"kind": "training", "model": "digits"})

    for response in (jobs, submission):
        assert "Redis" in refused(response, 503, "store_unavailable")
        assert response.headers["Retry-After"]


def _drain(client: FlaskClient, **body: str) -> TestResponse:
    return client.post("/v1/chip/drain", json=body)


@pytest.mark.usefixtures("chip")
def test_a_chip_in_maintenance_says_so_and_serves_crops(client: FlaskClient) -> None:
    drained = _drain(client, message="new cables").get_json()
    [shown] = client.get("/v1/chip").get_json()["chips"]
    ready = client.get("/readyz")

    assert drained == {"chips": [shown]}
    assert (shown["state"], shown["maintenance"] | {"since": ""}) == (
        "ready",
        {"message": "new cables", "running": "pause", "user": "admin", "since": ""},
    )
    assert ready.status_code == 200
    assert ready.get_json()["reasons"] == [f"chip {CHIP} is in maintenance, long work waits: new cables"]
    assert client.post(CLASSIFY, data=some_crops(1)).status_code == 200


@pytest.mark.usefixtures("chip")
def test_after_maintenance_nothing_is_announced(client: FlaskClient) -> None:
    _drain(client, chip=CHIP)

    [resumed] = client.post("/v1/chip/resume", json={"chip": CHIP}).get_json()["chips"]

    assert resumed["maintenance"] is None
    assert client.get("/readyz").get_json()["reasons"] == []


@pytest.mark.usefixtures("idle_chip")
def test_maintenance_wakes_the_chip_so_that_running_work_stops_soon(
    client: FlaskClient, connection: Connection
) -> None:
    _drain(client)

    assert ChipStore(connection, lease_s=60).bell_rang(CHIP)


@pytest.mark.usefixtures("chip")
def test_maintenance_outlives_the_worker(
    client: FlaskClient, chip: Chip, connection: Connection, crops: CropStore
) -> None:
    _drain(client, message="back on Monday")
    chip.stop()
    chips = ChipStore(connection, lease_s=60)
    chips.release(chip.lease)
    absent = client.get("/v1/chip").get_json()["chips"][0]
    lease = chips.take(CHIP, a_holder("second"))

    drain = crops.claim(lease).drain

    assert absent["maintenance"]["message"] == "back on Monday"
    assert drain is not None
    assert drain.message == "back on Monday"


@pytest.mark.usefixtures("chip")
@pytest.mark.parametrize("what", ["drain", "resume"])
def test_a_chip_that_is_not_there_is_neither_drained_nor_resumed(client: FlaskClient, what: str) -> None:
    refused(client.post(f"/v1/chip/{what}", json={"chip": "chip-9"}), 404, "not_found")


def test_only_an_admin_may_drain(chips: ChipStore, lease: Lease) -> None:
    del lease
    draining = Draining(chips, lambda _: None)

    with pytest.raises(ForbiddenError):
        draining.drain(User("ada"), None, "", "pause")

    assert chips.record(CHIP).drain is None


def test_what_a_job_would_meet_is_known_before_it_is_submitted(client: FlaskClient, idle_chip: Chip) -> None:
    del idle_chip
    client.post("/v1/jobs", json={"kind": "training", "model": "digits", "params": {"epochs": 100}})

    kinds = client.get("/v1/queue").get_json()["kinds"]

    assert set(kinds) == {"training", "evaluation", "comparison", "staircase", "batch", "calibration"}
    assert (kinds["training"]["queued"], kinds["evaluation"]["queued"]) == (1, 0)
    # Mine behind my own; care before all.
    assert (kinds["training"]["position"], kinds["calibration"]["position"]) == (2, 1)
    assert kinds["training"]["start"]["latest_s"] > kinds["calibration"]["start"]["latest_s"]


def test_longer_work_is_said_to_take_longer(client: FlaskClient, idle_chip: Chip) -> None:
    del idle_chip
    short, long = (
        client.get(f"/v1/queue?kind=training&epochs={epochs}").get_json()["kinds"]["training"]
        for epochs in (1, 50)
    )

    assert long["chip_time_s"]["median"] > 30 * short["chip_time_s"]["median"]
    assert long["eta"]["latest_s"] > short["eta"]["latest_s"]


def test_without_a_chip_nobody_is_told_when_a_job_would_be_done(client: FlaskClient) -> None:
    training = client.get("/v1/queue?kind=training").get_json()["kinds"]["training"]

    assert (training["position"], training["start"], training["eta"]) == (1, None, None)


@pytest.mark.parametrize(
    ("query", "word"),
    [("epochs=3", "kind"), ("kind=evaluation&epochs=3", "epochs"), ("kind=training&epochs=0", "epochs")],
)
def test_a_job_that_could_not_be_submitted_is_not_foreseen(
    client: FlaskClient, query: str, word: str
) -> None:
    assert word in refused(client.get(f"/v1/queue?{query}"), 422, "invalid_input")


def test_a_queued_job_says_when_it_begins_and_ends(client: FlaskClient, idle_chip: Chip) -> None:
    del idle_chip
    first, second = (
        client.post("/v1/jobs", json={"kind": "training", "model": "digits"}).get_json() for _ in range(2)
    )

    again = client.get(f"/v1/jobs/{second['id']}").get_json()

    assert again["eta"]["latest_s"] > first["eta"]["latest_s"]
    assert again["start"]["earliest_s"] >= 0
    assert again["eta"]["earliest_s"] > again["start"]["earliest_s"]

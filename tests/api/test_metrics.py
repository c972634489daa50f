"""Metrics: Prometheus reads them, their names follow its conventions, and they say what happened."""

import re
import time
from copy import copy
from pathlib import Path
from typing import Any, Final

import pytest
from flask import Flask
from flask.testing import FlaskClient
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from api.application import Application
from api.metrics import render
from services.chips.store import ChipStore
from services.jobs.store import JobStore
from services.models.files import ModelStore
from services.store.connection import Connection
from tests.api.requests import CLASSIFY, RAW
from tests.services.chip import Chip
from tests.services.samples import CHIP, an_origin, some_crops
from worker.tally import BatchTally

UNITS: Final = (
    "seconds",
    "lsb",
    "ratio",
    "crops",
    "jobs",
    "requests",
    "deliveries",
    "tries",
    "bytes",
    "sessions",
    "operations",
    "corrections",
)
STATUS: Final[dict[str, Any]] = {
    "ready": True,
    "calibration": {"sha256": "0", "age_s": 120.0},
    "canary": {"at": 1.0, "score_lsb": 2.5, "limit_lsb": 3.0, "is_drifted": False},
    "canary_limit_lsb": 3.0,
    "busy_share": 0.25,
    "time_s": {"chip": 4.0, "idle": 6.0},
}


def _scrape(client: FlaskClient) -> dict[str, Metric]:
    answer = client.get("/metrics")
    assert answer.status_code == 200
    families = list(text_string_to_metric_families(answer.get_data(as_text=True)))
    assert len({family.name for family in families}) == len(families)
    return {family.name: family for family in families if family.name.startswith("hxserve_")}


def _value(families: dict[str, Metric], name: str, **labels: str) -> float:
    [found] = [
        sample.value
        for family in families.values()
        for sample in family.samples
        if sample.name == name and sample.labels == labels
    ]
    return found


@pytest.fixture
def reported(connection: Connection, idle_chip: Chip) -> BatchTally:
    """A chip whose worker has reported two calls, of 1 and of 100 crops."""
    tally = BatchTally()
    tally.note("digits", 1, 0.002)
    tally.note("digits", 100, 0.003)
    ChipStore(connection, lease_s=60).renew(idle_chip.lease, STATUS | {"tally": tally.describe()})
    return tally


@pytest.mark.usefixtures("reported")
def test_names_units_and_types_follow_prometheus_conventions(client: FlaskClient) -> None:
    for family in _scrape(client).values():
        assert re.fullmatch(r"hxserve(_[a-z]+)+", family.name)
        assert family.documentation.endswith("."), family.name
        assert family.type in {"counter", "gauge", "histogram"}
        is_flag = family.name in {"hxserve_store_up", "hxserve_chip_state"}
        assert is_flag or any(unit in family.name.split("_") for unit in UNITS), family.name
        assert not re.search(r"_(ms|milliseconds|minutes|percent)(_|$)", family.name)
        for sample in family.samples:
            assert sample.name.endswith("_total") == (family.type == "counter")
            assert set(sample.labels) <= {
                *(
                    "method",
                    "route",
                    "status",
                    "model",
                    "version",
                    "outcome",
                    "kind",
                    "state",
                    "chip",
                    "doing",
                ),
                "le",
            }


@pytest.mark.usefixtures("reported")
def test_the_documentation_lists_every_metric_and_no_other(client: FlaskClient) -> None:
    listed = dict(
        re.findall(r"^\| `(hxserve_\w+)` \| (\w+) \|", Path("docs/metrics.md").read_text("utf-8"), re.M)
    )

    said = {
        family.name + ("_total" if family.type == "counter" else ""): family.type
        for family in _scrape(client).values()
    }

    assert listed == said


@pytest.mark.usefixtures("chip")
def test_requests_are_counted_by_route_and_status_on_every_way(client: FlaskClient) -> None:
    client.post(CLASSIFY, data=some_crops(2), content_type=RAW)
    client.post(CLASSIFY, data=b"x", content_type=RAW)
    client.post("/v2/models/digits/versions/1/infer", data=b"x")
    client.get("/v1/jobs/one")
    client.get("/v1/jobs/two")
    client.open("/no/such/page", method="BREW")

    families = _scrape(client)

    counts = {
        (sample.labels["method"], sample.labels["route"], sample.labels["status"]): sample.value
        for sample in families["hxserve_request_seconds"].samples
        if sample.name.endswith("_count")
    }
    assert counts == {
        ("POST", "/v1/models/<name>/classify", "200"): 1,
        ("POST", "/v1/models/<name>/classify", "422"): 1,
        ("POST", "/v2/models/<name>/versions/<version>/infer", "400"): 1,
        ("GET", "/v1/jobs/<job_id>", "404"): 2,
        ("other", "unmatched", "404"): 1,
    }


@pytest.mark.usefixtures("chip")
def test_answered_crops_are_counted_with_their_times(client: FlaskClient) -> None:
    client.post(CLASSIFY, data=some_crops(3), content_type=RAW)
    client.post(CLASSIFY, data=some_crops(1), content_type=RAW)

    families = _scrape(client)

    assert _value(families, "hxserve_crops_answered_total", model="digits") == 4
    assert _value(families, "hxserve_crop_requests_total", model="digits", outcome="answered") == 2
    assert _value(families, "hxserve_crop_waiting_seconds_sum") == pytest.approx(0.002)
    assert _value(families, "hxserve_crop_chip_seconds_sum") == pytest.approx(0.004)
    assert _value(families, "hxserve_crop_chip_seconds_bucket", le="0.001") == 0
    assert _value(families, "hxserve_crop_chip_seconds_bucket", le="0.0025") == 2
    assert _value(families, "hxserve_crop_total_seconds_count") == 2


@pytest.mark.usefixtures("idle_chip")
def test_what_waits_and_what_ended_is_counted(client: FlaskClient) -> None:
    client.post(f"{CLASSIFY}?wait=0", data=some_crops(5), content_type=RAW)
    training = {"kind": "training", "model": "digits"}
    ended, _ = (client.post("/v1/jobs", json=training).get_json()["id"] for _ in range(2))
    client.post(f"/v1/jobs/{ended}/cancel")

    families = _scrape(client)

    assert _value(families, "hxserve_waiting_crops") == 5
    assert 0 < _value(families, "hxserve_oldest_waiting_seconds", kind="classification") < 60
    assert 0 < _value(families, "hxserve_oldest_waiting_seconds", kind="training") < 60
    assert _value(families, "hxserve_oldest_waiting_seconds", kind="evaluation") == 0
    assert _value(families, "hxserve_unfinished_jobs", kind="training", state="queued") == 1
    assert _value(families, "hxserve_unfinished_jobs", kind="evaluation", state="queued") == 0
    assert _value(families, "hxserve_jobs_finished_total", kind="training", state="cancelled") == 1


@pytest.mark.usefixtures("reported")
def test_the_worker_reports_its_chip_through_redis(client: FlaskClient) -> None:
    families = _scrape(client)

    assert _value(families, "hxserve_chip_state", chip=CHIP, state="ready") == 1
    assert _value(families, "hxserve_chip_state", chip=CHIP, state="lost") == 0
    assert 0 <= _value(families, "hxserve_lease_age_seconds", chip=CHIP) < 60
    assert _value(families, "hxserve_calibration_age_seconds", chip=CHIP) == 120
    assert _value(families, "hxserve_canary_lsb", chip=CHIP) == 2.5
    assert _value(families, "hxserve_canary_age_seconds", chip=CHIP) == pytest.approx(time.time() - 1, abs=60)
    assert _value(families, "hxserve_worker_seconds_total", chip=CHIP, doing="chip") == 4
    assert _value(families, "hxserve_batch_crops_bucket", chip=CHIP, le="1.0") == 1
    assert _value(families, "hxserve_batch_crops_bucket", chip=CHIP, le="128.0") == 2
    assert _value(families, "hxserve_batch_crops_sum", chip=CHIP) == 101
    assert _value(families, "hxserve_batch_chip_seconds_count", chip=CHIP) == 2
    assert _value(families, "hxserve_worker_crops_total", chip=CHIP, model="digits") == 101


def test_models_of_users_share_one_label_and_models_are_bounded(
    application: Application, client: FlaskClient, models: ModelStore
) -> None:
    models.publish(an_origin(name="ada~letters", job="c"), b"weights")
    for number in range(150):
        application.statistics.note_failure(f"model{number}", "1", 0.1)
    application.statistics.note_failure("ada~letters", "1", 0.1)

    text = client.get("/metrics").get_data(as_text=True)

    labels = set(re.findall(r'model="([^"]*)"', text))
    assert len(labels) <= 102
    assert {"private", "other"} <= labels
    assert "ada" not in text


def test_without_redis_a_process_still_tells_of_itself(application: Application, client: FlaskClient) -> None:
    client.get("/v1/jobs/one")
    without_redis = copy(application)
    without_redis.jobs = JobStore(Connection("redis://127.0.0.1:1/0", retries=0), keep_jobs_s=60)

    text = render(without_redis).decode()

    assert "hxserve_store_up 0.0" in text
    assert 'hxserve_request_seconds_count{method="GET",route="/v1/jobs/<job_id>",status="404"} 1.0' in text
    assert "hxserve_waiting_crops" not in text


def test_the_disk_and_the_memory_of_redis_are_told(client: FlaskClient, connection: Connection) -> None:
    unlimited = client.get("/metrics").get_data(as_text=True)
    connection.client.config_set("maxmemory", 2**30)
    families = _scrape(client)
    connection.client.config_set("maxmemory", 0)

    free, size = (_value(families, f"hxserve_disk_{which}_bytes") for which in ("free", "size"))
    assert 0 < free < size
    assert _value(families, "hxserve_disk_floor_bytes") == 512 * 2**20
    assert (
        0
        < _value(families, "hxserve_store_memory_bytes")
        < _value(families, "hxserve_store_memory_limit_bytes")
    )
    assert "\nhxserve_store_memory_limit_bytes" not in unlimited


def test_metrics_ask_for_a_token(app: Flask) -> None:
    assert app.test_client().get("/metrics").status_code == 401

"""The dashboard and Prometheus' own files ask for nothing but what `/metrics` tells."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from api.application import Application
from services.chips.store import ChipStore
from services.store.connection import Connection
from tests.api.requests import CLASSIFY, RAW
from tests.api.test_metrics import STATUS
from tests.services.chip import Chip
from tests.services.samples import some_crops
from worker.tally import BatchTally

DEPLOY: Final = Path(__file__).resolve().parents[2] / "deploy"
OF_PROMETHEUS: Final = {"instance", "job", "le"}
"""Labels that Prometheus itself adds, and the one of every histogram."""


@pytest.fixture
def told(
    client: FlaskClient, application: Application, connection: Connection, idle_chip: Chip
) -> dict[str, set[str]]:
    """What `/metrics` tells once everything has happened: the labels of each sample, by its name."""
    tally = BatchTally()
    tally.note("digits", 100, 0.003)
    ChipStore(connection, lease_s=60).renew(idle_chip.lease, STATUS | {"tally": tally.describe()})
    application.statistics.note_failure("digits", "1", 0.1)
    answer = client.post(f"{CLASSIFY}?wait=0&keep=true", data=some_crops(5), content_type=RAW).get_json()[
        "id"
    ]
    idle_chip.work_once()
    client.post("/v1/corrections", json={"answer": answer, "digit": 3})
    client.post(f"{CLASSIFY}?wait=0", data=some_crops(5), content_type=RAW)
    job = client.post("/v1/jobs", json={"kind": "training", "model": "digits"}).get_json()["id"]
    client.post(f"/v1/jobs/{job}/cancel")
    text = client.get("/metrics").get_data(as_text=True)
    return {
        sample.name: set(sample.labels)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    } | {"up": set()}


def _dashboards() -> Iterator[dict[str, Any]]:
    files = sorted((DEPLOY / "grafana/dashboards").glob("*.json"))
    assert files
    yield from (json.loads(file.read_text("utf-8")) for file in files)


def _targets() -> list[dict[str, Any]]:
    panels = [panel for board in _dashboards() for panel in board["panels"]]
    return [target for panel in panels for target in panel.get("targets", [])]


def test_every_query_of_the_dashboard_asks_for_metrics_that_there_are(told: dict[str, set[str]]) -> None:
    for target in _targets():
        names = set(re.findall(r"\b(?:hxserve_|process_)\w+|\bup\b", target["expr"]))
        assert names, target["expr"]
        assert names <= set(told), target["expr"]


def test_every_query_of_the_dashboard_sorts_by_labels_that_there_are(told: dict[str, set[str]]) -> None:
    for target in _targets():
        expression = target["expr"]
        names = re.findall(r"\b(?:hxserve_|process_)\w+|\bup\b", expression)
        known = set().union(*(told[name] for name in names)) | OF_PROMETHEUS
        grouped = re.findall(r"\b(?:by|without) \(([^)]*)\)", expression)
        matched = re.findall(r"\{([^}]*)\}", expression)
        asked = {label.strip() for group in grouped for label in group.split(",")}
        asked |= {pair.split("=")[0].rstrip("!~") for group in matched for pair in group.split(",")}
        asked |= set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
        assert asked <= known, expression


def test_panels_do_not_overlap_and_each_says_what_it_shows() -> None:
    for board in _dashboards():
        taken: set[tuple[int, int]] = set()
        for panel in board["panels"]:
            place = panel["gridPos"]
            cells = {
                (x, y)
                for x in range(place["x"], place["x"] + place["w"])
                for y in range(place["y"], place["y"] + place["h"])
            }
            assert not cells & taken, panel["title"]
            assert max(x for x, _ in cells) < 24
            assert panel["type"] == "row" or panel["description"].endswith("."), panel["title"]
            taken |= cells
        ids = [panel["id"] for panel in board["panels"]]
        assert len(ids) == len(set(ids))


def test_the_dashboard_reads_from_the_data_source_that_is_provisioned() -> None:
    provisioned = yaml.safe_load(
        (DEPLOY / "grafana/provisioning/datasources/prometheus.yml").read_text("utf-8")
    )

    [source] = provisioned["datasources"]

    assert all(
        target["datasource"] == {"type": source["type"], "uid": source["uid"]} for target in _targets()
    )


def test_dashboards_lie_where_grafana_is_told_to_look() -> None:
    compose = yaml.safe_load((DEPLOY.parent / "docker-compose.yml").read_text("utf-8"))
    provider = yaml.safe_load((DEPLOY / "grafana/provisioning/dashboards/hxserve.yml").read_text("utf-8"))

    [place] = [one["options"]["path"] for one in provider["providers"]]

    assert f"./deploy/grafana/dashboards:{place}:ro" in compose["services"]["grafana"]["volumes"]


def test_prometheus_scrapes_every_process_of_the_api_with_a_token_from_a_file() -> None:
    compose = yaml.safe_load((DEPLOY.parent / "docker-compose.yml").read_text("utf-8"))
    config = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text("utf-8"))

    [job] = config["scrape_configs"]

    [names] = job["dns_sd_configs"]
    assert names["names"] == ["api", "grpc"]
    assert set(names["names"]) <= set(compose["services"])
    secret = job["authorization"]["credentials_file"].removeprefix("/run/secrets/")
    assert secret in compose["services"]["prometheus"]["secrets"]

"""What alerts are made of is what a running service tells."""

import re
import urllib.request

import yaml
from prometheus_client.parser import text_string_to_metric_families

from deploy.local import Local
from hxserve import Client
from tests.deploy.test_alerts import ALERTS

OF_PROMETHEUS = {"up"}
"""Made by Prometheus itself for each target."""


def test_every_metric_and_state_in_an_alert_is_told_by_a_running_service(
    local: Local, client: Client
) -> None:
    client.jobs()
    request = urllib.request.Request(  # noqa: S310 our own address
        f"{local.url}/metrics", headers={"Authorization": f"Bearer {local.token}"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 our own address
        families = list(text_string_to_metric_families(answer.read().decode()))
    endings = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum"), "gauge": ("",)}
    told = {family.name + ending for family in families for ending in endings[family.type]}
    labels = {
        (name, value)
        for family in families
        for sample in family.samples
        for name, value in sample.labels.items()
    }

    for rule in yaml.safe_load(ALERTS.read_text("utf-8"))["groups"][0]["rules"]:
        named = set(re.findall(r"\b(?:hxserve_\w+|up)\b", rule["expr"]))
        assert named
        assert named - told <= OF_PROMETHEUS, rule["alert"]
        for name, values in re.findall(r'\b(state|kind)!?=~?"([^"]+)"', rule["expr"]):
            if "hxserve_chip_state" in rule["expr"] or name == "kind":
                assert {(name, value) for value in values.split("|")} <= labels, rule["alert"]

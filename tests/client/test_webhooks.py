"""Webhooks by the client and on the command line, and the verification of messages."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from standardwebhooks import Webhook

from hxserve import AsyncClient, Client
from hxserve.cli import cli
from hxserve.errors import WebhookNotVerifiedError
from hxserve.webhooks import verify
from services.webhooks.signing import new_secret, signed_headers
from tests.client.service import TOKEN, Reply, Service
from tests.client.test_asynchronous import run as run_async

Run = Callable[..., Result]
SECRET = new_secret()
BODY = b'{"type":"job.failed","timestamp":"2026-11-27T15:00:00.000Z","data":{"id":"j"}}'
NOW = 1_800_000_000
HOOK = {
    "id": "hook-1",
    "url": "https://receiver.example/hook",
    "events": ["job.failed"],
    "kinds": [],
    "description": "",
    "created_at": "2026-11-27T15:00:00.000Z",
    "active": True,
    "off": None,
    "failing_since": None,
}
DELIVERY = {
    "id": "j-hook-1",
    "hook": "hook-1",
    "event": "job.failed",
    "job": "j",
    "url": None,
    "state": "waiting",
    "created_at": "2026-11-27T15:00:00.000Z",
    "tries": 2,
    "tried_at": "2026-11-27T15:00:05.000Z",
    "next_at": "2026-11-27T15:00:35.000Z",
    "status": 500,
    "took_ms": 12,
    "problem": "the receiver answered 500 Internal Server Error",
}


@pytest.fixture
def service(service: Service) -> Service:
    """The service of the tests, with a webhook and a delivery."""
    path = "/v1/webhooks"
    service.answers |= {
        ("GET", path): Reply(document={"webhooks": [HOOK]}),
        ("POST", path): Reply(201, HOOK | {"secret": SECRET}),
        ("GET", f"{path}/hook-1"): Reply(document=HOOK),
        ("PATCH", f"{path}/hook-1"): Reply(
            document=HOOK | {"active": False, "off": "switched off by its owner"}
        ),
        ("DELETE", f"{path}/hook-1"): Reply(204),
        ("POST", f"{path}/jobs/secret"): Reply(201, {"secret": SECRET}),
        ("POST", f"{path}/hook-1/test"): Reply(202, DELIVERY),
        ("GET", f"{path}/deliveries"): Reply(document={"deliveries": [DELIVERY], "next_cursor": None}),
        ("POST", f"{path}/deliveries/j-hook-1/again"): Reply(202, DELIVERY),
    }
    return service


@pytest.fixture
def run(service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the command against the service."""
    monkeypatch.chdir(tmp_path)
    environment = {"HXSERVE_URL": service.url, "HXSERVE_TOKEN": TOKEN}
    return lambda *arguments: CliRunner(env=environment).invoke(cli, arguments)


def _signed(at: int = NOW) -> dict[str, str]:
    return signed_headers(SECRET, "j-hook-1", at, BODY)


@pytest.mark.parametrize("apart_s", [-300, 0, 300])
def test_a_signed_message_is_returned(apart_s: int) -> None:
    headers = {name.title(): value for name, value in _signed(NOW + apart_s).items()}

    assert verify(SECRET, headers, BODY, now=NOW) == json.loads(BODY)
    assert verify(SECRET, headers, BODY.decode(), now=NOW) == json.loads(BODY)


def test_any_of_several_signatures_will_do() -> None:
    headers = _signed()
    headers["webhook-signature"] = f"v1a,x v1,!! v2,abc {headers['webhook-signature']}"

    assert verify(SECRET, headers, BODY, now=NOW)["type"] == "job.failed"


def test_what_foreign_libraries_sign_is_verified() -> None:
    signature = Webhook(SECRET).sign("m", datetime.fromtimestamp(NOW, UTC), BODY.decode())
    headers = {"webhook-id": "m", "webhook-timestamp": str(NOW), "webhook-signature": signature}

    assert verify(SECRET, headers, BODY, now=NOW) == json.loads(BODY)


@pytest.mark.parametrize(
    ("changes", "body"),
    [
        ({}, BODY + b" "),
        ({"webhook-id": "another"}, BODY),
        ({"webhook-timestamp": str(NOW + 1)}, BODY),
        ({"webhook-timestamp": "soon"}, BODY),
        ({"webhook-timestamp": "\u0661"}, BODY),
        ({"webhook-signature": ""}, BODY),
        ({"webhook-signature": "v1,"}, BODY),
        ({"webhook-signature": "v2," + _signed()["webhook-signature"][3:]}, BODY),
        (signed_headers(new_secret(), "j-hook-1", NOW, BODY), BODY),
        (signed_headers(SECRET, "j-hook-1", NOW - 301, BODY), BODY),
        (signed_headers(SECRET, "j-hook-1", NOW + 301, BODY), BODY),
    ],
)
def test_any_other_message_is_refused(changes: dict[str, str], body: bytes) -> None:
    with pytest.raises(WebhookNotVerifiedError):
        verify(SECRET, _signed() | changes, body, now=NOW)


@pytest.mark.parametrize("missing", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_message_without_a_header_is_refused(missing: str) -> None:
    headers = {name: value for name, value in _signed().items() if name != missing}

    with pytest.raises(WebhookNotVerifiedError, match=missing):
        verify(SECRET, headers, BODY, now=NOW)


def test_the_client_adds_changes_and_deletes(service: Service, client: Client) -> None:
    added = client.webhooks.add("https://receiver.example/hook", events=[], kinds=["training"])
    client.webhooks.change("hook-1", active=False)
    client.webhooks.delete("hook-1")

    assert added["secret"] == SECRET
    assert client.webhooks.list() == [client.webhooks.show("hook-1")]
    assert client.webhooks.renew_secret() == SECRET
    assert [each["id"] for each in client.webhooks.deliveries()] == [client.webhooks.test("hook-1")["id"]]
    assert client.webhooks.send_again("j-hook-1") == DELIVERY
    [sent] = service.asked("POST", "/v1/webhooks")
    assert sent.json == {"url": "https://receiver.example/hook", "events": [], "kinds": ["training"]}
    [changed] = service.asked("PATCH", "/v1/webhooks/hook-1")
    assert changed.json == {"active": False}


def test_the_asynchronous_client_yields_deliveries(service: Service) -> None:
    async def use(client: AsyncClient) -> list[Any]:
        return [each["id"] async for each in client.webhooks.deliveries("hook-1", limit=1)]

    assert run_async(service, use) == ["j-hook-1"]
    assert service.asked("GET", "/v1/webhooks/deliveries")[0].query == {"webhook": "hook-1", "limit": "1"}


def test_a_job_of_any_kind_names_a_webhook(service: Service, client: Client) -> None:
    client.train("digits", webhook="https://receiver.example/1")
    client.evaluate("digits", webhook="hook-1")
    client.submit("calibration", webhook="hook-1")
    client.train("digits")

    sent = [request.json for request in service.asked("POST", "/v1/jobs")]
    assert [each.get("webhook") for each in sent] == ["https://receiver.example/1", "hook-1", "hook-1", None]
    assert all("webhook" not in each["params"] for each in sent)


def test_the_command_line_adds_a_webhook_and_shows_its_secret(service: Service, run: Run) -> None:
    said = run("webhooks", "add", "https://receiver.example/hook", "--event", "failed", "--kind", "training")

    assert SECRET in said.stdout
    [sent] = service.asked("POST", "/v1/webhooks")
    assert sent.json["events"] == ["job.failed"]
    assert SECRET in run("webhooks", "secret", "jobs").stdout


def test_the_command_line_lists_hooks_and_deliveries(run: Run) -> None:
    assert "https://receiver.example/hook" in run("webhooks").stdout
    assert "sends to https://receiver.example/hook: failed." in run("webhooks", "show", "hook-1").stdout
    assert "j-hook-1" in run("webhooks", "deliveries").stdout
    assert json.loads(run("webhooks", "deliveries", "--json").stdout) == {"deliveries": [DELIVERY]}
    assert "on its way" in run("webhooks", "resend", "j-hook-1").stdout
    assert "on its way" in run("webhooks", "test", "hook-1").stdout


def test_the_command_line_changes_and_deletes(service: Service, run: Run) -> None:
    assert "off: switched off" in run("webhooks", "change", "hook-1", "--off", "--event", "none").stdout
    assert run("webhooks", "change", "hook-1").exit_code == 2
    assert "deleted" in run("webhooks", "delete", "hook-1").stdout
    [changed] = service.asked("PATCH", "/v1/webhooks/hook-1")
    assert changed.json == {"events": [], "active": False}


def test_a_training_on_the_command_line_names_a_webhook(service: Service, run: Run) -> None:
    run("train", "--no-wait", "--webhook", "https://receiver.example/1")
    run("classify", "--job", "--dataset", "mine", "--no-wait", "--webhook", "https://receiver.example/1")

    sent = [request.json for request in service.asked("POST", "/v1/jobs")]
    assert [each["kind"] for each in sent] == ["training", "batch"]
    assert {each["webhook"] for each in sent} == {"https://receiver.example/1"}
    assert run("classify", "crops.npy", "--webhook", "hook-1").exit_code == 2

"""Webhooks over HTTP, delivered to a receiver on a socket."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient
from standardwebhooks import Webhook

from api.application import Application
from services.jobs.record import JobState
from services.store import keys
from services.store.connection import Connection
from services.webhooks.store import MOST_OF_HOOK, MOST_OF_USER, WebhookStore
from tests.api.jobs import change_job, submit_training
from tests.api.requests import CLASSIFY, RAW, Enter, refused
from tests.services.chip import Chip
from tests.services.samples import some_crops
from tests.services.webhooks.receiver import Receiver, open_receiver
from tests.system.conftest import wait_until

SOMEWHERE = "https://receiver.example/hook"


@pytest.fixture
def limits() -> dict[str, Any]:
    return {"webhook_networks": "127.0.0.0/8", "user_webhooks": 3}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with open_receiver() as receiver:
        yield receiver


def _add(client: FlaskClient, url: str, **options: Any) -> dict[str, Any]:
    response = client.post("/v1/webhooks", json={"url": url, **options})
    assert response.status_code == 201, response.get_data(as_text=True)
    hook: dict[str, Any] = response.get_json()
    return hook


def _deliveries(client: FlaskClient, query: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get(f"/v1/webhooks/deliveries{query}").get_json()["deliveries"]
    return found


def _until(client: FlaskClient, state: str, count: int = 1) -> list[dict[str, Any]]:
    """The deliveries, once as many are in this state."""
    wait_until(lambda: [each["state"] for each in _deliveries(client)].count(state) >= count)
    return _deliveries(client)


def _end(application: Application, chip: Chip, job_id: str, state: JobState, **fields: Any) -> None:
    change_job(application, chip.lease, job_id, state=JobState.RUNNING)
    change_job(application, chip.lease, job_id, state=state, **fields)


def test_the_end_of_a_job_is_delivered_signed(
    client: FlaskClient, application: Application, idle_chip: Chip, receiver: Receiver
) -> None:
    hook = _add(client, receiver.url)
    job = submit_training(client)
    assert _deliveries(client) == []

    _end(application, idle_chip, job["id"], JobState.SUCCEEDED, result={"accuracy": 0.97})

    [delivery] = _until(client, "delivered")
    [received] = receiver.received
    message = Webhook(hook["secret"]).verify(received.body, dict(received.headers))
    assert (message["type"], message["data"]["id"]) == ("job.succeeded", job["id"])
    assert message["data"]["result"] == {"accuracy": 0.97}
    shown = client.get(f"/v1/jobs/{job['id']}").get_json()
    told = {"kind", "user", "model", "state", "created_at", "started_at", "finished_at", "error", "result"}
    assert {name: message["data"][name] for name in told} == {name: shown[name] for name in told}
    assert delivery["id"] == received.headers["webhook-id"] == f"{job['id']}-{hook['id']}"
    assert (delivery["tries"], delivery["status"], delivery["problem"]) == (1, 200, None)


def test_a_hook_hears_of_the_events_and_kinds_that_it_asks_for(
    client: FlaskClient, application: Application, idle_chip: Chip, receiver: Receiver
) -> None:
    failures = _add(client, receiver.url, events=["job.failed"])
    others = _add(client, receiver.url, kinds=["comparison"])
    plain = _add(client, receiver.url)
    first, second = submit_training(client), submit_training(client)

    client.post(f"/v1/jobs/{first['id']}/cancel")
    _end(application, idle_chip, second["id"], JobState.FAILED, error={"code": "x", "message": "y"})

    found = {(each["job"], each["hook"], each["event"]) for each in _until(client, "delivered", 3)}
    assert found == {
        (first["id"], plain["id"], "job.cancelled"),
        (second["id"], plain["id"], "job.failed"),
        (second["id"], failures["id"], "job.failed"),
    }
    assert _deliveries(client, f"?webhook={others['id']}") == []


def test_a_job_may_name_an_address_whose_secret_is_that_of_the_hook_jobs(
    client: FlaskClient, application: Application, idle_chip: Chip, receiver: Receiver
) -> None:
    secret = client.post("/v1/webhooks/jobs/secret").get_json()["secret"]
    job = submit_training(client, webhook=f"{receiver.url}?job=17")
    submit_training(client)
    assert job["webhook"] == f"{receiver.url}?job=17"

    _end(application, idle_chip, job["id"], JobState.SUCCEEDED)

    [delivery] = _until(client, "delivered")
    [received] = receiver.received
    assert received.path == "/hook?job=17"
    Webhook(secret).verify(received.body, dict(received.headers))
    assert (delivery["hook"], delivery["url"]) == ("jobs", f"{receiver.url}?job=17")


def test_a_batch_job_names_an_address_like_any_other(
    client: FlaskClient, application: Application, idle_chip: Chip, receiver: Receiver
) -> None:
    params = {"dataset": "digits", "part": "test"}
    job = submit_training(client, kind="batch", params=params, webhook=receiver.url)

    _end(application, idle_chip, job["id"], JobState.SUCCEEDED)

    [delivery] = _until(client, "delivered")
    assert (delivery["job"], json.loads(receiver.received[0].body)["data"]["kind"]) == (job["id"], "batch")


def test_a_job_may_name_a_hook_which_hears_of_it_once(
    client: FlaskClient, application: Application, idle_chip: Chip, receiver: Receiver
) -> None:
    only_named, always = _add(client, receiver.url, events=[]), _add(client, receiver.url)

    for hook in (only_named, always):
        job = submit_training(client, webhook=hook["id"])
        _end(application, idle_chip, job["id"], JobState.SUCCEEDED)

    hooks = [each["hook"] for each in _until(client, "delivered", 3)]
    assert sorted(hooks) == sorted([only_named["id"], always["id"], always["id"]])


def test_a_classification_is_told_of_where_a_hook_asks_for_it(
    client: FlaskClient, idle_chip: Chip, receiver: Receiver
) -> None:
    _add(client, receiver.url)
    asking = _add(client, receiver.url, kinds=["classification"])
    sent = client.post(f"{CLASSIFY}?wait=0", data=some_crops(2), content_type=RAW)

    idle_chip.work_once()

    [delivery] = _until(client, "delivered")
    assert (delivery["hook"], delivery["job"]) == (asking["id"], sent.get_json()["id"])


def test_a_failed_try_is_repeated_with_the_same_id_and_body(client: FlaskClient, receiver: Receiver) -> None:
    receiver.answers = [500]
    hook = _add(client, receiver.url)

    told = client.post(f"/v1/webhooks/{hook['id']}/test")
    wait_until(lambda: _deliveries(client)[0]["status"] == 500)
    [waiting] = _deliveries(client)
    client.post(f"/v1/webhooks/deliveries/{waiting['id']}/again")
    [delivery] = _until(client, "delivered")

    assert told.status_code == 202
    assert (waiting["state"], waiting["tries"]) == ("waiting", 1)
    assert waiting["problem"].startswith("the receiver answered 500")
    assert waiting["next_at"] > waiting["tried_at"]
    assert client.get(f"/v1/webhooks/{hook['id']}").get_json()["failing_since"] is None
    first, second = receiver.received
    assert first.body == second.body
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == delivery["id"]
    Webhook(hook["secret"]).verify(second.body, dict(second.headers))


def test_send_again_repeats_a_delivered_one(client: FlaskClient, receiver: Receiver) -> None:
    hook = _add(client, receiver.url)
    client.post(f"/v1/webhooks/{hook['id']}/test")
    [delivery] = _until(client, "delivered")

    again = client.post(f"/v1/webhooks/deliveries/{delivery['id']}/again")

    assert (again.status_code, again.get_json()["state"]) == (202, "waiting")
    wait_until(lambda: len(receiver.received) == 2)
    _until(client, "delivered")
    assert {each.headers["webhook-id"] for each in receiver.received} == {delivery["id"]}


def test_a_receiver_that_is_gone_switches_the_hook_off(client: FlaskClient, receiver: Receiver) -> None:
    hook = _add(client, receiver.url)
    receiver.status = 410

    client.post(f"/v1/webhooks/{hook['id']}/test")

    [delivery] = _until(client, "failed")
    shown = client.get(f"/v1/webhooks/{hook['id']}").get_json()
    assert (shown["active"], shown["off"]) == (False, delivery["problem"])
    refused(client.post(f"/v1/webhooks/{hook['id']}/test"), 409, "conflict")
    refused(client.post(f"/v1/webhooks/deliveries/{delivery['id']}/again"), 409, "conflict")
    receiver.status = 200
    assert client.patch(f"/v1/webhooks/{hook['id']}", json={"active": True}).get_json()["active"] is True
    client.post(f"/v1/webhooks/deliveries/{delivery['id']}/again")
    _until(client, "delivered")


def test_a_hook_that_failed_for_days_is_switched_off(
    client: FlaskClient, connection: Connection, receiver: Receiver
) -> None:
    receiver.status = 500
    hook = _add(client, receiver.url)
    connection.client.hset(keys.hook_key("admin", hook["id"]), "failing_since", "1000.5")

    client.post(f"/v1/webhooks/{hook['id']}/test")

    wait_until(lambda: not client.get(f"/v1/webhooks/{hook['id']}").get_json()["active"])
    assert "answered 500" in client.get(f"/v1/webhooks/{hook['id']}").get_json()["off"]


def test_a_changed_hook_is_as_it_was_told_to_be(client: FlaskClient) -> None:
    hook = _add(client, SOMEWHERE, kinds=["training"], description="mine")
    path = f"/v1/webhooks/{hook['id']}"

    changed = client.patch(path, json={"events": [], "kinds": [], "description": "yours", "active": False})

    shown = changed.get_json()
    assert (shown["events"], shown["kinds"], shown["description"]) == ([], [], "yours")
    assert (shown["active"], shown["off"]) == (False, "switched off by its owner")
    assert shown == client.get(path).get_json() == client.get("/v1/webhooks").get_json()["webhooks"][0]
    assert client.delete(path).status_code == 204
    refused(client.get(path), 404, "webhook_not_found")
    refused(client.delete(path), 404, "webhook_not_found")


def test_a_secret_is_shown_once_and_a_new_one_signs_from_then_on(
    client: FlaskClient, receiver: Receiver
) -> None:
    hook = _add(client, receiver.url)
    everything = json.dumps([client.get("/v1/webhooks").get_json(), _deliveries(client)])
    assert hook["secret"] not in everything

    renewed = client.post(f"/v1/webhooks/{hook['id']}/secret").get_json()["secret"]
    client.post(f"/v1/webhooks/{hook['id']}/test")
    _until(client, "delivered")

    assert renewed != hook["secret"]
    Webhook(renewed).verify(receiver.received[0].body, dict(receiver.received[0].headers))


@pytest.mark.parametrize(
    "body",
    [
        {"url": "http://10.0.0.1/"},
        {"url": "http://[::ffff:169.254.169.254]/"},
        {"url": "ftp://receiver.example"},
        {"url": SOMEWHERE, "events": ["job.begun"]},
        {"url": SOMEWHERE, "kinds": ["dancing"]},
        {"url": SOMEWHERE, "secret": "mine"},
        {},
    ],
)
def test_a_wrong_webhook_is_refused(client: FlaskClient, body: dict[str, Any]) -> None:
    refused(client.post("/v1/webhooks", json=body), 422, "invalid_input")
    assert client.get("/v1/webhooks").get_json() == {"webhooks": []}


def test_a_job_that_names_a_wrong_webhook_is_refused(client: FlaskClient) -> None:
    training = {"kind": "training", "model": "digits"}

    refused(client.post("/v1/jobs", json=training | {"webhook": "http://10.1.2.3/"}), 422, "invalid_input")
    refused(client.post("/v1/jobs", json=training | {"webhook": "hook-1"}), 404, "webhook_not_found")

    assert client.get("/v1/jobs").get_json()["jobs"] == []


def test_nobody_has_more_hooks_than_allowed(client: FlaskClient, enter: Enter) -> None:
    for _ in range(3):
        _add(client, SOMEWHERE)

    refused(client.post("/v1/webhooks", json={"url": SOMEWHERE}), 429, "quota_exceeded")
    _add(enter("ada"), SOMEWHERE)


def test_hooks_and_deliveries_of_others_are_not_there(client: FlaskClient, enter: Enter) -> None:
    ada, grace = enter("ada"), enter("grace")
    hook = _add(ada, SOMEWHERE)
    delivery = ada.post(f"/v1/webhooks/{hook['id']}/test").get_json()

    for somebody in (grace, client):
        assert somebody.get("/v1/webhooks").get_json() == {"webhooks": []}
        assert _deliveries(somebody) == []
        for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/test"), ("POST", "/secret")):
            answer = somebody.open(f"/v1/webhooks/{hook['id']}{path}", method=method)
            refused(answer, 404, "webhook_not_found")
        refused(
            somebody.patch(f"/v1/webhooks/{hook['id']}", json={"active": False}), 404, "webhook_not_found"
        )
        again = somebody.post(f"/v1/webhooks/deliveries/{delivery['id']}/again")
        refused(again, 404, "delivery_not_found")
        named = somebody.post("/v1/jobs", json={"kind": "training", "model": "m", "webhook": hook["id"]})
        refused(named, 404, "webhook_not_found")


def test_pages_of_deliveries_leave_nothing_out(client: FlaskClient, receiver: Receiver) -> None:
    hooks = [_add(client, receiver.url)["id"] for _ in range(2)]
    sent = [client.post(f"/v1/webhooks/{hook}/test").get_json()["id"] for hook in hooks * 4]

    def pages(query: str) -> list[str]:
        found: list[str] = []
        cursor: str | None = ""
        while cursor is not None:
            page = client.get(f"/v1/webhooks/deliveries?limit=3&cursor={cursor}{query}").get_json()
            found += [each["id"] for each in page["deliveries"]]
            cursor = page["next_cursor"]
        return found

    assert pages("") == sent[::-1]
    assert pages(f"&webhook={hooks[0]}") == sent[-2::-2]


def test_the_deliveries_of_a_deleted_hook_and_of_a_disabled_account_fail(
    application: Application, enter: Enter, connection: Connection
) -> None:
    application.deliverer.stop()
    ada = enter("ada")
    hook, kept = _add(ada, SOMEWHERE), _add(ada, SOMEWHERE)
    for each in (hook, kept):
        ada.post(f"/v1/webhooks/{each['id']}/test")

    ada.delete(f"/v1/webhooks/{hook['id']}")
    [_, deleted] = _deliveries(ada)
    application.users.change("ada", {"disabled": True})
    claimed = WebhookStore(connection).claim(10)

    assert (deleted["state"], deleted["problem"]) == ("failed", "the webhook was deleted")
    assert claimed == []
    [newest, _] = WebhookStore(connection).newest("ada", 10)
    assert (newest.state, newest.problem) == ("failed", "the account is disabled")


def test_one_who_has_much_to_send_holds_up_nobody(
    application: Application, client: FlaskClient, enter: Enter, connection: Connection
) -> None:
    """Of each hook two are tried at a time and of each user four; the others' are claimed beside them."""
    application.deliverer.stop()
    store = WebhookStore(connection)
    for _ in range(3):
        hook = _add(client, SOMEWHERE)["id"]
        for _ in range(20):
            client.post(f"/v1/webhooks/{hook}/test")
    late = enter("late")
    later = late.post(f"/v1/webhooks/{_add(late, SOMEWHERE)['id']}/test").get_json()["id"]

    claimed = store.claim(32)

    of_admin = [each.hook for each in claimed if each.user == "admin"]
    assert len(of_admin) == MOST_OF_USER
    assert all(of_admin.count(hook) <= MOST_OF_HOOK for hook in of_admin)
    assert [each.id for each in claimed if each.user == "late"] == [later]
    assert store.claim(32) == []
    store.finish(claimed[0], "delivered", status=200, took_s=0.1, problem="")
    assert len(store.claim(32)) == 1


def test_a_delivery_whose_process_died_is_claimed_again_and_the_old_try_counts_no_more(
    application: Application, client: FlaskClient, connection: Connection
) -> None:
    application.deliverer.stop()
    store = WebhookStore(connection)
    hook = _add(client, SOMEWHERE)["id"]
    client.post(f"/v1/webhooks/{hook}/test")
    [first] = store.claim(5)

    connection.client.zadd(keys.hook_queue("admin", hook), {first.id: 1})
    connection.client.zadd(keys.HOOKS_DUE, {f"admin:{hook}": 1})
    [second] = store.claim(5)
    store.finish(first, "failed", status=500, took_s=0.1, problem="late")

    assert (first.id, first.body, second.number) == (second.id, second.body, 2)
    assert store.delivery("admin", first.id).state == "waiting"
    store.finish(second, "delivered", status=200, took_s=0.1, problem="")
    assert store.delivery("admin", first.id).state == "delivered"
    assert store.counts(0).waiting == 0


def test_too_many_that_wait_fail_at_once_and_may_be_sent_again(
    application: Application, client: FlaskClient, connection: Connection
) -> None:
    application.deliverer.stop()
    hook = _add(client, SOMEWHERE)["id"]
    store = WebhookStore(connection)
    for number in range(501):
        store.test("admin", hook, f"test-{number}")

    last = store.delivery("admin", "test-500")

    assert (last.state, last.problem) == ("failed", "not tried: 500 other deliveries of yours wait")
    assert store.counts(0).waiting == 500
    for number in range(501, 1050):
        store.test("admin", hook, f"test-{number}")
    assert connection.client.zcard(keys.deliveries_of("admin")) <= 1001
    assert store.counts(0).waiting == 500

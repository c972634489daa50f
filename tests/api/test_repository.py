"""The Open Inference Protocol's server, repository and statistics, and what of its extensions is not offered."""

import threading
from typing import Any, Final

import pytest
from flask.testing import FlaskClient

from services.models.files import ModelStore
from tests.services.chip import Chip
from tests.services.samples import some_crops

RAW: Final = {"Inference-Header-Content-Length": "0"}


@pytest.mark.usefixtures("chip")
def test_a_serving_chip_makes_server_and_models_ready(client: FlaskClient) -> None:
    paths = (
        "/v2/health/live",
        "/v2/health/ready",
        "/v2/models/digits/ready",
        "/v2/models/digits/versions/1/ready",
    )

    assert [client.get(path).status_code for path in paths] == [200] * 4


@pytest.mark.usefixtures("models")
def test_without_a_chip_the_server_is_live_and_not_ready(client: FlaskClient) -> None:
    paths = ("/v2/health/live", "/v2/health/ready", "/v2/models/digits/ready")

    assert [client.get(path).status_code for path in paths] == [200, 503, 503]


@pytest.mark.parametrize("path", ["/v2/health/live", "/v2/health/ready"])
def test_health_is_for_everybody(stranger: FlaskClient, path: str) -> None:
    assert stranger.get(path).status_code in {200, 503}


@pytest.mark.parametrize("what", ["", "/ready", "/config", "/stats"])
@pytest.mark.parametrize("model", ["nothing", "digits/versions/9", "%2e%2e"])
@pytest.mark.usefixtures("models")
def test_what_is_not_there_is_not_found(client: FlaskClient, model: str, what: str) -> None:
    answer = client.get(f"/v2/models/{model}{what}")

    assert (answer.status_code, set(answer.get_json())) == (404, {"error"})


@pytest.mark.usefixtures("models")
def test_the_index_lists_every_version(client: FlaskClient) -> None:
    listed = client.post("/v2/repository/index").get_json()

    assert [(entry["name"], entry["version"], entry["state"]) for entry in listed] == [
        ("digits", "1", "READY"),
        ("digits", "2", "READY"),
    ]


def test_a_damaged_version_is_in_the_index_unless_only_ready_ones_are_wanted(
    client: FlaskClient, models: ModelStore
) -> None:
    models.weights_path("digits", "1").with_name("manifest.json").write_text("damaged")

    everything = client.post("/v2/repository/index", json={"ready": False}).get_json()
    ready = client.post("/v2/repository/index", json={"ready": True}).get_json()

    assert [(entry["state"], bool(entry["reason"])) for entry in everything] == [
        ("UNAVAILABLE", True),
        ("READY", False),
    ]
    assert [entry["version"] for entry in ready] == ["2"]


@pytest.mark.parametrize("body", ["x", "[]", '{"ready": 3}'])
def test_a_wrong_wish_for_the_index_is_refused(client: FlaskClient, body: str) -> None:
    answer = client.post("/v2/repository/index", data=body)

    assert (answer.status_code, set(answer.get_json())) == (400, {"error"})


def _of(client: FlaskClient, path: str) -> dict[str, Any]:
    [counted] = client.get(path).get_json()["model_stats"]
    return dict(counted)


@pytest.mark.usefixtures("chip")
def test_statistics_count_requests_crops_and_chip_calls(client: FlaskClient) -> None:
    client.post("/v2/models/digits/infer", data=some_crops(3), headers=RAW)
    client.post("/v1/models/digits/classify", data=some_crops(2))

    counted = _of(client, "/v2/models/digits/versions/2/stats")

    assert (counted["inference_count"], counted["execution_count"]) == (5, 2)
    assert {name: value["count"] for name, value in counted["inference_stats"].items()} == {
        "success": 2,
        "queue": 2,
        "compute_input": 2,
        "compute_infer": 2,
        "compute_output": 2,
        "fail": 0,
        "cache_hit": 0,
        "cache_miss": 0,
    }
    assert [(batch["batch_size"], batch["compute_infer"]["count"]) for batch in counted["batch_stats"]] == [
        (2, 1),
        (3, 1),
    ]
    assert counted["inference_stats"]["compute_infer"]["ns"] == 4_000_000
    assert counted["last_inference"] > 1e12


def test_requests_that_share_a_chip_call_are_one_execution(client: FlaskClient, idle_chip: Chip) -> None:
    headers = {**RAW, "Authorization": client.environ_base["HTTP_AUTHORIZATION"]}

    def ask(number: int) -> None:
        client.application.test_client().post(
            "/v2/models/digits/infer", data=some_crops(1, number), headers=headers
        )

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    while client.get("/v1/queue").get_json()["crops"]["waiting"] < 4:
        pass
    idle_chip.work_once()
    for thread in threads:
        thread.join()

    counted = _of(client, "/v2/models/digits/versions/latest/stats")
    assert (counted["inference_count"], counted["execution_count"]) == (4, 1)
    assert [(batch["batch_size"], batch["compute_infer"]["count"]) for batch in counted["batch_stats"]] == [
        (4, 1)
    ]


@pytest.mark.parametrize("limits", [{"max_waiting_crops": 2}])
@pytest.mark.usefixtures("idle_chip")
def test_what_was_refused_counts_as_failed(client: FlaskClient) -> None:
    client.post("/v2/models/digits/infer", data=some_crops(3), headers=RAW)

    counted = _of(client, "/v2/models/digits/versions/2/stats")

    assert (counted["inference_count"], counted["inference_stats"]["fail"]["count"]) == (0, 1)


@pytest.mark.usefixtures("models")
def test_statistics_of_all_models_have_every_version(client: FlaskClient) -> None:
    everything = client.get("/v2/models/stats").get_json()["model_stats"]
    of_model = client.get("/v2/models/digits/stats").get_json()["model_stats"]

    assert everything == of_model
    assert [(counted["name"], counted["version"]) for counted in everything] == [
        ("digits", "1"),
        ("digits", "2"),
    ]


@pytest.mark.parametrize(
    ("method", "path", "said"),
    [
        ("POST", "/v2/repository/models/digits/load", "not loaded or unloaded"),
        ("POST", "/v2/repository/models/digits/unload", "not loaded or unloaded"),
        ("GET", "/v2/systemsharedmemory/status", "shared memory"),
        ("POST", "/v2/systemsharedmemory/region/r/register", "shared memory"),
        ("POST", "/v2/cudasharedmemory/unregister", "shared memory"),
        ("GET", "/v2/trace/setting", "tracing"),
        ("POST", "/v2/models/digits/trace/setting", "tracing"),
        ("GET", "/v2/logging", "HXSERVE_LOG_LEVEL"),
        ("POST", "/v2/models/digits/generate", "infer"),
        ("GET", "/v2/nothing", "/openapi.json"),
        ("GET", "/v2/", "/openapi.json"),
    ],
)
def test_what_is_not_offered_says_so_in_the_protocols_form(
    client: FlaskClient, method: str, path: str, said: str
) -> None:
    answer = client.open(path, method=method)

    assert (answer.status_code, set(answer.get_json())) == (404, {"error"})
    assert said in answer.get_json()["error"]


def test_a_wrong_method_has_the_protocols_form_too(client: FlaskClient) -> None:
    answer = client.get("/v2/models/digits/infer")

    assert (answer.status_code, set(answer.get_json()), set(answer.allow)) == (
        405,
        {"error"},
        {"OPTIONS", "POST"},
    )

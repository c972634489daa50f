"""Versions as ONNX: the float32 reference of the service, and the quantisation beside it."""

import hashlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from click.testing import CliRunner
from onnx.reference import ReferenceEvaluator
from safetensors.torch import save

from hxserve import Client
from hxserve.cli import cli
from hxserve.errors import AnswerNotUnderstoodError
from hxserve.onnx_graph import build_onnx
from hxtorch_emulator import perceptron
from services.networks.network import Network
from tests.client.records import manifest
from tests.client.service import TOKEN, Reply, Service
from worker.learning.network import build_network, encode, resolve_spec, weights_of

NETWORKS: dict[str, Any] = {
    "perceptron": {"hidden": [12, 11], "shift": 1, "num_sends": [3, 2, 1]},
    "conv2d": [
        {"type": "conv2d", "out_channels": 3, "kernel_size": [5, 4], "stride": [3, 2], "padding": [0, 1]},
        {"type": "converting_relu", "shift": 2},
        {"type": "conv2d", "out_channels": 4, "kernel_size": 2, "stride": 2, "bias": False},
        {"type": "relu"},
        {"type": "converting_relu", "shift": 3},
        {"type": "flatten"},
        {"type": "linear", "out_features": 10, "avg": 2},
        {"type": "relu"},
    ],
    "conv1d": [
        {"type": "unflatten", "unflattened_size": [28, 28]},
        {"type": "conv1d", "out_channels": 6, "kernel_size": 5, "padding": 1},
        {"type": "converting_relu", "shift": 2},
        {"type": "expanded_conv1d", "out_channels": 3, "kernel_size": 4, "stride": 2, "num_expansions": 2},
        {"type": "converting_relu", "shift": 0},
        {"type": "flatten"},
        {"type": "linear", "out_features": 10, "bias": False},
    ],
}


def _version(layers: Any) -> tuple[dict[str, Any], torch.nn.Module, bytes]:
    """Manifest, float32 reference and weights of a network."""
    torch.manual_seed(2)
    asked = Network.model_validate(layers)
    network = build_network(asked, perceptron, "float32")
    weights = weights_of(network)
    facts = {"network": resolve_spec(asked, network).model_dump(mode="json"), "gain": 0.002, "noise_std": 2.0}
    content = save(weights)
    digest = hashlib.sha256(content).hexdigest()
    return manifest() | facts | {"score_scale": 0.1, "weights_sha256": digest}, network, content


@pytest.mark.parametrize("layers", NETWORKS.values(), ids=NETWORKS)
def test_a_model_computes_what_the_float32_reference_of_the_service_computes(layers: Any) -> None:
    facts, network, weights = _version(layers)
    crops = np.random.default_rng(4).integers(0, 256, (7, 784), np.uint8)

    [scores] = map(np.asarray, ReferenceEvaluator(build_onnx(facts, weights)).run(None, {"crops": crops}))

    with torch.no_grad():
        expected = network(encode(torch.from_numpy(crops))).numpy()
    assert scores.shape == (7, 10)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-3)
    assert np.ptp(scores) > 1


def test_the_quantisation_is_in_the_metadata() -> None:
    facts, _, weights = _version(NETWORKS["perceptron"])

    model = onnx.load_from_string(build_onnx(facts, weights))

    props = {entry.key: entry.value for entry in model.metadata_props}
    assert props["hxserve.gain"] == "0.002"
    assert [props[f"hxserve.linear{number}.num_sends"] for number in (1, 2, 3)] == ["3", "2", "1"]
    assert props["hxserve.weight_range"].startswith("-63..63")
    assert props["hxserve.input_range"].startswith("0..31")
    assert props["hxserve.readout_range"].startswith("-128..127")
    assert '"shift": 1' in props["hxserve.network"]
    assert (props["hxserve.name"], props["hxserve.version"]) == ("digits", "1")
    assert {constant.name for constant in model.graph.initializer} >= {"linear1.weight", "linear3.bias"}


def test_a_layer_of_a_newer_service_is_refused() -> None:
    facts, _, weights = _version(NETWORKS["perceptron"])

    with pytest.raises(AnswerNotUnderstoodError, match="a layer 'lstm' that this client does not know"):
        build_onnx(facts | {"network": {"layers": [{"type": "lstm"}]}}, weights)


@pytest.fixture
def served(service: Service) -> Service:
    """A service with a version that can be exported."""
    facts, _, weights = _version(NETWORKS["perceptron"])
    for version in ("1", "latest"):
        service.answers["GET", f"/v1/models/digits/versions/{version}"] = Reply(document=facts)
    service.answers["GET", "/v1/models/digits/versions/1/weights"] = Reply(body=weights)
    return service


def test_a_version_is_exported_into_a_folder(served: Service, client: Client, tmp_path: Path) -> None:
    del served

    path = client.export_onnx("digits", path=tmp_path)

    assert path == tmp_path / "digits-1.onnx"
    onnx.checker.check_model(path)


def test_the_command_writes_the_file_that_is_named(served: Service) -> None:
    address = ["--url", served.url, "--token", TOKEN]

    result = CliRunner().invoke(cli, [*address, "models", "export", "--onnx", "d.onnx", "digits@1"])

    assert (result.exit_code, result.stdout.startswith("d.onnx: ")) == (0, True)
    onnx.checker.check_model("d.onnx")


def test_the_command_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    module = sys.modules["hxserve.cli.models"]  # the package names the command like the module
    monkeypatch.setattr(module, "_ONNX_LIBRARIES", ("onnx_that_is_missing",))

    result = CliRunner().invoke(cli, ["models", "export", "--onnx", "d.onnx", "digits"])

    assert result.exit_code == 1
    assert "onnx_not_installed" in result.stderr
    assert "hxserve[onnx]" in result.stderr

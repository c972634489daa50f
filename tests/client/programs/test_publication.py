"""Modules as versions: what is expressed, and what cannot be."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import hxtorch_emulator as hxtorch
from hxserve import Client
from hxserve.errors import JobFailedError, NotExpressibleError, ServiceError
from hxserve.programs.publication import publish, save_version
from services.models.description import Description, read_description
from tests.client.records import job_record
from tests.client.service import Service, job_reply, problem
from worker.learning.inference import Classifier

nn = hxtorch.perceptron.nn
VERSIONS = "/v1/models/brought/versions"


@pytest.fixture(autouse=True)
def _reproducible() -> None:
    torch.manual_seed(1)


class Notebook(torch.nn.Module):
    """A model as that of the teaching notebook: pictures of 0..1, on the chip or in the mock."""

    def __init__(self, *, mock: bool) -> None:
        super().__init__()
        self.mock = mock
        self.classifier = torch.nn.Sequential(
            nn.Linear(784, 20, mock=mock), nn.ConvertingReLU(shift=1, mock=True), nn.Linear(20, 10, mock=mock)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # noqa: D102 torch's
        scores: torch.Tensor = self.classifier(x.view(-1, 784) * 31.0)
        return scores


class Convolutional(torch.nn.Module):
    """A model that names its layers in another order than it calls them, and gives digits."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(4 * 8 * 9, 10, avg=2, bias=False, mock=True)
        self.first = nn.Conv2d(1, 4, (5, 4), stride=3, padding=(0, 0), mock=True)
        self.relu = nn.ConvertingReLU(shift=2, mock=True)
        self.drop = torch.nn.Dropout(0.9)

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # noqa: D102 torch's
        values = self.drop(self.relu(self.first(x))).flatten(1)
        return torch.as_tensor(hxtorch.perceptron.argmax(self.last(values), dim=1, mock=True))


def _one_dimensional() -> torch.nn.Module:
    return torch.nn.Sequential(
        torch.nn.Unflatten(1, (28, 28)),
        nn.Conv1d(28, 8, 5, padding=1, mock=True),
        nn.ConvertingReLU(mock=True),
        torch.nn.Sequential(
            nn.ExpandedConv1d(8, 4, 3, stride=2, num_expansions=2, mock=True), nn.ConvertingReLU(mock=True)
        ),
        torch.nn.Flatten(),
        nn.Linear(4 * 12, 10, mock=True),
        nn.ReLU(mock=True),
    )


def _read(path: Path) -> Description:
    content = path.read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    return read_description(header["__metadata__"])


MAKERS: dict[str, Callable[[], torch.nn.Module]] = {
    "notebook": lambda: Notebook(mock=True),
    "notebook on the chip": lambda: Notebook(mock=False),
    "convolutional": Convolutional,
    "one-dimensional": _one_dimensional,
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_the_service_computes_the_scores_of_the_module(
    make: Callable[[], torch.nn.Module], tmp_path: Path
) -> None:
    path = save_version(make(), tmp_path / "model.safetensors")

    description, weights = _read(path), load_file(path)
    classifier = Classifier(description.network, weights, hxtorch.perceptron)
    former = hxtorch.perceptron.get_mock_parameter()
    hxtorch.perceptron.set_mock_parameter(hxtorch.perceptron.MockParameter(noise_std=0.0, gain=former.gain))
    try:
        crops = np.frombuffer(description.check.crop_bytes, np.uint8).reshape(-1, 784)
        scores = classifier.scores(crops)
    finally:
        hxtorch.perceptron.set_mock_parameter(former)
    assert {name: tuple(tensor.shape) for name, tensor in weights.items()} == dict(
        description.network.parameter_shapes
    )
    assert scores.tolist() == description.check.scores
    assert len({tuple(row) for row in description.check.scores}) > 8


def test_a_perceptron_is_stated_in_full(tmp_path: Path) -> None:
    model = Notebook(mock=True)
    first, last = model.classifier[0], model.classifier[2]

    description = _read(save_version(model, tmp_path / "model.safetensors"))

    assert description.network.model_dump() == {
        "inputs": 784,
        "hidden": [20],
        "outputs": 10,
        "shift": 1,
        "num_sends": [first.num_sends, last.num_sends],
    }


def test_layers_are_stated_with_all_their_arguments(tmp_path: Path) -> None:
    conv2d = _read(save_version(Convolutional(), tmp_path / "2d.safetensors")).network
    conv1d = _read(save_version(_one_dimensional(), tmp_path / "1d.safetensors")).network

    assert conv2d.input == (1, 28, 28)
    assert [layer.type for layer in conv2d.layers] == ["conv2d", "converting_relu", "flatten", "linear"]
    assert conv2d.layers[0].model_dump(exclude={"num_sends"}) == {
        "type": "conv2d",
        "out_channels": 4,
        "kernel_size": (5, 4),
        "stride": (3, 3),
        "padding": (0, 0),
        "bias": True,
        "wait_between_events": 5,
    }
    assert conv2d.layers[3].model_dump(include={"avg", "bias"}) == {"avg": 2, "bias": False}
    assert conv1d.layers[1].model_dump(include={"kernel_size", "stride", "padding"}) == {
        "kernel_size": 5,
        "stride": 1,
        "padding": 1,
    }
    assert conv1d.layers[3].model_dump(include={"type", "stride", "num_expansions"}) == {
        "type": "expanded_conv1d",
        "stride": 2,
        "num_expansions": 2,
    }


def test_gain_and_noise_in_force_are_stated(tmp_path: Path) -> None:
    former = hxtorch.perceptron.get_mock_parameter()
    hxtorch.perceptron.set_mock_parameter(hxtorch.perceptron.MockParameter(noise_std=1.5, gain=0.003))

    try:
        description = _read(save_version(Notebook(mock=True), tmp_path / "model.safetensors"))
    finally:
        hxtorch.perceptron.set_mock_parameter(former)

    assert (description.gain, description.noise_std) == (0.003, 1.5)


def test_the_check_can_be_made_of_crops_of_ones_own(tmp_path: Path) -> None:
    crops = np.random.default_rng(3).integers(0, 256, (3, 28, 28), np.uint8)

    description = _read(save_version(Notebook(mock=True), tmp_path / "model.safetensors", crops=crops))

    assert base64.b64decode(description.check.crops) == crops.tobytes()
    assert len(description.check.scores) == 3


def test_a_module_is_as_before_afterwards(tmp_path: Path) -> None:
    model = Notebook(mock=False).train()
    former = hxtorch.perceptron.get_mock_parameter()
    before = [parameter.clone() for parameter in model.parameters()]

    save_version(model, tmp_path / "model.safetensors")

    mocks = [module.mock for module in model.modules() if isinstance(getattr(module, "mock", None), bool)]
    assert mocks == [False, False, True, False]
    assert all(module.training for module in model.modules())
    assert not any(module._forward_hooks for module in model.modules())
    assert hxtorch.perceptron.get_mock_parameter() == former
    for parameter, value in zip(model.parameters(), before, strict=True):
        assert bool((parameter == value).all())


class Functional(Notebook):
    """A rectifier that is no module."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # noqa: D102 torch's
        first, relu, last = self.classifier
        del relu
        return torch.as_tensor(
            last(hxtorch.perceptron.converting_relu(first(x.view(-1, 784) * 31.0), mock=True))
        )


class Softmax(Notebook):
    """Probabilities instead of scores."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # noqa: D102 torch's
        return super().forward(x).softmax(1)


class Inverted(Notebook):
    """Dark on bright."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # noqa: D102 torch's
        return super().forward(1.0 - x)


class Doubled(nn.Linear):
    """A layer of its own kind."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002, D102 torch's
        return 2 * super().forward(input)


def _with(layer: torch.nn.Module) -> torch.nn.Module:
    return torch.nn.Sequential(nn.Linear(784, 8, mock=True), layer, nn.Linear(8, 10, mock=True))


def _first(layer: torch.nn.Module) -> torch.nn.Module:
    return torch.nn.Sequential(layer, torch.nn.Flatten(), nn.Linear(8, 10, mock=True))


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (
            _with(torch.nn.Hardtanh(0, 31)),
            r"`1` is a torch\.nn\.modules\.activation\.Hardtanh; expected Linear, .*",
        ),
        (
            torch.nn.Sequential(torch.nn.Linear(784, 10)),
            r"`0` is a torch\.nn\.modules\.linear\.Linear; expected Linear, Conv1d, .* of hxtorch\.perceptron\.nn",
        ),
        (torch.nn.Sequential(Doubled(784, 10, mock=True)), r"`0` is a .*Doubled; expected"),
        (
            torch.nn.Sequential(nn.Linear(784, 10, mock=True, weight_transform=nn.scale_weight)),
            "`0` transforms its inputs or weights; expected no input_transform",
        ),
        (
            torch.nn.Sequential(nn.Linear(784, 10, mock=True, input_transform=nn.scale_input)),
            "`0` transforms its inputs or weights; expected no input_transform",
        ),
        (
            torch.nn.Sequential(nn.Conv2d(1, 8, 3, padding="same", mock=True)),
            "`0` pads with padding='same' and padding_mode='zeros'; expected numbers, and zeros",
        ),
        (
            torch.nn.Sequential(nn.Conv2d(1, 8, 3, padding=1, padding_mode="reflect", mock=True)),
            "`0` pads with .* and padding_mode='reflect'",
        ),
        (
            Functional(mock=True),
            r"between `classifier\.0` and `classifier\.2` the module computes something that is",
        ),
        (
            Softmax(mock=True),
            r"after `classifier\.2` the module computes something that is no layer; expected its ten",
        ),
        (
            Inverted(mock=True),
            r"does not run on crops; .*`classifier\.0` gets other values than the crops' pixels",
        ),
        (nn.Linear(784, 7, mock=True), r"`the module` gives values of shape \(7,\); expected ten scores"),
        (
            nn.Linear(783, 10, mock=True),
            r"does not run on crops; expected one that takes \(batch, 784\), \(batch, 1,",
        ),
        (torch.nn.Module(), "does not run on crops"),
    ],
)
def test_what_cannot_be_expressed_is_named(model: torch.nn.Module, said: str, tmp_path: Path) -> None:
    with pytest.raises(NotExpressibleError, match=said):
        save_version(model, tmp_path / "model.safetensors")

    assert list(tmp_path.iterdir()) == []


def _accepted(service: Service, **outcome: Any) -> None:
    queued = job_record("queued", kind="upload", model="brought")
    service.answers["POST", VERSIONS] = job_reply(queued, 202)
    service.jobs.clear()
    service.jobs.append(job_record(revision=2, kind="upload", model="brought", **outcome))


def test_a_published_module_is_uploaded_under_a_key_and_waited_for(service: Service, client: Client) -> None:
    _accepted(service, state="succeeded", result={"version": "4"})

    job = publish(Notebook(mock=True), "brought", client=client)

    [request] = service.asked("POST", VERSIONS)
    assert job.version == "4"
    assert request.headers["Content-Type"] == "application/x-safetensors"
    assert request.headers["Idempotency-Key"]
    assert b'"hxserve"' in request.body[:400]


def test_a_refusal_by_the_job_is_an_error(service: Service, client: Client) -> None:
    error = {"code": "invalid_input", "message": "the network computes other scores here"}
    _accepted(service, state="failed", error=error)

    with pytest.raises(JobFailedError, match="computes other scores"):
        publish(Notebook(mock=True), "brought", client=client)


def test_a_refusal_at_once_is_an_error(service: Service, client: Client) -> None:
    service.answers["POST", VERSIONS] = problem(422, "invalid_input", "hxserve.network: layers.1 (linear)")

    with pytest.raises(ServiceError, match=r"layers\.1 \(linear\)"):
        publish(Notebook(mock=True), "brought", client=client, wait=False)

"""A network trained elsewhere and carried over to a virtual chip loses accuracy, and not too much."""

from typing import Any

import pytest
import torch

import hxtorch_emulator as emulator
from hxtorch_emulator import connection
from hxtorch_emulator.chip import VirtualChip
from hxtorch_emulator.perceptron import nn
from tests.needs import shared_folder
from worker.learning.datasets import load_dataset

CHIPS = ("hxvirtual0fpga0chip0_1", "hxcube7fpga0chip67_1", "a", "b", "g", "bench7")


def _network() -> torch.nn.Sequential:
    """A small convolution network in the mock. Source: Weis et al., arXiv 2006.13177."""
    return torch.nn.Sequential(
        nn.Conv2d(1, 20, 10, stride=5, padding=1, mock=True),
        nn.ConvertingReLU(shift=1, mock=True),
        torch.nn.Flatten(),
        nn.Linear(500, 128, mock=True),
        nn.ConvertingReLU(shift=1, mock=True),
        nn.Linear(128, 10, mock=True),
    )


def _train(network: torch.nn.Module, images: torch.Tensor, labels: torch.Tensor) -> None:
    batches = [batch for _ in range(3) for batch in torch.split(torch.randperm(len(images)), 200)]
    optimiser = torch.optim.Adam(network.parameters(), lr=1.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 1.0, total_steps=len(batches))
    for batch in batches:
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(network(images[batch]) * 0.1, labels[batch])
        loss.backward()  # type: ignore[no-untyped-call]  # torch types it so
        optimiser.step()
        schedule.step()


class _FromTorch(torch.nn.Module):
    """The same network for weights of plain torch: every layer's inputs and weights are scaled to the chip's ranges."""

    def __init__(self) -> None:
        super().__init__()
        scaled: dict[str, Any] = {
            "bias": False,
            "wait_between_events": 2,
            "input_transform": nn.scale_input,
            "weight_transform": nn.scale_weight,
        }
        self.conv2d = nn.Conv2d(1, 20, 10, stride=5, padding=1, num_sends=3, **scaled)
        self.fc1 = nn.Linear(500, 128, num_sends=6, **scaled)
        self.fc2 = nn.Linear(128, 10, num_sends=6, **scaled)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.conv2d(x)).reshape(-1, 500)
        scores: torch.Tensor = self.fc2(torch.relu(self.fc1(x)))
        return scores


class _InTorch(_FromTorch):
    def __init__(self) -> None:
        torch.nn.Module.__init__(self)
        self.conv2d = torch.nn.Conv2d(1, 20, 10, stride=5, padding=1, bias=False)  # type: ignore[assignment]  # its twin
        self.fc1 = torch.nn.Linear(500, 128, bias=False)  # type: ignore[assignment]  # the same
        self.fc2 = torch.nn.Linear(128, 10, bias=False)  # type: ignore[assignment]  # the same


def _train_in_torch(network: torch.nn.Module, images: torch.Tensor, labels: torch.Tensor) -> None:
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)
    for batch in (batch for _ in range(3) for batch in torch.split(torch.randperm(len(images)), 200)):
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(network(images[batch]), labels[batch])
        loss.backward()  # type: ignore[no-untyped-call]  # torch types it so
        optimiser.step()


def _accuracies(network: torch.nn.Module, images: torch.Tensor, labels: torch.Tensor) -> dict[str, float]:
    """Return the share of right answers by chip."""
    accuracies = {}
    for chip in CHIPS:
        connection.choose_chip(VirtualChip(chip))
        emulator.init_hardware()
        with torch.inference_mode():
            accuracies[chip] = (network(images).argmax(1) == labels).float().mean().item()
        emulator.release_hardware()
    return accuracies


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_network_trained_in_plain_torch_reads_four_of_five_digits_on_any_chip() -> None:
    mnist = load_dataset("mnist", shared_folder("mnist"))
    train, test = (images.unsqueeze(1) for images in (mnist.train_images / 255, mnist.test_images[:200]))
    torch.manual_seed(1)
    trained, network = _InTorch(), _FromTorch()
    _train_in_torch(trained, train, mnist.train_labels)
    network.load_state_dict(trained.state_dict())

    accuracies = _accuracies(network, test.float(), mnist.test_labels[:200])

    assert min(accuracies.values()) > 0.8, accuracies


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_convolution_network_reads_four_of_five_digits_on_any_chip_without_retraining() -> None:
    mnist = load_dataset("mnist", shared_folder("mnist"))
    train, test = (
        (images * (31 / 255)).unsqueeze(1) for images in (mnist.train_images, mnist.test_images[:200])
    )
    torch.manual_seed(1)
    network = _network()
    _train(network, train, mnist.train_labels)
    for layer in network:
        layer.mock = False  # type: ignore[assignment]  # a flag of hxtorch's layers

    accuracies = _accuracies(network, test, mnist.test_labels[:200])

    assert min(accuracies.values()) > 0.8, accuracies

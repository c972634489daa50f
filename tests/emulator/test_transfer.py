"""A network trained in the mock and carried over to a virtual chip loses accuracy, and not too much."""

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

    accuracies = {}
    for chip in CHIPS:
        connection.choose_chip(VirtualChip(chip))
        emulator.init_hardware()
        with torch.inference_mode():
            accuracies[chip] = (network(test).argmax(1) == mnist.test_labels[:200]).float().mean().item()
        emulator.release_hardware()

    assert min(accuracies.values()) > 0.8, accuracies

import subprocess
import sys

import torch

from hxtorch_emulator.vision import load_torchvision


def test_torchvision_can_be_imported_in_a_fresh_process_and_afterwards_by_its_own_name() -> None:
    program = (
        "from hxtorch_emulator.vision import load_torchvision\n"
        "vision = load_torchvision()\n"
        "import torchvision\n"
        "assert vision is torchvision is load_torchvision()\n"
        "print(torchvision.datasets.MNIST.__name__, torchvision.transforms.RandomResizedCrop.__name__)\n"
    )

    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False
    )

    assert result.stderr == ""
    assert result.stdout == "MNIST RandomResizedCrop\n"


def test_its_transforms_compute() -> None:
    image = torch.rand(1, 28, 28)

    varied = load_torchvision().transforms.RandomResizedCrop((20, 30))(image)

    assert varied.shape == (1, 20, 30)

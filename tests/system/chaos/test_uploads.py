"""Worker, API and Redis are killed during uploads: each version is published once, whole."""

from pathlib import Path
from random import Random

import pytest
import torch

import hxtorch_emulator
from hxserve import Client
from hxserve.jobs import Job
from hxserve.programs.publication import save_version
from services.models.files import ModelStore
from tests.system.chaos.conftest import Extent, Summary
from tests.system.chaos.service import Service
from tests.system.chaos.verification import assert_nothing_lost, weights_of

pytestmark = pytest.mark.long

UPLOADS = 3
"""Between two kills."""


def _a_file(folder: Path) -> bytes:
    """A version that is large enough to be killed in the middle."""
    nn = hxtorch_emulator.perceptron.nn
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        nn.Linear(784, 512, mock=True),
        nn.ConvertingReLU(mock=True),
        nn.Linear(512, 512, mock=True),
        nn.ConvertingReLU(mock=True),
        nn.Linear(512, 10, mock=True),
    )
    return save_version(model, folder / "brought.safetensors").read_bytes()


@pytest.mark.parametrize("process", ["worker", "api", "redis"])
def test_uploads_publish_each_version_once_whatever_is_killed(
    service: Service,
    client: Client,
    extent: Extent,
    randomly: Random,
    summary: Summary,
    tmp_path: Path,
    process: str,
) -> None:
    name, content = f"brought-{process}", _a_file(tmp_path)
    models = ModelStore(service.settings.models_dir)
    jobs: list[Job] = []
    for _ in range(extent.kills):
        jobs += [client.upload(content, name) for _ in range(UPLOADS)]
        service.let_pass(randomly.uniform(0.0, 0.4))
        service.kill(process)

    ended = [service.ended(job) for job in jobs]

    summary.note(extent.kills, jobs=assert_nothing_lost(service))
    numbers = [str(number + 1) for number in range(len(jobs))]
    assert [job.state for job in ended] == ["succeeded"] * len(jobs)
    assert sorted(str(job.version) for job in ended) == sorted(numbers)
    assert models.versions(name) == numbers
    assert len({weights_of(job) for job in ended}) == 1
    assert all(models.weights(name, number) for number in numbers)

"""The disk refuses saves and versions: full, and by permission."""

import resource
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from hxserve import Client
from hxserve.jobs import Job
from tests.system.chaos.conftest import Extent, Summary, training_of
from tests.system.chaos.service import Service
from tests.system.chaos.stream import Crops
from tests.system.chaos.verification import assert_nothing_lost, weights_of

pytestmark = pytest.mark.long

_FULL_AT_BYTES = 200_000
"""Less than a save or the weights of a version, more than all else a worker writes."""


@contextmanager
def _full(service: Service) -> Iterator[None]:
    """No file of the worker may grow further: the kernel refuses to write beyond, as it does on a full disk.

    A small file system of its own would need root.
    """
    before = resource.prlimit(service.pid("worker"), resource.RLIMIT_FSIZE)
    resource.prlimit(service.pid("worker"), resource.RLIMIT_FSIZE, (_FULL_AT_BYTES, before[1]))
    yield
    resource.prlimit(service.pid("worker"), resource.RLIMIT_FSIZE, before)


@contextmanager
def _forbidden(service: Service) -> Iterator[None]:
    """Nobody may write into the folders of saves and models; the worker of these tests obeys, also as root."""
    folders = [
        service.settings.saves_dir,
        *service.settings.models_dir.iterdir(),
        service.settings.models_dir,
    ]
    for folder in folders:
        folder.chmod(0o555)
    yield
    for folder in folders:
        folder.chmod(0o755)


@pytest.mark.parametrize("refusing", [_full, _forbidden])
def test_a_training_waits_for_the_disk_loses_no_save_and_ends_as_if_nothing_had_been(
    service: Service,
    client: Client,
    undisturbed: Job,
    crops: Crops,
    extent: Extent,
    summary: Summary,
    refusing: Callable[[Service], AbstractContextManager[None]],
) -> None:
    job = client.train("disk", **training_of(extent))
    save = service.settings.saves_dir / f"{job.id}.safetensors"
    service.until(save.exists, "the first save")

    with refusing(service):
        service.until(lambda: "storage_failed" in service.events_of(job), "a refusal")
        kept = save.read_bytes()
        answer = client.classify(crops.images[:5], crops.model, crops.version)
        service.let_pass(1.0)
        unharmed = save.read_bytes() == kept
    service.kill("worker")
    training = service.ended(job)

    assert unharmed
    assert [prediction.scores for prediction in answer] == list(crops.scores[:5])
    assert training.state == "succeeded"
    assert weights_of(training) == weights_of(undisturbed)
    assert list(service.settings.saves_dir.glob(".*")) == []
    summary.note(1, jobs=assert_nothing_lost(service))

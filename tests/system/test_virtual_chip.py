from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from deploy.local import running
from hxserve import Client
from hxserve.jobs import Job
from services.settings import load_settings
from tests.system.conftest import wait_until

pytestmark = pytest.mark.long

Digits = tuple[NDArray[np.uint8], NDArray[np.int64]]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A client of a service of its own, on a virtual chip whose canary is measured all the time."""
    settings = load_settings(
        data_dir=tmp_path_factory.mktemp("virtual"),
        chip="emulator",
        port=0,
        canary_every_s=0.2,
        shadow_share=1.0,
    )
    with running(settings) as local, Client(local.url, local.token) as client:
        yield client


@pytest.fixture(scope="module")
def trained(client: Client) -> Job:
    """A model that learnt in the mock and then in the chip's loop."""
    return client.train("digits", wait=True, recipe="strong", dataset="digits", epochs=3, chip_epochs=1)


def test_what_is_learnt_on_a_chip_names_the_chip_and_its_calibration(client: Client, trained: Job) -> None:
    manifest = client.model("digits", trained.version)
    chip = client.chip()["chips"][0]

    assert manifest["execution"] == "mock-then-chip"
    assert manifest["backend"] == chip["backend"] == "emulator"
    assert manifest["identifier"] == chip["identifier"]
    assert len(manifest["calibration"]["sha256"]) == 64


def test_a_chip_reads_digits_with_what_it_learnt(client: Client, trained: Job, test_digits: Digits) -> None:
    crops, labels = test_digits

    predictions = client.classify(crops, "digits", trained.version or "latest")

    assert predictions.backend == "emulator"
    assert not predictions.transferred
    assert predictions.calibration is not None
    assert np.mean(np.array(predictions.digits) == labels) > 0.85


def test_an_evaluation_measures_where_the_version_serves(client: Client, trained: Job) -> None:
    measured = client.evaluate("digits", trained.version or "latest", dataset="digits", wait=True)

    for result in (trained.result, measured.result):
        assert result is not None
        assert [result[name] for name in ("execution", "backend", "chip")] == ["chip", "emulator", "chip-1"]
    assert abs((measured.accuracy or 0) - (trained.accuracy or 0)) < 0.03


def test_a_calibration_is_kept_and_loaded(client: Client, trained: Job) -> None:
    before = client.chip()["chips"][0]["calibration"]["sha256"]

    calibration = client.calibrate(wait=True)

    assert calibration.result is not None
    assert calibration.result["sha256"] != before
    wait_until(lambda: client.chip()["chips"][0]["calibration"]["sha256"] == calibration.result["sha256"])
    assert trained.state == "succeeded"


def test_the_canary_is_measured_while_the_chip_serves(client: Client) -> None:
    def points() -> int:
        return len(client.series("chip-1", "canary"))

    before = points()

    wait_until(lambda: points() > before)

    assert client.chip()["chips"][0]["state"] == "ready"

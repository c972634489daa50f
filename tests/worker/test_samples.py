"""What a worker brings along: crops to try, and a model that knows nothing."""

import numpy as np

from services.chips.samples import SampleStore
from services.models.files import ModelStore
from services.store.connection import Connection
from worker.checkpoints import read_version
from worker.chip.mock_session import open_mock
from worker.datasets import pick_samples
from worker.learning.datasets import load_dataset
from worker.serving import LoadedVersions
from worker.untrained import UNTRAINED, publish_untrained

CROPS = load_dataset("digits").test_images


def test_the_samples_of_a_digit_are_crops_of_the_test_set_that_show_it(connection: Connection) -> None:
    dataset = load_dataset("digits")
    store = SampleStore(connection)

    store.keep(pick_samples(dataset))

    for digit in range(10):
        samples = store.of(str(digit))
        shown = {bytes(crop.numpy().data) for crop in dataset.test_images[dataset.test_labels == digit]}
        assert samples.dataset == "digits"
        assert 10 < len(samples.crops) <= 40
        assert set(samples.crops) <= shown


def test_the_untrained_model_is_published_once(models: ModelStore) -> None:
    session = open_mock("chip-1", None, canary_limit=1.3)

    publish_untrained(models, session, CROPS)
    publish_untrained(models, session, CROPS)

    assert models.versions(UNTRAINED) == ["1"]


def test_the_untrained_model_is_the_same_everywhere(models: ModelStore) -> None:
    session = open_mock("chip-1", None, canary_limit=1.3)
    publish_untrained(models, session, CROPS)
    first = read_version(models, UNTRAINED, "1").weights
    models.delete_model(UNTRAINED)

    publish_untrained(models, session, CROPS)
    again = read_version(models, UNTRAINED, "2").weights

    assert all(bool((first[name] == again[name]).all()) for name in first)


def test_the_untrained_model_is_right_one_time_in_ten_and_says_so(models: ModelStore) -> None:
    session = open_mock("chip-1", None, canary_limit=1.3)
    dataset = load_dataset("digits")
    publish_untrained(models, session, CROPS)

    reading = (
        LoadedVersions(session, models).get(UNTRAINED, "1").read(dataset.test_images.flatten(1).numpy(), 1)
    )

    assert (reading.digits == dataset.test_labels.numpy()).mean() < 0.35
    assert np.allclose(reading.confidences, 0.1)

"""Crops whose right answers are known, because nothing disturbed the chip when it read them first."""

from typing import Final

from tests.system.chaos.service import Service
from tests.system.chaos.stream import Crops
from worker.learning.datasets import load_dataset

MODEL: Final = "digits"


def prepared_crops(service: Service) -> Crops:
    """Crops that no training has seen, a model, and what it reads in them."""
    images = load_dataset("digits").test_images.numpy()
    with service.client() as client:
        version = client.train(MODEL, wait=True, recipe="strong", dataset="digits", epochs=3).version
        assert version is not None
        first, second = ([p.scores for p in client.classify(images, MODEL, version)] for _ in range(2))
    assert first == second, "the chip of the test is not without noise"
    return Crops(MODEL, version, images, first)

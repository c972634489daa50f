"""Crops to try: from the test set, and from pictures."""

import numpy as np
import pytest
from flask.testing import FlaskClient

from api.application import Application
from services.chips.samples import Samples
from tests.api.requests import bright_on_dark, png, refused


def test_a_sample_is_one_of_the_digit_asked_for(client: FlaskClient, application: Application) -> None:
    threes = [bytes([n] * 784) for n in (3, 33)]
    application.samples.keep({3: Samples("mnist", threes), 4: Samples("mnist", [bytes(784)])})

    shown = client.get("/v1/samples/3").get_json()

    assert (shown["digit"], shown["dataset"]) == (3, "mnist")
    assert bytes(shown["pixels"]) in threes


@pytest.mark.parametrize("digit", ["3", "10", "x", "-1"])
def test_without_samples_of_a_digit_it_is_not_found(client: FlaskClient, digit: str) -> None:
    assert "0 to 9" in refused(client.get(f"/v1/samples/{digit}"), 404, "not_found")


def test_a_picture_is_shown_as_the_crop_that_is_made_of_it(client: FlaskClient) -> None:
    crop = bright_on_dark()

    answer = client.post("/v1/crops", data=png(crop), content_type="image/png").get_json()

    assert (np.array(answer["crops"][0]["pixels"]).reshape(28, 28) == crop).all()


def test_what_is_no_picture_is_refused(client: FlaskClient) -> None:
    answer = client.post("/v1/crops", data=b"nothing", content_type="image/png")

    refused(answer, 422, "invalid_images")


def test_raw_crops_are_shown_centred_on_request(client: FlaskClient) -> None:
    crop = np.zeros((28, 28), np.uint8)
    crop[2:6, 3:5] = 255

    as_it_is, centred = (
        client.post(f"/v1/crops?centre={centre}", data=crop.tobytes()).get_json()["crops"][0]["pixels"]
        for centre in ("false", "true")
    )

    assert as_it_is == crop.ravel().tolist()
    assert np.ptp(np.nonzero(np.reshape(centred, (28, 28)) > 127)[0]) >= 18
    refused(client.post("/v1/crops?centre=perhaps", data=crop.tobytes()), 422, "invalid_input")

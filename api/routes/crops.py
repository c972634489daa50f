"""Crops to try: from the test set, and from a picture as the chip would see it."""

import random

from flask import Blueprint, Response, jsonify, request

from api.application import application
from api.crops.payloads import read_crops
from api.documentation import SPEC, answers
from api.schemas import CropsAnswer, CropsQuery, SampleAnswer
from services.crops.answers import CROP_BYTES

routes = Blueprint("crops", __name__, url_prefix="/v1")


@routes.get("/samples/<digit>")
@SPEC.validate(resp=answers(200, SampleAnswer, 404), tags=["classification"])
def show_sample(digit: str) -> Response:
    """Show a random picture of a digit from the test set that the chip's worker uses."""
    samples = application().samples.of(digit)
    crop = random.choice(samples.crops)
    return jsonify({"digit": int(digit), "dataset": samples.dataset, "pixels": list(crop)})


@routes.post("/crops")
@SPEC.validate(query=CropsQuery, resp=answers(200, CropsAnswer, 413, 415), tags=["classification"])
def normalise(query: CropsQuery) -> Response:
    """Show a body as the crops that a classification would make of it.

    The body has the same forms as a classification's. A pixel of 128 or more sends events to the chip, others do not.
    """
    crops = read_crops(
        request.get_data(cache=False),
        request.headers.get("Content-Type", ""),
        application().settings.max_crops_per_request,
        centre=query.centre,
    )
    return jsonify(
        {"crops": [{"pixels": list(crops[i : i + CROP_BYTES])} for i in range(0, len(crops), CROP_BYTES)]}
    )

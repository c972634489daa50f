"""Crops to try: from the test set, and from a picture as the chip would see it."""

import random
from typing import Annotated, Literal

from flask import Blueprint, Response, jsonify, request
from pydantic import Field

from api.application import application
from api.crops.payloads import pictures_in, read_crops
from api.crops.steps import crop_with_steps
from api.documentation import SPEC, answers
from api.schemas import CropsQuery, Pixels, SampleAnswer, Schema
from services.crops.answers import CROP_BYTES
from services.crops.remarks import Box
from services.images import read_tones

routes = Blueprint("crops", __name__, url_prefix="/v1")


@routes.get("/samples/<digit>")
@SPEC.validate(resp=answers(200, SampleAnswer, 404), tags=["classification"])
def show_sample(digit: str) -> Response:
    """Show a random picture of a digit from the test set that the chip's worker uses."""
    samples = application().samples.of(digit)
    crop = random.choice(samples.crops)
    return jsonify({"digit": int(digit), "dataset": samples.dataset, "pixels": list(crop)})


class ShownCropsQuery(CropsQuery):
    """How crops are made of a body, and whether the steps are shown."""

    steps: Annotated[
        bool, Field(description="Show the steps from each picture to its crop; not with `segment`.")
    ] = False


class Steps(Schema):
    """The way from a picture to its crop: boxes are left, top, right, bottom in px of the upright picture."""

    region: Annotated[Box, Field(description="The part of the picture that was looked at last.")]
    box: Annotated[Box, Field(description="The digit in it.")]
    ink: Annotated[Literal["dark", "light"], Field(description="Its tone against the ground.")]
    threshold: Annotated[int, Field(description="Ink from which on a pixel belongs to a stroke, 0..255.")]
    full: Annotated[int, Field(description="Ink of a full stroke, which becomes white, 0..255.")]
    pieces: Annotated[int, Field(description="Parts that the digit is made of.")]
    ink_png: Annotated[str, Field(description="The region's ink as a PNG in base64.")]
    mask_png: Annotated[str, Field(description="What of it is the digit, in the same form.")]


class CropAnswer(Schema):
    """One crop."""

    pixels: Pixels
    picture: Annotated[int | None, Field(description="With `segment`: number of the picture, from 0.")] = None
    box: Annotated[Box | None, Field(description="With `segment`: where the digit is.")] = None
    steps: Annotated[Steps | None, Field(description="With `steps`; null if the picture is a crop.")] = None


class CropsAnswer(Schema):
    """Crops, in the order of the pictures they were made of."""

    crops: list[CropAnswer]
    warnings: Annotated[list[str], Field(description="About crops that look wrong, such as inverted ones.")]


@routes.post("/crops")
@SPEC.validate(query=ShownCropsQuery, resp=answers(200, CropsAnswer, 413, 415), tags=["classification"])
def normalise(query: ShownCropsQuery) -> Response:
    """Show a body as the crops that a classification would make of it, and why.

    The body has the same forms as a classification's. A pixel of 128 or more sends events to the chip, others do not.
    """
    body, kind = request.get_data(cache=False), request.headers.get("Content-Type", "")
    most = application().settings.max_crops_per_request
    if query.steps and not query.segment:
        _, pictures = pictures_in(body, kind, most)
        if pictures is not None:
            return jsonify({"crops": [*map(crop_with_steps, read_tones(pictures))], "warnings": []})
    crops, remarks = read_crops(body, kind, most, centre=query.centre, segment=query.segment)
    shown = [{"pixels": list(crops[i : i + CROP_BYTES])} for i in range(0, len(crops), CROP_BYTES)]
    remarks.mark(shown)
    return jsonify({"crops": shown, "warnings": list(remarks.warnings)})

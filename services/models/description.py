"""The description in a file of weights: its network, and a check that the same arithmetic gives the same scores."""

import base64
import json
from collections.abc import Mapping
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from services.errors import InvalidInputError
from services.explanations import explain
from services.networks.network import DIGITS, Network

METADATA_KEY: Final = "hxserve"
"""The key of the description, JSON, in the metadata of a safetensors file."""
MOST_CHECK_CROPS: Final = 16
_PIXELS: Final = 784

_Score = Annotated[int, Field(ge=-128, le=127)]
_Scores = Annotated[list[_Score], Field(min_length=DIGITS, max_length=DIGITS)]


class Check(BaseModel):
    """Crops, and the scores that the mock without noise gives them."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)

    crops: Annotated[str, Field(pattern=r"^[A-Za-z0-9+/=]*$", max_length=4 * _PIXELS * MOST_CHECK_CROPS)]
    """784 grey values each, 0..255, in base64."""
    scores: Annotated[list[_Scores], Field(min_length=1, max_length=MOST_CHECK_CROPS)]
    """Ten for each crop, -128..127 LSB."""

    @classmethod
    def of(cls, crops: bytes, scores: list[list[int]]) -> Self:
        """Return a check of crops, 784 bytes each."""
        return cls(crops=base64.b64encode(crops).decode(), scores=scores)

    @property
    def crop_bytes(self) -> bytes:
        """The crops, 784 bytes each."""
        return base64.b64decode(self.crops, validate=True)

    @model_validator(mode="after")
    def _has_scores_for_each_crop(self) -> Self:
        found, expected = len(self.crop_bytes), _PIXELS * len(self.scores)
        if found != expected:
            raise ValueError(
                f"expected {expected} bytes of crops for {len(self.scores)} rows of scores, got {found}"
            )
        return self


class Description(BaseModel):
    """A trained network as data, beside its weights."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)

    format: Literal[1] = 1
    network: Network
    gain: Annotated[float, Field(gt=0, le=1)]
    """ADC LSB per weight and activation LSB, with which it learnt and the check was computed."""
    noise_std: Annotated[float, Field(ge=0, le=128)]
    """ADC LSB, with which it learnt."""
    check: Check

    @model_validator(mode="after")
    def _states_its_sends(self) -> Self:
        if self.network.num_sends is None:
            raise ValueError("expected num_sends in each layer that multiplies")
        return self

    def metadata(self) -> dict[str, str]:
        """Return the metadata of a safetensors file; one key, since safetensors keeps no order of several."""
        return {METADATA_KEY: json.dumps(self.model_dump(), sort_keys=True)}


def read_description(metadata: Mapping[str, str]) -> Description:
    """Return the description in the metadata of a safetensors file.

    Raises:
        InvalidInputError: there is none, or it is wrong.
    """
    if METADATA_KEY not in metadata:
        raise InvalidInputError(
            f"the file has no description of its network, metadata `{METADATA_KEY}`; send one that `publish`, "
            "`save_version` or `hxserve models download` wrote"
        )
    try:
        return Description.model_validate_json(metadata[METADATA_KEY])
    except ValidationError as error:
        raise InvalidInputError(explain(error, Description, under=METADATA_KEY)) from None
    except RecursionError:
        raise InvalidInputError(f"`{METADATA_KEY}` is nested too deeply") from None

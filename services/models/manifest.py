"""The manifest of a checkpoint."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from services.names import ModelName
from services.networks.network import Network


class Origin(BaseModel):
    """The origin of a checkpoint, stated by its author: the source of the weights and their quality.

    `gain` (ADC counts per weight and activation LSB) and `noise_std` (ADC LSB) are those it learnt with.
    `identifier` is the hardware's own name, `chip` its name in the service. `score_scale` multiplies the scores
    before the softmax that gives the confidence. An uploaded version has no recipe, data set and accuracy; `chip` and
    `software` are those by which it was checked. `dataset` has a name and a sha256, and for stored data sets and
    mixtures `parts`, each with name, version (not of built-in ones), sha256 and weight. `parent` is the version that
    the training began with: a number, or `model@number` if it is of another model.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: ModelName
    user: str
    job: str
    network: Network
    recipe: dict[str, Any]
    metrics: dict[str, Any]
    dataset: dict[str, Any]
    execution: str
    backend: str
    chip: str
    identifier: str
    calibration: dict[str, Any] | None
    gain: float
    noise_std: float
    score_scale: float
    seed: int
    parent: str | None = None
    partial: bool = False
    software: dict[str, str]
    source: Literal["training", "upload"] = "training"

    @property
    def home(self) -> str:
        """The hardware identifier of the chip in whose loop the model learnt; empty without one."""
        return self.identifier if "chip" in self.execution else ""

    @property
    def built_in_dataset(self) -> str:
        """The built-in data set that it learnt from, `mnist` or `digits`; `auto` where it names none."""
        named = [part["name"] for part in self.dataset.get("parts", [])] or [self.dataset.get("name")]
        return next((name for name in named if name in {"mnist", "digits"}), "auto")

    def is_transferred_to(self, identifier: str) -> bool:
        """Return whether the model learnt in the loop of another chip."""
        return self.home not in {"", identifier}


class Manifest(Origin):
    """`manifest.json` of a version: its origin, and the facts added by publishing."""

    format: Literal[1] = 1
    version: str
    created_at: float
    weights_bytes: int
    weights_sha256: str

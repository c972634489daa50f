"""The manifest of a version of a data set."""

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from services.names import ModelName

BUILT_IN: Final = frozenset({"auto", "mnist", "digits"})
"""Names of data sets that the worker brings; no stored one has such a name."""

DatasetSource = Literal["upload", "corrections", "desk", "teaching"]
Counts = Annotated[list[int], Field(min_length=10, max_length=10)]
"""Number of crops of each digit."""


class SourceFile(BaseModel):
    """A file that a data set was read from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    bytes: int
    sha256: str


class DatasetCounts(BaseModel):
    """Numbers of crops of each digit in both parts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    train: Counts
    test: Counts


class DatasetOrigin(BaseModel):
    """The origin of a version of a data set: its author, and what the crops were taken from.

    `job` is empty where no job made it. `remarks` are sentences for people, such as how many crops were left out.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: ModelName
    user: str
    job: str = ""
    source: DatasetSource
    files: list[SourceFile] = []
    remarks: list[str] = []


class DatasetManifest(DatasetOrigin):
    """`manifest.json` of a version: its origin, and the facts added by publishing.

    `sha256` is over train images, train labels, test images and test labels, labels as int64; `bytes` is the size of
    the file of crops.
    """

    format: Literal[1] = 1
    version: str
    created_at: float
    sha256: str
    counts: DatasetCounts
    bytes: int

    @property
    def reference(self) -> str:
        """The name with the version, which always means the same crops."""
        return f"{self.name}@{self.version}"

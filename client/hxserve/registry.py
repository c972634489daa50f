"""Models as objects: `client.models["digits"].latest.classify(...)`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hxserve.client import Client
    from hxserve.images import Images
    from hxserve.jobs import Job
    from hxserve.predictions import Predictions


class Models(Mapping[str, "Model"]):
    """The models that one may use, by name. Called, it returns them as a list of dictionaries."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def __call__(self) -> list[dict[str, Any]]:
        """Name, owner, version numbers and aliases of every model one may use, and whether it is shared."""
        return self._client.list_models()

    def __getitem__(self, name: str) -> Model:
        """Return a model; the service is asked for it when it is used."""
        return Model(self._client, name)

    def __iter__(self) -> Iterator[str]:
        return iter([model["name"] for model in self()])

    def __len__(self) -> int:
        return len(self())

    def __contains__(self, name: object) -> bool:
        return name in list(self)

    def __repr__(self) -> str:
        return f"Models({', '.join(self)})"

    def _ipython_key_completions_(self) -> list[str]:
        return list(self)

    def _repr_html_(self) -> str:
        return _table(
            ("model", "versions", "aliases", "owner"),
            [
                (
                    model["name"],
                    len(model["versions"]),
                    ", ".join(f"{alias} = {number}" for alias, number in sorted(model["aliases"].items())),
                    model["owner"] or "",
                )
                for model in self()
            ],
        )


@dataclass(frozen=True, slots=True, repr=False)
class Model:
    """A model: its versions by number or alias, as items (`model["production"]`) or attributes (`model.production`)."""

    client: Client
    name: str

    @property
    def aliases(self) -> dict[str, str]:
        """The numbers that aliases name."""
        aliases: dict[str, str] = self.client.model(self.name)["aliases"]
        return aliases

    @property
    def versions(self) -> list[Version]:
        """All versions, the oldest first."""
        return [
            Version(self.client, self.name, each["version"])
            for each in self.client.model(self.name)["versions"]
        ]

    @property
    def latest(self) -> Version:
        """The newest version."""
        return self["latest"]

    def __getitem__(self, version: str | int) -> Version:
        """Return a version by its number or alias; the service is asked for it when it is used."""
        return Version(self.client, self.name, str(version))

    def __getattr__(self, alias: str) -> Version:
        """Return the version that an alias names.

        Raises:
            AttributeError: there is neither an attribute nor an alias of this name.
        """
        if alias.startswith("_"):
            raise AttributeError(alias)
        aliases = self.aliases
        if alias not in aliases:
            known = ", ".join(sorted(aliases)) or "none yet"
            raise AttributeError(
                f"model {self.name!r} has no alias or attribute {alias!r}; its aliases are {known}"
            )
        return self[alias]

    def train(self, /, **params: Any) -> Job:
        """Train the next version; takes what `Client.train` does."""
        return self.client.train(self.name, **params)

    def classify(self, /, images: Images, **options: Any) -> Predictions:
        """Read the digits in images with the latest version; takes what `Client.classify` does."""
        return self.latest.classify(images, **options)

    def history(self, alias: str = "production") -> dict[str, Any]:
        """Return an alias with its `changes`, newest first."""
        return self.client.history(self.name, alias)

    def share(self) -> None:
        """Let everyone use all versions, also those to come."""
        self.client.share(self.name)

    def unshare(self) -> None:
        """Make the model private again."""
        self.client.unshare(self.name)

    def __repr__(self) -> str:
        return f"Model({self.name!r})"

    def _ipython_key_completions_(self) -> list[str]:
        found = self.client.model(self.name)
        return [*found["aliases"], *(each["version"] for each in found["versions"])]

    def _repr_html_(self) -> str:
        found = self.client.model(self.name)
        names: dict[str, list[str]] = {}
        for alias, number in sorted(found["aliases"].items()):
            names.setdefault(number, []).append(alias)
        rows = [
            (each["version"], _accuracy(each), ", ".join(names.get(each["version"], ())))
            for each in found["versions"]
        ]
        return f"<b>{escape(self.name)}</b>" + _table(("version", "accuracy", "aliases"), rows)


@dataclass(frozen=True, slots=True, repr=False)
class Version:
    """One version of a model; `number` is a number or an alias."""

    client: Client
    model: str
    number: str

    @property
    def manifest(self) -> dict[str, Any]:
        """Everything known of the version: recipe, network, data set, metrics, chip."""
        return self.client.model(self.model, self.number)

    @property
    def accuracy(self) -> float | None:
        """The accuracy on its test set, 0..1; None if it was not measured."""
        accuracy: float | None = self.manifest.get("metrics", {}).get("accuracy")
        return accuracy

    def classify(self, /, images: Images, **options: Any) -> Predictions:
        """Read the digits in images; takes what `Client.classify` does."""
        return self.client.classify(images, self.model, self.number, **options)

    def evaluate(self, /, **options: Any) -> Job:
        """Measure the version on a test set; takes what `Client.evaluate` does."""
        return self.client.evaluate(self.model, self.number, **options)

    def compare(self, /, against: str | int = "production", **options: Any) -> Job:
        """Compare the version with another one; takes what `Client.compare` does."""
        return self.client.compare(self.model, self.number, against, **options)

    def staircase(self, /, **options: Any) -> Job:
        """Measure the version from float32 to the chip; takes what `Client.staircase` does."""
        return self.client.staircase(self.model, self.number, **options)

    def promote(self, /, alias: str = "production", **options: Any) -> dict[str, Any]:
        """Let an alias name the version if a comparison allows it; takes what `Client.promote` does."""
        return self.client.promote(self.model, self.number, alias, **options)

    def download(self, path: str | os.PathLike[str] = ".") -> Path:
        """Download the weights as a safetensors file; return its path."""
        return self.client.download_weights(self.model, self.number, path)

    def export_onnx(self, path: str | os.PathLike[str] = ".") -> Path:
        """Write the float32 reference as an ONNX model; return its path."""
        return self.client.export_onnx(self.model, self.number, path)

    def delete(self) -> None:
        """Delete the version and its weights for good."""
        self.client.delete_version(self.model, self.number)

    def __repr__(self) -> str:
        return f"Version({self.model!r}, {self.number!r})"


def _accuracy(manifest: Mapping[str, Any]) -> str:
    accuracy = manifest.get("metrics", {}).get("accuracy")
    return "" if accuracy is None else f"{accuracy:.2%}"


def _table(columns: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> str:
    head = "".join(f"<th>{name}</th>" for name in columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table><tr>{head}</tr>{body}</table>"

"""Requests about models: versions, aliases, weights and sharing."""

import os
from pathlib import Path
from typing import Any

from hxserve.downloads import download_weights, fetch_version, write_whole
from hxserve.promotion import alias_path
from hxserve.transport import Transport, segment


class ModelRequests:
    """The part of the client for models."""

    _transport: Transport

    def list_models(self) -> list[dict[str, Any]]:
        """Name, owner, version numbers and aliases of every model one may use, and whether it is shared."""
        models: list[dict[str, Any]] = self._transport.call_json("GET", "/v1/models")["models"]
        return models

    def model(self, name: str, version: str | int | None = None) -> dict[str, Any]:
        """Return a model with its aliases and the manifests of its versions, or the manifest of one version."""
        path = f"/v1/models/{segment(name)}"
        if version is not None:
            path += f"/versions/{segment(str(version))}"
        return self._transport.call_json("GET", path)

    def download_weights(
        self, name: str, version: str | int = "latest", path: str | os.PathLike[str] = "."
    ) -> Path:
        """Download a version's weights as a safetensors file to `path`, or into the folder `path`; return the file."""
        return download_weights(self._transport, name, str(version), Path(path))

    def export_onnx(
        self, name: str, version: str | int = "latest", path: str | os.PathLike[str] = "."
    ) -> Path:
        """Write a version's float32 reference as an ONNX model to `path`, or into the folder `path`; return the file.

        Needs `pip install 'hxserve[onnx]'`.
        """
        from hxserve.onnx_graph import build_onnx  # noqa: PLC0415 an extra, and slow to import

        manifest, weights = fetch_version(self._transport, name, str(version))
        target = Path(path)
        if target.is_dir():
            target /= f"{name}-{manifest['version']}.onnx"
        write_whole(target, build_onnx(manifest, weights))
        return target

    def set_alias(self, name: str, alias: str, version: str | int) -> None:
        """Set an alias to this version: a number, or the version that another alias names now."""
        number = str(version)
        if not number.isdecimal():
            number = str(self.model(name, number)["version"])
        self._transport.call("PUT", alias_path(name, alias), json={"version": number})

    def delete_alias(self, name: str, alias: str) -> None:
        """Remove an alias; the version stays."""
        self._transport.delete(alias_path(name, alias))

    def delete_version(self, name: str, version: str | int) -> None:
        """Remove a version and its weights for good."""
        self._transport.delete(f"/v1/models/{segment(name)}/versions/{segment(str(version))}")

    def share(self, name: str, version: str | int | None = None) -> dict[str, Any]:
        """Share a model with everyone: all its versions, also those to come, or one; return the model."""
        return self._transport.call_json("PUT", _share_path(name, version))

    def unshare(self, name: str, version: str | int | None = None) -> dict[str, Any]:
        """Make a model, or one version of it, private again; earlier downloads remain with their users."""
        return self._transport.call_json("DELETE", _share_path(name, version))


def _share_path(name: str, version: str | int | None) -> str:
    of_version = "" if version is None else f"/versions/{segment(str(version))}"
    return f"/v1/models/{segment(name)}{of_version}/share"

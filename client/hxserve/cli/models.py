"""The command `models`: the registry."""

import hashlib
import sys
from datetime import UTC, datetime
from typing import Any, Final

import click

from hxserve.cli.choices import MODELS, VERSIONS
from hxserve.cli.console import show_facts, show_json, show_line, show_table
from hxserve.cli.options import Options, OptionsGroup
from hxserve.cli.outcome import require_libraries
from hxserve.cli.submission import DATASET, follow_job
from hxserve.phrases import age, flat, layers, local_time, percent

_ONNX_LIBRARIES: Final = ("onnx", "safetensors")


@click.group(cls=OptionsGroup, invoke_without_command=True)
@click.pass_context
def models(context: click.Context) -> None:
    """Show and manage models; alone, list them."""
    if context.invoked_subcommand is None:
        context.invoke(list_models)


@models.command("list")
def list_models(options: Options) -> None:
    """List models."""
    found = options.client().models()
    if options.as_json:
        show_json({"models": found})
    elif not found:
        show_line("There are no models yet; `hxserve train` makes one.")
    else:
        show_table(
            ["model", "versions", "aliases", "for"],
            [[m["name"], _count(m), _aliases(m["aliases"]), _audience(m)] for m in found],
            right=["versions"],
        )


@models.command("show")
@click.argument("name", shell_complete=MODELS)
@click.argument("version", required=False, shell_complete=VERSIONS)
def show_model(options: Options, name: str, version: str | None) -> None:
    """Show a model's versions, or one VERSION (a number or an alias)."""
    found = options.client().model(name, version)
    if options.as_json:
        show_json(found)
    elif version is None:
        _show_versions(found)
    else:
        _show_manifest(found)


@models.command("download")
@click.argument("name", shell_complete=MODELS)
@click.argument("version", default="latest", shell_complete=VERSIONS)
@click.option("-o", "--output", default=".", metavar="PATH", help="File or folder to write.  [default: .]")
def download(options: Options, name: str, version: str, output: str) -> None:
    """Fetch a version's weights as a safetensors file; VERSION is `latest` unless given."""
    path = options.client().download_weights(name, version, output)
    if options.as_json:
        content = path.read_bytes()
        show_json({"path": str(path), "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()})
    else:
        show_line(f"{path}: {path.stat().st_size:,} bytes, checked.")


@models.command("upload")
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@click.option("--name", required=True, help="Model whose next version it becomes; made if it is new.")
@click.option("--no-wait", is_flag=True, help="Submit only; do not wait for the end.")
def upload(options: Options, file: str, name: str, no_wait: bool) -> None:
    """Publish FILE, the safetensors of a version, as the next version of a model of yours.

    FILE is one that `hxserve models download` or a program's `save_version` wrote. The service computes the check crops
    in it, and publishes the version if it finds the same scores.
    """
    client = options.client()
    follow_job(options, client, client.upload(file, name), no_wait)


@models.command("calibrate")
@click.argument("name", shell_complete=MODELS)
@DATASET
@click.option("--version", default="latest", show_default=True, help="A number or an alias.")
@click.option(
    "--into", metavar="MODEL", help="Model of yours that gets the version; default: that of the same name."
)
@click.option(
    "--execution",
    type=click.Choice(["mock", "chip"]),
    help="Where to measure; default: on the chip, if there is one.",
)
@click.option("--no-wait", is_flag=True, help="Submit only; do not wait for the end.")
def calibrate_model(
    options: Options,
    name: str,
    dataset: str | dict[str, float] | None,
    version: str,
    no_wait: bool,
    **given: Any,
) -> None:
    """Fit the confidence of a version of NAME to a data set, and publish it with the same weights."""
    if dataset is None:
        raise click.UsageError("name the data set that the confidence is fitted to: --dataset NAME")
    client = options.client()
    follow_job(options, client, client.calibrate_model(name, dataset, version, **given), no_wait)


@models.command("export")
@click.option("--onnx", "target", required=True, metavar="FILE", help="File or folder to write.")
@click.argument("model", metavar="NAME[@VERSION]", shell_complete=MODELS)
def export(options: Options, target: str, model: str) -> None:
    """Write a version's float32 reference network as ONNX, with its quantisation in the metadata."""
    require_libraries(_ONNX_LIBRARIES, "onnx_not_installed", "exports to ONNX", "hxserve[onnx]")
    name, version = parse_model(model)
    path = options.client().export_onnx(name, version or "latest", target)
    if options.as_json:
        show_json({"path": str(path), "bytes": path.stat().st_size})
    else:
        show_line(f"{path}: {path.stat().st_size:,} bytes.")


@models.command("alias")
@click.argument("name", shell_complete=MODELS)
@click.argument("alias")
@click.argument("version", required=False, shell_complete=VERSIONS)
@click.option("--delete", is_flag=True, help="Remove the alias; the version stays.")
def set_alias(options: Options, name: str, alias: str, version: str | None, delete: bool) -> None:
    """Let ALIAS name VERSION (a number or another alias), or remove it."""
    if delete == (version is not None):
        raise click.UsageError("give either VERSION or --delete")
    client = options.client()
    if version is None:
        client.delete_alias(name, alias)
    else:
        client.set_alias(name, alias, version)
    aliases = client.model(name)["aliases"]
    if options.as_json:
        show_json({"name": name, "aliases": aliases})
    else:
        show_line(f"{name}: {_aliases(aliases) or 'no aliases'}")


@models.command("share")
@click.argument("model", metavar="NAME[@VERSION]", shell_complete=MODELS)
def share(options: Options, model: str) -> None:
    """Let everyone use a model of yours: all its versions, also those to come, or one."""
    _show_audience(options, options.client().share(*parse_model(model)))


@models.command("unshare")
@click.argument("model", metavar="NAME[@VERSION]", shell_complete=MODELS)
def unshare(options: Options, model: str) -> None:
    """Keep a model of yours, or one version, to yourself again."""
    _show_audience(options, options.client().unshare(*parse_model(model)))


@models.command("delete")
@click.argument("name", shell_complete=MODELS)
@click.argument("version", shell_complete=VERSIONS)
@click.option("--yes", is_flag=True, help="Do not ask.")
def delete_version(options: Options, name: str, version: str, yes: bool) -> None:
    """Delete a version and its weights for good."""
    if not yes:
        if not sys.stdin.isatty():
            raise click.UsageError("deleting cannot be undone; confirm with --yes")
        click.confirm(f"Delete version {version} of {name} for good?", abort=True, err=True)
    options.client().delete_version(name, version)
    if options.as_json:
        show_json({"name": name, "deleted": version})
    else:
        show_line(f"Version {version} of {name} is deleted.")


def parse_model(text: str) -> tuple[str, str | None]:
    """Return the name, and the version if one is given, of NAME[@VERSION]."""
    name, at, version = text.partition("@")
    if at and not version:
        raise click.UsageError(f"{text!r} names no version; give NAME or NAME@VERSION")
    return name, version or None


def _show_audience(options: Options, model: dict[str, Any]) -> None:
    if options.as_json:
        show_json(model)
    else:
        show_line(f"{model['name']} is for {_audience(model)}.")


def _count(model: dict[str, Any]) -> str:
    """Return the number of versions of a model, and of the partial ones among them."""
    partial = len(model.get("partial_versions", ()))
    return f"{len(model['versions'])}" + (f" ({partial} partial)" if partial else "")


def _audience(model: dict[str, Any]) -> str:
    """Return the audience of a model."""
    if model["shared"]:
        return "everyone"
    if model["shared_versions"]:
        return f"everyone in version {', '.join(model['shared_versions'])}"
    return f"{model['owner']} alone"


def _show_versions(model: dict[str, Any]) -> None:
    names: dict[str, list[str]] = {}
    for alias, version in sorted(model["aliases"].items()):
        names.setdefault(str(version), []).append(alias)
    show_table(
        ["version", "made", "accuracy", "data set", "recipe", "execution", "chip", "aliases"],
        [[*_version_cells(m), ", ".join(names.get(m["version"], []))] for m in model["versions"]],
        right=["made", "accuracy"],
        title=model["name"],
    )
    for m in model["versions"]:
        if "problem" in m:
            show_line(f"Version {m['version']}: {m['problem']['message']}.")


def _version_cells(manifest: dict[str, Any]) -> list[object]:
    if "problem" in manifest:
        return [manifest["version"] + " (damaged)", *[None] * 6]
    return [
        manifest["version"] + (" (partial)" if manifest.get("partial") else ""),
        age(_moment(manifest)),
        percent(manifest["metrics"].get("accuracy")),
        manifest["dataset"].get("name"),
        *_origin_cells(manifest),
    ]


def _origin_cells(manifest: dict[str, Any]) -> list[str | None]:
    """Return recipe, execution and chip; of an uploaded version the user who brought it."""
    if manifest.get("source") == "upload":
        return [f"uploaded by {manifest['user']}", None, None]
    return [
        manifest["recipe"].get("name"),
        manifest["execution"],
        f"{manifest['chip']} ({manifest['backend']})",
    ]


def _show_manifest(manifest: dict[str, Any]) -> None:
    facts: dict[str, object] = {"model": manifest["name"], "version": manifest["version"]}
    facts["made"] = local_time(_moment(manifest))
    facts["accuracy"] = percent(manifest["metrics"].get("accuracy"))
    if "layers" in manifest["network"]:
        manifest = {**manifest, "network": layers(manifest["network"]["layers"])}
    shown = {"name", "version", "created_at", "metrics", "format"}
    if manifest.get("source") == "upload":
        facts["origin"] = f"uploaded by {manifest['user']}, checked by {manifest['chip']}"
        facts["accuracy"] = "unknown; measure it with `hxserve evaluate`"
        shown |= {"source", "user", "chip", "execution", "backend", "identifier", "recipe", "dataset", "seed"}
    for name, value in manifest.items():
        if name not in shown and value is not False:
            facts[name.replace("_", " ")] = flat(value) if isinstance(value, dict) else value
    show_facts(facts)


def _moment(manifest: dict[str, Any]) -> datetime:
    return datetime.fromtimestamp(manifest["created_at"], UTC)


def _aliases(aliases: dict[str, str]) -> str:
    return ", ".join(f"{alias} = {version}" for alias, version in sorted(aliases.items()))

"""The command `datasets`: data sets of one's own digits."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from hxserve.cli.choices import DATASETS
from hxserve.cli.console import show_facts, show_json, show_line, show_table
from hxserve.cli.models import parse_model
from hxserve.cli.options import Options, OptionsGroup
from hxserve.cli.submission import follow_job
from hxserve.phrases import age, local_time, one_line
from hxserve.progress import bytes_progress


@click.group(cls=OptionsGroup, invoke_without_command=True)
@click.pass_context
def datasets(context: click.Context) -> None:
    """Show and manage data sets of your own digits; alone, list them."""
    if context.invoked_subcommand is None:
        context.invoke(list_datasets)


@datasets.command("list")
def list_datasets(options: Options) -> None:
    """List data sets: yours, those shared, the service's."""
    found = options.client().datasets.list()
    if options.as_json:
        show_json({"datasets": found})
    elif not found:
        show_line("There are no data sets yet; `hxserve datasets add NAME PATH...` makes one.")
    else:
        show_table(
            ["data set", "versions", "training", "test", "made", "for"],
            [
                [of["name"], len(of["versions"]), *_version_cells(of["newest"] or {}), _audience(of)]
                for of in found
            ],
            right=["versions", "training", "test", "made"],
        )


@datasets.command("add")
@click.argument("name", shell_complete=DATASETS)
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(exists=True))
@click.option(
    "--test-fraction",
    type=click.FloatRange(0, 1),
    default=0.2,
    show_default=True,
    help="Share of each digit for the test part, where the files name none.",
)
@click.option(
    "--centre", is_flag=True, help="Scale and centre crops of 28 x 28, too; larger pictures always are."
)
@click.option("--no-wait", is_flag=True, help="Upload only; do not wait for the import.")
def add(
    options: Options, name: str, paths: tuple[str, ...], test_fraction: float, centre: bool, no_wait: bool
) -> None:
    """Upload files or folders as the next version of the data set NAME, which is made if it is new.

    PATH is IDX as of MNIST (all four files), CSV as of Kaggle, .npz or .npy, Parquet, a zip of these, or a folder with
    pictures in folders 0 to 9 or with a labels.csv. Interrupted, the same command goes on where it stopped.
    """
    client = options.client()
    with bytes_progress("sending") as update:
        job = client.datasets.add(name, paths, test_fraction=test_fraction, centre=centre, on_progress=update)
    follow_job(options, client, job, no_wait)


@datasets.command("show")
@click.argument("dataset", metavar="NAME[@VERSION]", shell_complete=DATASETS)
@click.option("--sheet", metavar="FILE", help="Write a picture of some crops of each digit, as PNG.")
@click.option("--part", type=click.Choice(["train", "test"]), default="train", help="Of the picture.")
def show_dataset(options: Options, dataset: str, sheet: str | None, part: str) -> None:
    """Show the versions of a data set and the newest one, or one VERSION: counts, remarks, files."""
    client = options.client()
    name, version = parse_model(dataset)
    found = client.datasets.show(name, version)
    newest = found if version else found["versions"][-1]
    if options.as_json:
        show_json(found)
    else:
        if version is None:
            _show_versions(found)
        if "problem" not in newest:
            _show_manifest(newest)
    if sheet is not None:
        Path(sheet).write_bytes(client.datasets.sheet(name, newest["version"], part))


@datasets.command("share")
@click.argument("name", shell_complete=DATASETS)
def share(options: Options, name: str) -> None:
    """Let everyone use a data set of yours: all its versions, also those to come."""
    _show_audience(options, options.client().datasets.share(name))


@datasets.command("unshare")
@click.argument("name", shell_complete=DATASETS)
def unshare(options: Options, name: str) -> None:
    """Keep a data set of yours to yourself again."""
    _show_audience(options, options.client().datasets.unshare(name))


@datasets.command("delete")
@click.argument("dataset", metavar="NAME[@VERSION]", shell_complete=DATASETS)
@click.option("--yes", is_flag=True, help="Do not ask.")
def delete(options: Options, dataset: str, yes: bool) -> None:
    """Delete a data set, or one version, for good; models trained on it stay."""
    name, version = parse_model(dataset)
    what = f"data set {name} with all its versions" if version is None else f"version {version} of {name}"
    if not yes:
        if not sys.stdin.isatty():
            raise click.UsageError("deleting cannot be undone; confirm with --yes")
        click.confirm(f"Delete {what} for good?", abort=True, err=True)
    options.client().datasets.delete(name, version)
    if options.as_json:
        show_json({"name": name, "deleted": version or "all"})
    else:
        show_line(f"{what[0].upper()}{what[1:]} is deleted.")


@datasets.command("download")
@click.argument("dataset", metavar="NAME[@VERSION]", shell_complete=DATASETS)
@click.argument("file", default=".")
def download(options: Options, dataset: str, file: str) -> None:
    """Fetch the crops of a data set as FILE, a .npz as Keras ships MNIST; FILE may be a folder."""
    path = options.client().datasets.download(*parse_model(dataset), file)
    if options.as_json:
        show_json({"path": str(path), "bytes": path.stat().st_size})
    else:
        show_line(f"{path}: {path.stat().st_size:,} bytes, checked.")


def _show_audience(options: Options, dataset: dict[str, Any]) -> None:
    if options.as_json:
        show_json(dataset)
    else:
        show_line(f"{dataset['name']} is for {_audience(dataset)}.")


def _audience(dataset: dict[str, Any]) -> str:
    return "everyone" if dataset["shared"] else f"{dataset['owner']} alone"


def _version_cells(manifest: dict[str, Any]) -> list[object]:
    """Return the sizes of both parts, and the age; of a damaged version nothing."""
    if "counts" not in manifest:
        return [None] * 3
    sizes = [sum(manifest["counts"][part]) for part in ("train", "test")]
    return [*sizes, age(_moment(manifest))]


def _show_versions(dataset: dict[str, Any]) -> None:
    show_table(
        ["version", "training", "test", "made", "by", "from"],
        [
            [
                m["version"] + (" (damaged)" if "problem" in m else ""),
                *_version_cells(m),
                m.get("user"),
                m.get("source"),
            ]
            for m in dataset["versions"]
        ],
        right=["training", "test", "made"],
        title=f"{dataset['name']}, for {_audience(dataset)}",
    )
    for m in dataset["versions"]:
        if "problem" in m:
            show_line(f"Version {m['version']}: {m['problem']['message']}.")
    show_line()


def _show_manifest(manifest: dict[str, Any]) -> None:
    counts = manifest["counts"]
    show_table(
        ["digit", *map(str, range(10)), "all"],
        [[part, *counts[part], sum(counts[part])] for part in ("train", "test")],
        right=[*map(str, range(10)), "all"],
    )
    show_line()
    facts: dict[str, object] = {"data set": f"{manifest['name']}@{manifest['version']}"}
    facts |= {"made": f"{local_time(_moment(manifest))} by {manifest['user']}, from {manifest['source']}"}
    facts |= {"sha256": manifest["sha256"], "job": manifest["job"]}
    show_facts(facts | {"size": f"{manifest['bytes']:,} bytes"})
    for file in manifest["files"]:
        show_line(f"from {one_line(file['name'])}: {file['bytes']:,} bytes, sha256 {file['sha256'][:16]}")
    for remark in manifest["remarks"]:
        show_line(f"remark: {one_line(remark)}")


def _moment(manifest: dict[str, Any]) -> datetime:
    return datetime.fromtimestamp(manifest["created_at"], UTC)

"""Names of the service that the Tab key completes: jobs, models, versions, data sets, users, classes, webhooks."""

from collections.abc import Callable, Iterable
from typing import Any, Final

import click
from click.shell_completion import CompletionItem

from hxserve.cli.options import Options
from hxserve.client import Client
from hxserve.errors import ClientError

_PATIENCE_S: Final = 2.0
"""A shell waits for the service no longer."""
_JOBS: Final = 50
"""Newest jobs that are offered."""

Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def _completing(find: Callable[[Client, click.Context], Iterable[tuple[str, str]]]) -> Complete:
    """Return a completion by what the service has, names with an explanation; without a service there is nothing."""

    def complete(context: click.Context, _: click.Parameter, beginning: str) -> list[CompletionItem]:
        options = context.ensure_object(Options)
        try:
            with options.client(retries=0, timeout_s=_PATIENCE_S) as client:
                found = list(find(client, context))
        except ClientError:
            return []
        return [CompletionItem(name, help=words) for name, words in found if name.startswith(beginning)]

    return complete


def _versions(client: Client, context: click.Context) -> Iterable[tuple[str, str]]:
    found: dict[str, Any] = client.model(context.params["name"])
    yield from ((alias, f"version {version}") for alias, version in found["aliases"].items())
    yield from ((str(version["version"]), "") for version in found["versions"])


JOBS: Final = _completing(
    lambda client, _: (
        (job.id, f"{job.kind} {job.model or ''} {job.state}") for job in client.jobs(limit=_JOBS)
    )
)
MODELS: Final = _completing(lambda client, _: ((model["name"], "") for model in client.models()))
VERSIONS: Final = _completing(_versions)
DATASETS: Final = _completing(lambda client, _: ((found["name"], "") for found in client.datasets.list()))
HOOKS: Final = _completing(
    lambda client, _: ((hook["id"], hook["url"] or "") for hook in client.webhooks.list())
)
USERS: Final = _completing(lambda client, _: ((user["name"], "") for user in client.users.list()))
CLASSES: Final = _completing(
    lambda client, _: ((found["code"], found["title"]) for found in client.classes.list())
)

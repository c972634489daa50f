"""The command `jobs`: submitted jobs and their states."""

from typing import Any, Final, get_args

import click

from hxserve.batches import AnswerFormat
from hxserve.cli.choices import JOBS, USERS
from hxserve.cli.console import show_json, show_line, show_table
from hxserve.cli.options import Command, Options, OptionsGroup
from hxserve.cli.outcome import INTERRUPTED
from hxserve.cli.results import show_job_facts, show_outcome
from hxserve.client import Client
from hxserve.jobs import Job
from hxserve.phrases import age, standing
from hxserve.progress import job_progress

_STATES: Final = ["queued", "running", "succeeded", "failed", "cancelled", "expired"]
_LISTED: Final = 20
_SEARCHED: Final = 1000
"""Newest jobs among which the beginning of an ID is looked up."""
_SURELY_WHOLE: Final = 20
"""Characters; a shorter text may be the beginning of an ID."""
_KINDS: Final = [
    *("training", "evaluation", "comparison", "staircase", "batch", "classification", "calibration"),
    *("upload", "import", "program"),
]


def _filters(command: Command) -> Command:
    """Add the options that choose which jobs to list."""
    for option in (
        click.option("--limit", type=click.IntRange(min=1), help="The newest only.  [default: 20]"),
        click.option("--user", shell_complete=USERS, help="Only those of this user."),
        click.option("--kind", type=click.Choice(_KINDS), help="Only those of this kind."),
        click.option("--state", type=click.Choice(_STATES), help="Only those in this state."),
    ):
        command = option(command)
    return command


@click.group(cls=OptionsGroup, invoke_without_command=True)
@_filters
@click.pass_context
def jobs(context: click.Context, /, **filters: Any) -> None:
    """Show and steer jobs; alone, list them."""
    if context.invoked_subcommand is None:
        context.invoke(list_jobs, **filters)
    elif any(value is not None for value in filters.values()):
        raise click.UsageError("what to list is said after `list`: hxserve jobs list --state ...")


@jobs.command("list")
@_filters
def list_jobs(
    options: Options, /, state: str | None, kind: str | None, user: str | None, limit: int | None
) -> None:
    """List jobs, newest first."""
    found = list(options.client().jobs(state=state, kind=kind, user=user, limit=limit or _LISTED))
    if options.as_json:
        show_json({"jobs": [job.record for job in found]})
        return
    if not found:
        show_line("There are no such jobs." if state or kind or user else "There are no jobs.")
        return
    show_table(
        ["id", "kind", "model", "user", "state", "done", "submitted", "remarks"],
        [
            [
                job.id,
                job.kind,
                job.model or job.params.get("program", ""),
                job.user,
                job.state,
                f"{job.progress:.0%}",
                age(job.created_at),
                standing(job),
            ]
            for job in found
        ],
        right=["done", "submitted"],
        whole=["id"],
    )


@jobs.command("show")
@click.argument("job_id", metavar="ID", shell_complete=JOBS)
def show_job(options: Options, job_id: str) -> None:
    """Show a job as it is now; the beginning of its ID is enough."""
    client = options.client()
    job = client.job(whole_id(client, job_id))
    if options.as_json:
        show_json(job.record)
    else:
        show_job_facts(job)


@jobs.command("watch")
@click.argument("job_id", metavar="ID", shell_complete=JOBS)
def watch(options: Options, job_id: str) -> None:
    """Watch a job until it ends; Ctrl-C stops the watching, not the job. The beginning of its ID is enough."""
    client = options.client()
    show_outcome(watch_job(client, whole_id(client, job_id)), as_json=options.as_json)


@jobs.command("cancel")
@click.argument("job_ids", metavar="ID...", nargs=-1, required=True, shell_complete=JOBS)
def cancel(options: Options, job_ids: tuple[str, ...]) -> None:
    """Cancel jobs; of a training, what it learnt so far is kept as a partial version."""
    client = options.client()
    found = [client.cancel(whole) for whole in [whole_id(client, job_id) for job_id in job_ids]]
    if options.as_json:
        show_json({"jobs": [job.record for job in found]})
        return
    for job in found:
        pending = " (cancellation asked for)" if job.cancel_requested and not job.is_final else ""
        show_line(f"{job.id}: {job.state}{pending}")


@jobs.command("answers")
@click.argument("job_id", metavar="ID", shell_complete=JOBS)
@click.option("-o", "--output", default=".", metavar="PATH", help="File, or folder for ID.npz.  [default: .]")
@click.option(
    "--format",
    "form",
    type=click.Choice(get_args(AnswerFormat)),
    help="Default: by the file's ending, else npz.",
)
def download_answers(options: Options, job_id: str, output: str, form: AnswerFormat | None) -> None:
    """Download the answers of a batch job, all that there are by now."""
    client = options.client()
    written = client.batches.download(whole_id(client, job_id), output, form)
    if options.as_json:
        show_json({"path": str(written)})
    else:
        show_line(f"Answers written to {written}.")


def whole_id(client: Client, beginning: str) -> str:
    """Return the ID that begins so among the newest jobs, or the text itself if there is none.

    Raises:
        UsageError: several begin so.
    """
    if len(beginning) >= _SURELY_WHOLE:
        return beginning
    found = [job.id for job in client.jobs(limit=_SEARCHED) if job.id.startswith(beginning)]
    if len(found) > 1 and beginning not in found:
        raise click.UsageError(f"{len(found)} jobs begin with {beginning!r}: {', '.join(found[:5])}")
    return found[0] if len(found) == 1 else beginning


def watch_job(client: Client, job_id: str) -> Job:
    """Show the progress of a job until it ends; return it in its final state."""
    try:
        with job_progress() as update:
            return client.wait(job_id, on_change=update)
    except KeyboardInterrupt:
        click.echo(
            f"job {job_id} goes on; watch it with `hxserve jobs watch {job_id}`, "
            f"stop it with `hxserve jobs cancel {job_id}`",
            err=True,
        )
        raise click.exceptions.Exit(INTERRUPTED) from None

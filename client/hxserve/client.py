"""The client: a service's operations as methods."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Self

from hxserve.addresses import find_address
from hxserve.batches import Batches
from hxserve.classes import Classes
from hxserve.classification import Manner, classify_parcels, fresh_key
from hxserve.corrections import CorrectionRequests
from hxserve.datasets import Datasets
from hxserve.desk import Desk
from hxserve.display import shown
from hxserve.events import Event, follow_events
from hxserve.images import pack_images
from hxserve.job_states import JobState
from hxserve.jobs import Job
from hxserve.letter_orders import LetterOrders
from hxserve.measurements import MeasurementRequests
from hxserve.models import ModelRequests
from hxserve.polling import fetch_job, wait_for_job
from hxserve.predictions import Predictions
from hxserve.promotion import PromotionRequests
from hxserve.registry import Models
from hxserve.service import ServiceRequests
from hxserve.teaching import Lesson, teach
from hxserve.transport import Transport, json_object, segment
from hxserve.users import Users
from hxserve.webhooks import Webhooks

if TYPE_CHECKING:
    from hxserve.images import Images

Recipe = Literal["notebook", "strong", "conv", "adapt"]
"""Names of the hyperparameters that the service brings; `adapt` continues a version."""
Execution = Literal["mock", "chip", "mock-then-chip", "float32"]
"""Where a network learns."""

_PAGE_JOBS: Final = 100


class Client(MeasurementRequests, ModelRequests, PromotionRequests, ServiceRequests, CorrectionRequests):
    """A connection to an hxserve, safe to share between threads.

    The service is the one at `url`, else that of the data folder `data_dir`, else the one that HXSERVE_URL
    names, else that of the data folder HXSERVE_DATA_DIR or `data` here. `url` may be the line
    `http://host:port/?token=...` that `hxserve up` prints.

    Args:
        url: the service's address.
        token: the bearer token; else the address's own, else HXSERVE_TOKEN, else the data folder's.
        data_dir: data folder of a service on this machine.
        timeout_s: longest time for an answer, beyond the time that the service is asked to wait.
        retries: repetitions of a request that failed on the way, or was refused for now.
        backoff_s: pause before the second repetition; it doubles with each further one.
        patience_s: longest absence of the service while a job is waited for.
        maxsize: most connections kept open; one per thread is enough.
        progress: show the progress of jobs that are waited for; None: at terminals and in notebooks.
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        data_dir: str | os.PathLike[str] | None = None,
        timeout_s: float = 30.0,
        retries: int = 4,
        backoff_s: float = 0.2,
        patience_s: float = 60.0,
        maxsize: int = 16,
        progress: bool | None = None,
    ) -> None:
        self._transport = Transport(
            find_address(url, token, data_dir),
            timeout_s=timeout_s,
            retries=retries,
            backoff_s=backoff_s,
            maxsize=maxsize,
        )
        self._patience_s = patience_s
        self._progress = progress
        self.models = Models(self)
        """Models by name, as in `client.models["digits"].latest.classify(...)`; called, a list of dictionaries."""
        self.users = Users(self._transport)
        """Managing users, for admins; adding, disabling them, giving them tokens and quotas."""
        self.datasets = Datasets(self._transport, self._own, patience_s)
        """Data sets of one's own digits; sending, showing, sharing them."""
        self.batches = Batches(self._transport, self.submit, patience_s)
        """Batch jobs: files of up to ten million crops, and their answers as files."""
        self.classes = Classes(self._transport)
        """Classes of pupils who join by a link."""
        self.desk = Desk(self._transport)
        """The coding desk, for letters that could not be read."""
        self.letter_orders = LetterOrders(self._transport)
        """The letter centre that admins start from the page."""
        self.webhooks = Webhooks(self._transport)
        """Addresses of yours that hear of the ends of your jobs."""

    @property
    def url(self) -> str:
        """The service's address, without the token."""
        return self._transport.address.url

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close idle connections; the client can still be used."""
        self._transport.close()

    def __repr__(self) -> str:
        return f"Client({self.url!r})"

    def submit(
        self,
        kind: str,
        model: str | None = None,
        params: Mapping[str, Any] | None = None,
        wait: bool = False,
        *,
        webhook: str | None = None,
    ) -> Job:
        """Submit a job of any kind that the service knows; `train`, `evaluate` and others serve the usual kinds.

        Args:
            kind: training, evaluation, calibration, or another kind of the service.
            model: its name, for all but a calibration.
            params: of the kind; None stands for the service's choice.
            wait: return only when it has succeeded.
            webhook: an address, or the id of a webhook, that hears of its end; also among the params, so that
                `train(..., webhook=...)` and the others take it, too.

        Raises:
            JobFailedError: waited for, it ended without a result.
        """
        given = {name: value for name, value in (params or {}).items() if value is not None}
        named = {"model": model, "webhook": given.pop("webhook", webhook)}
        request = {"kind": kind, "params": given} | {name: value for name, value in named.items() if value}
        job = self._job_of(self._transport.call("POST", "/v1/jobs", json=request, headers=fresh_key()))
        return self.wait(job).expect_success() if wait else job

    def train(
        self,
        /,
        model: str = "digits",
        recipe: Recipe | None = None,
        epochs: int | None = None,
        *,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        dataset: str | Mapping[str, float] | None = None,
        start_from: str | int | None = None,
        execution: Execution | None = None,
        chip_epochs: int | None = None,
        chip_learning_rate: float | None = None,
        network: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
        seed: int | None = None,
        wait: bool = False,
        **params: Any,
    ) -> Job:
        """Train a model; the training makes the model's next version.

        What is left out or None is the service's choice.

        Args:
            model: its name; a new one is made.
            recipe: `strong` (best accuracy), `notebook` (that of the tutorial), `conv` (convolutions: slower, fewer
                errors) or `adapt` (continue a version with a few digits of one hand).
            epochs: passes over the training set.
            batch_size: crops per step.
            learning_rate: of the optimiser.
            dataset: a name, `name@version`, or a mapping of several to their weights.
            start_from: a version of the same model to learn on from, or `model@version` of any.
            execution: where to learn.
            chip_epochs: epochs of the part in the chip's loop.
            chip_learning_rate: of that part.
            network: a list of layers such as `{"type": "linear", "out_features": 10}`, or a mapping of `hidden`,
                `shift` and `num_sends`.
            seed: of the random numbers.
            wait: return only when it has succeeded.
            **params: others that the service knows, and `webhook`, which hears of the job's end.

        Raises:
            JobFailedError: waited for, it ended without a version.
        """
        given = {
            "recipe": recipe,
            "epochs": epochs,
            "batch_size": batch_size,
            "learning_rate": learning_rate,
            "dataset": dataset,
            "start_from": None if start_from is None else str(start_from),
            "execution": execution,
            "chip_epochs": chip_epochs,
            "chip_learning_rate": chip_learning_rate,
            "network": network,
            "seed": seed,
        }
        return self.submit("training", model, given | params, wait)

    def calibrate_model(
        self,
        /,
        model: str,
        dataset: str | Mapping[str, float],
        version: str | int = "latest",
        *,
        into: str | None = None,
        wait: bool = False,
        **params: Any,
    ) -> Job:
        """Fit a version's confidence to a data set; a new version with the same weights is published.

        Args:
            model: its name.
            dataset: a name, `name@version`, or a mapping of several to their weights.
            version: a number or an alias.
            into: the model that gets the new version, one of yours; None: the one of the same name.
            wait: return only when it has succeeded.
            **params: `execution`, `seed`.

        Raises:
            JobFailedError: waited for, it ended without a version.
        """
        start_from = f"{model}@{version}"
        return self.train(
            into or model.rpartition("~")[2],
            wait=wait,
            start_from=start_from,
            epochs=0,
            dataset=dataset,
            **params,
        )

    def promote(
        self,
        /,
        model: str,
        version: str | int,
        alias: str = "production",
        *,
        comparison: JobState | str | None = None,
        margin: float | None = None,
        why: str = "",
        **params: Any,
    ) -> dict[str, Any]:
        """Let an alias name a version if a comparison shows that it is better, or not worse by a margin.

        Args:
            model: its name.
            version: a number or an alias.
            alias: the alias to move.
            comparison: of this version with what the alias names; None makes one first.
            margin: the loss of accuracy that does not matter; None is 0.005.
            why: for the history.
            **params: of the comparison that is made, such as `dataset`.

        Returns:
            The alias with its history; the first of its `changes` has the figures.

        Raises:
            ServiceError: the comparison shows neither (`promotion_refused`); the alias stays.
            JobFailedError: the comparison ended without a result.
        """
        if comparison is None:
            comparison = self.compare(model, version, alias, wait=True, margin=margin, **params)
        job_id = _id_of(comparison)
        return self._promote(model, str(version), alias, job_id, margin, why)

    def teach(
        self,
        paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
        model: str = "digits",
        version: str | int = "latest",
        *,
        name: str = "my-handwriting",
        follow: Callable[[Job], Job] | None = None,
    ) -> Lesson:
        """Teach a copy of a version somebody's digits, and measure what that brought.

        Of each digit every second picture is learnt with the recipe `adapt`, the others are held back and read before
        and after.

        Args:
            paths: pictures, each in a folder `0` to `9`, or folders that have such folders.
            model: the name of the model that is continued.
            version: a number or an alias.
            name: of the model and the data set that are made of it, both yours.
            follow: waits for a job and returns it in its final state; None is `wait`.

        Raises:
            InvalidDatasetError: the pictures cannot be divided.
            JobFailedError: a job ended without a result.
        """
        given = [paths] if isinstance(paths, str | os.PathLike) else paths
        return teach(self, given, model, version, name, follow or self.wait)

    def upload(self, file: str | os.PathLike[str] | bytes, model: str, *, wait: bool = False) -> Job:
        """Publish a file of weights as the next version of a model of yours, after the service has checked it.

        Args:
            file: path or content of a safetensors file that a download or `hxserve.programs.publication` wrote.
            model: its name.
            wait: return only when it is published.

        Raises:
            JobFailedError: waited for, it was not published.
            OSError: the file cannot be read.
        """
        content = file if isinstance(file, bytes) else Path(file).read_bytes()
        headers = {"Content-Type": "application/x-safetensors", **fresh_key()}
        path = f"/v1/models/{segment(model)}/versions"
        job = self._job_of(self._transport.call("POST", path, body=content, headers=headers))
        return self.wait(job).expect_success() if wait else job

    def calibrate(self, chip: str | None = None, *, wait: bool = False) -> Job:
        """Calibrate a chip, or any that is free.

        With `wait`, return only when it has succeeded.

        Raises:
            JobFailedError: waited for, it ended without a calibration.
        """
        return self.submit("calibration", None, {"chip": chip}, wait)

    def classify(
        self,
        images: Images,
        model: str = "digits",
        version: str | int = "latest",
        *,
        repeats: int = 1,
        allow_transfer: bool = False,
        centre: bool = False,
        segment: bool = False,
        keep: bool | None = None,
        sender: str | None = None,
        wait_s: float = 10.0,
        deadline_s: float | None = None,
        timeout_s: float | None = None,
        idempotent: bool = False,
        activations: bool = False,
        mock: bool = False,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> Predictions:
        """Read the digits in images.

        Args:
            images: paths or contents of pictures or .npy files, or an array of crops; see `pack_images`.
            model: its name.
            version: a number or an alias; a call that takes several requests stays with one version.
            repeats: how often each crop is read; the mean of its scores counts. More readings, fewer errors
                by the chip's noise, and as much more chip time.
            allow_transfer: let any chip read them, also when the model learnt in the loop of another one;
                the predictions are then marked `transferred`.
            centre: scale and centre raw crops and arrays as MNIST's digits are; pictures always are.
            segment: read several digits of each picture, from left to right; each has its `box`.
            keep: keep crops and answers, so that `correct` can correct them; None as `keep_answers` says.
            sender: for whom the images are read, where a rollout of the alias answers some senders with its candidate.
            wait_s: how long a request stays open for its answer; then its job is polled. 0 makes a durable
                job at once.
            deadline_s: crops that the chip has not begun by then are dropped.
            timeout_s: how long to wait for the job in all; None for as long as it takes.
            idempotent: make each request durable under a key, so that a repeated one runs once; slower.
            activations: give each prediction the hidden activations that led to it, too; for up to 64 crops, read once.
            mock: give each prediction what mock arithmetic reads in the same crop, too.
            on_progress: called with how many crops are read, and of how many, before the first request and after each.

        Raises:
            InvalidImagesError: an image cannot be sent.
            JobFailedError: the job ended without predictions.
            StillRunningError: `timeout_s` is over.
        """
        return classify_parcels(
            self._transport,
            pack_images(images),
            model,
            str(version),
            Manner(
                wait_s,
                deadline_s,
                idempotent,
                repeats,
                allow_transfer,
                centre,
                segment,
                keep,
                sender,
                activations,
                mock,
            ),
            lambda job: self.wait(job, timeout_s=timeout_s),
            on_progress,
        )

    def job(self, job_id: str) -> Job:
        """Return a job as it is now."""
        job = fetch_job(self._transport, job_id)
        assert job is not None, "asked without an ETag, a service does not answer 304"
        return self._own(job)

    def jobs(
        self,
        *,
        state: str | None = None,
        kind: str | None = None,
        user: str | None = None,
        limit: int | None = None,
    ) -> Iterator[Job]:
        """Yield the jobs, newest first, at most `limit`; they are fetched page by page as they are needed."""
        cursor: str | None = None
        while limit is None or limit > 0:
            page_jobs = _PAGE_JOBS if limit is None else min(limit, _PAGE_JOBS)
            query = {"state": state, "kind": kind, "user": user, "limit": page_jobs, "cursor": cursor}
            page = self._transport.call_json("GET", "/v1/jobs", query=query)
            yield from (self._own(Job.from_record(record)) for record in page["jobs"][:page_jobs])
            limit = None if limit is None else limit - len(page["jobs"])
            cursor = page.get("next_cursor")
            if not cursor:
                return

    def wait(
        self,
        job: JobState | str,
        *,
        timeout_s: float | None = None,
        on_change: Callable[[Job], None] | None = None,
    ) -> Job:
        """Wait for a job; return it in its final state, whichever that is: `expect_success` refuses the others.

        Args:
            job: the job or its id.
            timeout_s: how long to wait; None for as long as it takes.
            on_change: called with the job now and whenever it has changed; without, progress is shown at terminals and
                in notebooks, unless the client has `progress=False`.

        Raises:
            StillRunningError: the time is over; the job goes on.
        """
        with shown(on_change, self._progress) as update:
            return self._own(
                wait_for_job(
                    self._transport,
                    _id_of(job),
                    timeout_s=timeout_s,
                    patience_s=self._patience_s,
                    on_change=lambda each: update(self._own(each)),
                )
            )

    def events(self, job: JobState | str) -> Iterator[Event]:
        """Yield events of a job as they happen, until it is finished."""
        return follow_events(self._transport, _id_of(job), patience_s=self._patience_s)

    def cancel(self, job: JobState | str) -> Job:
        """Cancel a job; return it, cancelled or about to be."""
        path = f"/v1/jobs/{segment(_id_of(job))}/cancel"
        return self._job_of(self._transport.call("POST", path, headers=fresh_key()))

    def _job_of(self, response: Any) -> Job:
        return self._own(Job.from_record(json_object(response), response.headers.get("ETag")))

    def _own(self, job: Job) -> Job:
        """Let a job wait and be cancelled through this client."""
        job.client = self
        return job


def _id_of(job: JobState | str) -> str:
    return job if isinstance(job, str) else job.id

"""The services that the routes use, made once per process."""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPMethod
from typing import Final, cast

from flask import current_app

from api.background import in_thread, name_look_up
from services.batch_jobs.answers import BatchStore
from services.challenges.challenges import Challenges
from services.challenges.store import ChallengeStore
from services.chips.affinity import Affinity
from services.chips.drain import Draining
from services.chips.samples import SampleStore
from services.chips.series import SeriesStore
from services.chips.store import ChipStore
from services.chips.wakeups import WakeUp
from services.classes.classes import Classes
from services.classes.deletion import Deletion
from services.classes.export import Export
from services.classes.store import ClassStore
from services.corrections.corrections import Corrections
from services.corrections.publication import Publication
from services.corrections.store import CorrectionStore
from services.crops.batcher import Batcher
from services.crops.classification import Classifications
from services.crops.listener import Listener
from services.crops.queue_metrics import QueueMetricsStore
from services.crops.statistics import Distribution, Statistics
from services.crops.store import CropStore
from services.datasets.files import DatasetStore
from services.datasets.imports import Imports
from services.datasets.registry import DatasetRegistry
from services.datasets.uploads import DatasetUploads
from services.disk import Disk
from services.housekeeping import Housekeeping
from services.jobs.inspection import Inspections
from services.jobs.mixtures import DatasetReferences, StoredCrops
from services.jobs.store import JobStore
from services.jobs.submission import Submissions
from services.jobs.subscriptions import Subscriptions
from services.jobs.usage import UsageStore
from services.letters.coding import Coding
from services.letters.desk import DeskStore
from services.letters.orders import OrderStore
from services.letters.statuses import LettersStore
from services.models.files import ModelStore
from services.models.past import PastTrainings
from services.models.promotion import Promotions
from services.models.registry import Registry
from services.models.uploads import Uploads
from services.programs.sessions import Programs
from services.programs.store import ProgramStore
from services.scheduling.costs import CostStore
from services.scheduling.policy import Policy
from services.scheduling.waiting import Waiting
from services.settings import Settings
from services.store.connection import Connection, ExclusiveConnection
from services.users.sessions import SessionStore
from services.users.store import UserStore
from services.webhooks.deliverer import Deliverer
from services.webhooks.sending import Sender
from services.webhooks.store import WebhookStore
from services.webhooks.targets import Targets, networks_of
from services.webhooks.webhooks import Webhooks

METHODS: Final = frozenset(HTTPMethod)
"""Methods that are shown by their names; clients may send any word."""


class RequestTimes:
    """Durations of requests by method, route and status, labels with a bounded number of values."""

    def __init__(self) -> None:
        self.distributions: dict[tuple[str, str, int], Distribution] = {}

    def note(self, method: str, route: str | None, status: int, seconds: float) -> None:
        """Record a request; `route` is the rule that its address matched, None without one."""
        key = (method if method in METHODS else "other", route or "unmatched", status)
        self.distributions.setdefault(key, Distribution()).note(seconds)


class Application:
    """The services behind the routes."""

    def __init__(self, settings: Settings, wake_up: WakeUp) -> None:
        self.settings = settings
        self.connection = connection = Connection(settings.redis_url)
        self.jobs = JobStore(connection, keep_jobs_s=settings.keep_jobs_s)
        self.usage = UsageStore(connection)
        self.chips = ChipStore(connection, lease_s=settings.lease_s)
        self.models = ModelStore(settings.models_dir)
        self.registry = Registry(self.models)
        self.uploads = Uploads(settings.saves_dir)
        self.datasets = DatasetStore(settings.datasets_dir)
        self.dataset_registry = DatasetRegistry(self.datasets)
        self.dataset_uploads = DatasetUploads(settings.datasets_dir)
        self.batches = BatchStore(settings.batches_dir)
        self.series = SeriesStore(connection)
        self.queue_metrics = QueueMetricsStore(connection)
        self.users = UserStore(connection)
        self.sessions = SessionStore(connection)
        self.class_store = ClassStore(connection)
        self.classes = Classes(self.class_store, self.users, settings.user_quotas)
        self.samples = SampleStore(connection)
        self.letters = LettersStore(connection)
        self.letter_orders = OrderStore(connection)
        self.desk = DeskStore(connection)
        self.disk = Disk(settings.data_dir, settings.min_free_disk_bytes)
        self.statistics = Statistics()
        self.request_times = RequestTimes()
        self.listener = Listener(connection)
        crops, sent_crops = (
            CropStore(
                link,
                max_waiting=settings.max_waiting_crops,
                keep_results_s=settings.keep_results_s,
                keep_answers_s=settings.keep_answers_s,
            )
            for link in (connection, ExclusiveConnection(connection))
        )
        self.batcher = Batcher(sent_crops, self.listener, wake_up, self.statistics)
        self.references = DatasetReferences(self.dataset_registry)
        self.webhooks, self.deliverer = _webhooks_of(settings, connection)
        affinity = Affinity(self.models, self.chips)
        self.classifications = Classifications(
            crops,
            self.jobs,
            self.registry,
            self.listener,
            self.batcher,
            affinity,
            self.statistics,
            max_crops=settings.max_crops_per_request,
        )
        self.submissions = Submissions(
            self.jobs,
            self.registry,
            self.chips,
            affinity,
            wake_up,
            uploads=self.uploads,
            dataset_uploads=self.dataset_uploads,
            references=self.references,
            max_queued_jobs=settings.max_queued_jobs,
            disk=self.disk,
            webhooks=self.webhooks,
        )
        self.past = PastTrainings(self.models, self.registry)
        self.promotions = Promotions(self.models, self.registry, self.jobs, affinity)
        self.imports = Imports(
            self.datasets, self.dataset_registry, self.dataset_uploads, self.submissions, self.disk
        )
        policy = Policy(quantum_s=settings.quantum_s, long_work_share=settings.long_work_share)
        self.waiting = Waiting(
            self.jobs, self.chips, CostStore(connection), policy, StoredCrops(self.datasets)
        )
        self.subscriptions = Subscriptions(self.jobs, self.listener)
        programs = ProgramStore(connection, keep_jobs_s=settings.keep_jobs_s)
        self.programs = Programs(programs, self.jobs, self.chips, self.listener, wake_up)
        self.inspections = Inspections(
            self.jobs, self.classifications, self.listener, self.waiting, programs, self.subscriptions
        )
        self.draining = Draining(self.chips, wake_up)
        self.correction_store = CorrectionStore(connection, keep_corrections_s=settings.keep_corrections_s)
        self.corrections = Corrections(
            self.correction_store,
            self.jobs,
            self.classifications,
            self.registry,
            Publication(self.datasets, self.dataset_registry, self.imports, self.disk, in_thread),
        )
        self.coding = Coding(self.desk, self.corrections)
        self.boards = ChallengeStore(connection)
        self.challenges = Challenges(self.boards, self.classifications, self.submissions, self.registry)
        self.class_export = Export(self.class_store, self.boards, self.jobs, self.models)
        self.class_deletion = Deletion(
            self.class_store,
            self.boards,
            self.jobs,
            self.submissions,
            (self.models, self.datasets),
            self.dataset_uploads,
            self.batches,
            settings.saves_dir,
            keep_s=settings.keep_classes_s,
        )


def _webhooks_of(settings: Settings, connection: Connection) -> tuple[Webhooks, Deliverer]:
    targets = Targets(networks_of(settings.webhook_networks or ""), name_look_up())
    store = WebhookStore(connection)
    return Webhooks(store, targets, most=settings.user_webhooks), Deliverer(store, Sender(targets))


@contextmanager
def open_application(settings: Settings, wake_up: WakeUp) -> Iterator[Application]:
    """Open the services of one API process; they listen to Redis until the context ends."""
    app = Application(settings, wake_up)
    housekeeping = Housekeeping(
        app.queue_metrics.note,
        app.programs.end_silent,
        lambda: app.uploads.discard_ended(app.jobs.unfinished_ids),
        lambda: app.dataset_uploads.discard_ended(app.jobs.unfinished_ids),
        lambda: app.batches.discard_forgotten(
            lambda ids: [job.id for job in app.jobs.get_many(ids)], app.settings.keep_jobs_s
        ),
        app.class_deletion.tend,
    )
    app.listener.start()
    app.subscriptions.start()
    app.batcher.start()
    housekeeping.start()
    app.deliverer.start()
    try:
        yield app
    finally:
        app.deliverer.stop()
        housekeeping.stop()
        app.batcher.stop()
        app.listener.close()
        app.subscriptions.stop()
        app.connection.close()


def application() -> Application:
    """Return the services of the process that answers this request."""
    return cast("Application", current_app.extensions["hxserve"])

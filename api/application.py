"""What the routes work with, made once per process."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

from flask import current_app

from api.request_times import RequestTimes
from services.chips.affinity import Affinity
from services.chips.drain import Draining
from services.chips.samples import SampleStore
from services.chips.series import SeriesStore
from services.chips.store import ChipStore
from services.chips.wakeups import WakeUp
from services.crops.batcher import Batcher
from services.crops.classification import Classifications
from services.crops.listener import Listener
from services.crops.queue_metrics import QueueMetricsRecorder, QueueMetricsStore
from services.crops.statistics import Statistics
from services.crops.store import CropStore
from services.disk import Disk
from services.jobs.inspection import Inspections
from services.jobs.store import JobStore
from services.jobs.submission import Submissions
from services.jobs.subscriptions import Subscriptions
from services.letters import LettersStore
from services.models.files import ModelStore
from services.models.registry import Registry
from services.scheduling.costs import CostStore
from services.scheduling.policy import Policy
from services.scheduling.waiting import Waiting
from services.settings import Settings
from services.store.connection import Connection, ExclusiveConnection
from services.users.sessions import SessionStore
from services.users.store import UserStore


@dataclass(frozen=True, slots=True)
class Application:
    """The services behind the routes."""

    settings: Settings
    connection: Connection
    jobs: JobStore
    chips: ChipStore
    models: ModelStore
    registry: Registry
    series: SeriesStore
    queue_metrics: QueueMetricsStore
    users: UserStore
    sessions: SessionStore
    samples: SampleStore
    letters: LettersStore
    listener: Listener
    submissions: Submissions
    disk: Disk
    classifications: Classifications
    statistics: Statistics
    request_times: RequestTimes
    inspections: Inspections
    draining: Draining
    waiting: Waiting
    subscriptions: Subscriptions


@contextmanager
def open_application(settings: Settings, wake_up: WakeUp) -> Iterator[Application]:
    """The services of one API process; it listens to Redis until the context ends."""
    connection = Connection(settings.redis_url)
    listener = Listener(connection)
    jobs = JobStore(connection, keep_jobs_s=settings.keep_jobs_s)
    models = ModelStore(settings.models_dir)
    registry = Registry(models)
    chips = ChipStore(connection, lease_s=settings.lease_s)
    affinity = Affinity(models, chips)
    crops, sent_crops = (
        CropStore(link, max_waiting=settings.max_waiting_crops, keep_results_s=settings.keep_results_s)
        for link in (connection, ExclusiveConnection(connection))
    )
    statistics = Statistics()
    batcher = Batcher(sent_crops, listener, wake_up, statistics)
    classifications = Classifications(
        crops,
        jobs,
        registry,
        listener,
        batcher,
        affinity,
        statistics,
        max_crops=settings.max_crops_per_request,
    )
    policy = Policy(quantum_s=settings.quantum_s, long_work_share=settings.long_work_share)
    waiting = Waiting(jobs, chips, CostStore(connection), policy)
    disk = Disk(settings.data_dir, settings.min_free_disk_bytes)
    subscriptions = Subscriptions(jobs, listener)
    queue_metrics = QueueMetricsStore(connection)
    recorder = QueueMetricsRecorder(queue_metrics)
    listener.start()
    subscriptions.start()
    batcher.start()
    recorder.start()
    try:
        yield Application(
            settings=settings,
            connection=connection,
            jobs=jobs,
            chips=chips,
            models=models,
            registry=registry,
            series=SeriesStore(connection),
            queue_metrics=queue_metrics,
            users=UserStore(connection),
            sessions=SessionStore(connection),
            samples=SampleStore(connection),
            letters=LettersStore(connection),
            listener=listener,
            submissions=Submissions(
                jobs, registry, chips, affinity, wake_up, max_queued_jobs=settings.max_queued_jobs, disk=disk
            ),
            disk=disk,
            classifications=classifications,
            statistics=statistics,
            request_times=RequestTimes(),
            draining=Draining(chips, wake_up),
            inspections=Inspections(jobs, classifications, listener, waiting, subscriptions),
            waiting=waiting,
            subscriptions=subscriptions,
        )
    finally:
        recorder.stop()
        batcher.stop()
        listener.close()
        subscriptions.stop()
        connection.close()


def application() -> Application:
    """The services of the process that answers this request."""
    return cast("Application", current_app.extensions["hxserve"])

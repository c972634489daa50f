"""What the routes work with, made once per process."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

from flask import current_app

from api.request_times import RequestTimes
from services.chips.homes import Homes
from services.chips.maintenance import Maintenance
from services.chips.samples import SampleStore
from services.chips.series import SeriesStore
from services.chips.store import ChipStore
from services.chips.wakeups import WakeUp
from services.crops.batcher import Batcher
from services.crops.classification import Classifications
from services.crops.depths import DepthKeeper, DepthStore
from services.crops.listener import Listener
from services.crops.statistics import Statistics
from services.crops.store import CropStore
from services.disk import Disk
from services.jobs.inspection import Inspections
from services.jobs.store import JobStore
from services.jobs.submission import Submissions
from services.jobs.watching import Watches
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
    depths: DepthStore
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
    maintenance: Maintenance
    waiting: Waiting
    watches: Watches


@contextmanager
def open_application(settings: Settings, wake_up: WakeUp) -> Iterator[Application]:
    """The services of one API process; it listens to Redis until the context ends."""
    connection = Connection(settings.redis_url)
    listener = Listener(connection)
    jobs = JobStore(connection, keep_jobs_s=settings.keep_jobs_s)
    models = ModelStore(settings.models_dir)
    registry = Registry(models)
    chips = ChipStore(connection, lease_s=settings.lease_s)
    homes = Homes(models, chips)
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
        homes,
        statistics,
        max_crops=settings.max_crops_per_request,
    )
    policy = Policy(quantum_s=settings.quantum_s, long_work_share=settings.long_work_share)
    waiting = Waiting(jobs, chips, CostStore(connection), policy)
    disk = Disk(settings.data_dir, settings.min_free_disk_bytes)
    watches = Watches(jobs, listener)
    depths = DepthStore(connection)
    keeper = DepthKeeper(depths)
    listener.start()
    watches.start()
    batcher.start()
    keeper.start()
    try:
        yield Application(
            settings=settings,
            connection=connection,
            jobs=jobs,
            chips=chips,
            models=models,
            registry=registry,
            series=SeriesStore(connection),
            depths=depths,
            users=UserStore(connection),
            sessions=SessionStore(connection),
            samples=SampleStore(connection),
            letters=LettersStore(connection),
            listener=listener,
            submissions=Submissions(
                jobs, registry, chips, homes, wake_up, max_queued_jobs=settings.max_queued_jobs, disk=disk
            ),
            disk=disk,
            classifications=classifications,
            statistics=statistics,
            request_times=RequestTimes(),
            maintenance=Maintenance(chips, wake_up),
            inspections=Inspections(jobs, classifications, listener, waiting, watches),
            waiting=waiting,
            watches=watches,
        )
    finally:
        keeper.stop()
        batcher.stop()
        listener.close()
        watches.stop()
        connection.close()


def application() -> Application:
    """The services of the process that answers this request."""
    return cast("Application", current_app.extensions["hxserve"])

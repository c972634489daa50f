"""`python -m worker`: the process that owns one chip. Everything it needs is chosen and closed here."""

import argparse
import logging
import os
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Final

import torch

from services.batch_jobs.answers import BatchStore
from services.chips.samples import SampleStore
from services.chips.series import SeriesStore
from services.chips.store import ChipStore, Lease
from services.crops.store import CropStore
from services.datasets.files import DatasetStore
from services.datasets.uploads import DatasetUploads
from services.errors import HxserveError, LeaseLostError, RedisUnavailableError
from services.jobs.store import JobStore
from services.logs import configure_logging
from services.models.files import ModelStore
from services.models.uploads import Uploads
from services.programs.store import ProgramStore
from services.scheduling.costs import CostStore
from services.scheduling.policy import Policy
from services.settings import Settings, load_settings
from services.store.connection import Connection, ExclusiveConnection
from services.store.schema import ensure_schema
from services.tracing.traces import exported
from worker.activities.factory import ActivityFactory
from worker.background_saves import BackgroundSaves
from worker.batches import Batches
from worker.celery_app import create_app, send_wake_up
from worker.checkpoints import Saves
from worker.chip import ChipSession, VirtualChoice, open_chip
from worker.chip_maintenance import ChipMaintenance, MaintenanceSchedule
from worker.cost_measurement import CostMeter
from worker.datasets import Datasets, pick_samples
from worker.heartbeat import Heartbeat
from worker.leasing import stand_by, take_lease
from worker.long_work import LongWork
from worker.operations import Operations
from worker.recovery import marker_of, recover_jobs, take_over_jobs
from worker.scheduler_loop import SchedulerLoop
from worker.serving import LoadedVersions
from worker.shadow import Shadow
from worker.systemd import READY, STOPPING, notify
from worker.time_accounting import TimeAccount
from worker.trials import Trials
from worker.untrained import publish_untrained

REFUSED_EXIT: Final = 1
_log = logging.getLogger("worker")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the worker until it is stopped; return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        settings = load_settings()
        configure_logging(settings.log_level, settings.log_format, process="worker", chip=settings.chip_id)
        logging.getLogger("celery").setLevel(logging.WARNING)
        return _run(settings, standby=options.standby)
    except LeaseLostError as error:
        _log.error("%s", error.message)
        return REFUSED_EXIT
    except HxserveError as error:
        print(f"worker: {error.code}: {error.message}", file=sys.stderr)  # noqa: T201 the reason for not starting
        return REFUSED_EXIT


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m worker", description="Own one chip and do its work; settings are HXSERVE_* variables."
    )
    parser.add_argument(
        "--standby",
        action="store_true",
        help="wait, ready but without touching the chip, until the chip has no worker",
    )
    return parser


def _run(settings: Settings, *, standby: bool) -> int:
    # One core is left to Redis and the API: a thread waiting for a core would delay all the others.
    torch.set_num_threads(settings.threads or max(1, (os.cpu_count() or 2) - 1))
    with ExitStack() as stack:
        stack.enter_context(exported("worker", chip=settings.chip_id))
        # A lost answer must not claim twice: the worker never repeats a command by itself.
        connection = Connection(settings.redis_url, retries=0)
        stack.callback(connection.close)
        connection.check()
        ensure_schema(connection)
        datasets = Datasets(settings.mnist, settings.datasets_dir)
        datasets.prepare()
        chips = ChipStore(connection, lease_s=settings.lease_s)
        lease = (
            stand_by(chips, settings.chip_id)
            if standby
            else take_lease(chips, settings.chip_id, lease_s=settings.lease_s)
        )
        stack.callback(_release, chips, lease)
        ensure_schema(connection)  # while this worker stood by, a newer one may have migrated the records
        opening = _keep_while_opening(settings, chips, lease)
        stack.callback(opening.stop)
        session = _open_chip(settings, stack)
        return _serve(settings, connection, chips, lease, opening, session, datasets, stack)


def _keep_while_opening(settings: Settings, chips: ChipStore, lease: Lease) -> Heartbeat:
    """Renew the lease from now on, until the chip is open and turns begin."""
    heartbeat = Heartbeat(
        lease,
        chips,
        lambda: {"ready": False},
        wake=lambda: None,
        last_turn=time.monotonic,
        maintenance_is_due=lambda: False,
        lease_s=settings.lease_s,
    )
    heartbeat.start()
    return heartbeat


def _open_chip(settings: Settings, stack: ExitStack) -> ChipSession:
    """Return the chip, which only the holder of its lease touches."""
    return stack.enter_context(
        open_chip(
            settings.chip,
            settings.chip_id,
            settings.calibration,
            calibrations=settings.calibrations_dir,
            virtual=VirtualChoice(
                settings.virtual_chip,
                settings.emulator_realtime,
                settings.virtual_chip_parameters,
                settings.virtual_chip_temperature_c,
            ),
            canary_limit=settings.canary_limit,
        )
    )


def _serve(
    settings: Settings,
    connection: Connection,
    chips: ChipStore,
    lease: Lease,
    opening: Heartbeat,
    session: ChipSession,
    datasets: Datasets,
    stack: ExitStack,
) -> int:
    jobs = JobStore(connection, keep_jobs_s=settings.keep_jobs_s)
    of_turns = ExclusiveConnection(connection)
    stack.callback(of_turns.close)
    crops = CropStore(
        of_turns, max_waiting=settings.max_waiting_crops, keep_results_s=settings.keep_results_s
    )
    models = ModelStore(settings.models_dir)
    saves = BackgroundSaves(Saves(settings.saves_dir))
    uploads = Uploads(settings.saves_dir)
    stored, imported = DatasetStore(settings.datasets_dir), DatasetUploads(settings.datasets_dir)
    marker = marker_of(saves, settings.chip_id)
    recover_jobs(lease, jobs, saves, marker)
    SampleStore(connection).keep(pick_samples(datasets.get("auto")))
    publish_untrained(models, session, datasets.get("auto").test_images)
    series = SeriesStore(connection)
    maintenance = ChipMaintenance(
        lease,
        session,
        series,
        jobs,
        MaintenanceSchedule(settings.canary_every_s, settings.calibrate_at, settings.recalibrate_on_drift),
    )
    maintenance.show_pattern()
    shadow = Shadow(lease, series, share=settings.shadow_share)

    versions = LoadedVersions(session, models)
    activities = ActivityFactory(
        session,
        datasets,
        models,
        saves,
        uploads,
        stored,
        imported,
        versions,
        BatchStore(settings.batches_dir),
        settings.batch_crops,
        maintenance.after_calibration,
    )
    account = TimeAccount()
    meter = CostMeter(
        CostStore(connection), session.backend, lambda: datasets.get("auto").name, datasets.crops_of
    )
    long_work = LongWork(
        lease,
        session,
        jobs,
        saves,
        activities.take_up,
        marker,
        save_every_s=settings.save_every_s,
        meter=meter,
        account=account,
    )
    stack.callback(long_work.save_all)
    trials = Trials(lease, session, models, versions, series, account)
    batches = Batches(
        lease,
        session,
        crops,
        versions,
        shadow,
        batch_crops=settings.batch_crops,
        account=account,
        trials=trials,
    )
    loop = SchedulerLoop(
        lease,
        ChipStore(of_turns, lease_s=settings.lease_s),
        jobs,
        batches,
        Operations(lease, session, ProgramStore(of_turns, keep_jobs_s=settings.keep_jobs_s), account),
        long_work,
        maintenance,
        Policy(
            batch_crops=settings.batch_crops,
            quantum_s=settings.quantum_s,
            long_work_share=settings.long_work_share,
        ),
        turn_s=settings.turn_s,
        account=account,
        take_over=lambda chip: take_over_jobs(lease, jobs, saves, chip),
        trials=trials,
    )

    def take_turn() -> bool:
        if not loop.have_begun:
            loop.have_begun = True
            heartbeat.report()
            notify(READY, f"STATUS=chip {lease.chip} ({session.backend}) takes turns")
            _log.info("chip %s (%s) takes turns: %s", lease.chip, session.backend, dict(session.self_test))
        return loop.run()

    app = create_app(settings.redis_url, settings.chip_id, take_turn)
    wake_up = send_wake_up(app)
    heartbeat = Heartbeat(
        lease,
        chips,
        lambda: {
            "ready": loop.have_begun,
            "crop_s": batches.crop_s,
            "busy_share": loop.busy_share,
            "programs_share": loop.programs_share,
            "dataset": datasets.get("auto").name,
            "time_s": account.spent_s(),
            "tally": batches.tally.describe(),
            "trials": trials.describe(),
            **session.describe(),
            **maintenance.describe(),
        },
        wake=lambda: wake_up(lease.chip),
        last_turn=loop.last_active,
        maintenance_is_due=lambda: maintenance.is_due or trials.is_due,
        lease_s=settings.lease_s,
    )
    opening.stop()
    heartbeat.start()
    stack.callback(heartbeat.stop)
    wake_up(lease.chip)
    worker = app.Worker(
        hostname=f"{lease.chip}@{socket.gethostname()}",
        loglevel="WARNING",
        without_gossip=True,
        without_mingle=True,  # asking other workers for their clocks takes a second, and there are none
        without_heartbeat=True,
        quiet=True,
    )
    worker.start()
    notify(STOPPING)
    return int(worker.exitcode or 0)


def _release(chips: ChipStore, lease: Lease) -> None:
    try:
        chips.release(lease)
    except (LeaseLostError, RedisUnavailableError) as error:
        _log.warning("the lease is not given back: %s", error.message)


if __name__ == "__main__":
    sys.exit(main())

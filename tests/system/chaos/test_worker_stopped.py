"""A worker is stopped past its lease, replaced, and continued: it changes nothing any more."""

import signal
from random import Random

import pytest

from hxserve.jobs import Job
from services.chips.store import ChipStore
from services.settings import load_settings
from tests.system.chaos.conftest import Extent, Summary, training_of, wait_until_ready
from tests.system.chaos.crops import prepared_crops
from tests.system.chaos.service import Service, disturbable
from tests.system.chaos.stream import streaming
from tests.system.chaos.verification import assert_nothing_lost, weights_of
from worker.heartbeat import LEASE_LOST_EXIT

pytestmark = pytest.mark.long


def test_a_worker_stopped_past_its_lease_is_replaced_by_the_one_standing_by_and_writes_nothing_more(
    tmp_path_factory: pytest.TempPathFactory,
    undisturbed: Job,
    extent: Extent,
    randomly: Random,
    summary: Summary,
) -> None:
    settings = load_settings(
        data_dir=tmp_path_factory.mktemp("stopped"), chip="mock", port=0, save_every_s=0.3
    )
    with disturbable(settings, standby=True) as service, service.client() as client:
        crops = prepared_crops(service)
        with streaming(service, crops, randomly.randrange(1000)) as tally:
            job = client.train("stopped", **training_of(extent))
            for _ in range(max(1, extent.kills // 4)):
                service.let_pass(randomly.uniform(0.5, 2.0))
                summary.recoveries_s.append(_stop_replace_and_continue(service))
            training = service.ended(job)

        versions = [version["version"] for version in client.model("stopped")["versions"]]
        summary.note(max(1, extent.kills // 4), tally, jobs=assert_nothing_lost(service, tally))
    assert training.state == "succeeded"
    assert weights_of(training) == weights_of(undisturbed)
    assert versions == ["1"]


def test_the_worker_standing_by_takes_over_when_the_first_is_killed(
    tmp_path_factory: pytest.TempPathFactory, randomly: Random, summary: Summary
) -> None:
    settings = load_settings(data_dir=tmp_path_factory.mktemp("standby"), chip="mock", port=0)
    with disturbable(settings, standby=True) as service:
        crops = prepared_crops(service)
        with streaming(service, crops, randomly.randrange(1000)) as tally:
            first = _holder(service)
            second = next(name for name in ("worker", "standby") if name != first)
            service.until(lambda: _stands_by(service, second), "the second worker's standing by")
            pid = service.pid(second)
            service.kill_and_leave(first)
            summary.recoveries_s.append(service.until_answered(crops))

        assert (_holder(service), service.pid(second)) == (second, pid)
        summary.note(1, tally, jobs=assert_nothing_lost(service, tally))


def _stop_replace_and_continue(service: Service) -> float:
    """Stops the worker, waits for another to serve, continues it, and sees it end; says how long the chip was away."""
    name = _holder(service)
    stopped = service.local.processes[name]
    pid, fence = stopped.pid, _fence(service)
    other = next(other for other in ("worker", "standby") if other != name)
    service.until(lambda: _stands_by(service, other), "the second worker's standing by")
    service.held.add(name)
    service.send(name, signal.SIGSTOP)
    away_s = service.until(lambda: _fence(service) != fence and _holder(service) == other, "the takeover")
    wait_until_ready(service)
    service.send(name, signal.SIGCONT)
    service.until(lambda: stopped.exit_status() is not None, "the end of the replaced worker")
    assert (stopped.pid, stopped.exit_status()) == (pid, LEASE_LOST_EXIT)
    service.held.discard(name)
    service.revive()
    return away_s


def _stands_by(service: Service, name: str) -> bool:
    """Whether a worker said, since its last start, that it stands by."""
    log = service.local.processes[name].log.read_text("utf-8", "replace")
    return log.rfind("standing by for chip") > log.rfind("takes turns")


def _fence(service: Service) -> str:
    with service.connection() as connection:
        return str(connection.client.get("hx:chip:chip-1:fence"))


def _holder(service: Service) -> str:
    """The name of the process that holds the chip."""
    with service.connection() as connection:
        holder = ChipStore(connection, lease_s=4.0).record("chip-1").holder or {}
    return next(
        (name for name in ("worker", "standby") if service.pid(name) == holder.get("pid")), "nobody of them"
    )

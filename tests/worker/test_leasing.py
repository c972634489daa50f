"""Who holds a lease: the living, the dead, and those of whom nothing is certain."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from deploy.redis_server import redis_server, wait_until_it_answers
from services.chips.store import ChipStore, Lease
from services.errors import LeaseHeldError
from services.store.connection import Connection
from tests.services.samples import CHIP, a_holder
from worker.leasing import is_dead, stand_by, take_lease, this_process


def _ended_process() -> dict[str, object]:
    """A holder that ran on this machine and has ended."""
    code = "import json; from worker.leasing import this_process; print(json.dumps(this_process()))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    holder: dict[str, object] = json.loads(said.stdout)
    return holder


def test_this_process_is_alive() -> None:
    assert not is_dead(this_process())


def test_a_process_that_has_ended_is_dead() -> None:
    assert is_dead(_ended_process())


def test_another_process_with_the_number_of_a_dead_one_is_not_taken_for_it() -> None:
    assert is_dead(this_process() | {"started": "another boot:1"})


def test_a_process_that_ended_and_was_not_waited_for_is_dead() -> None:
    code = (
        "import json, sys; from worker.leasing import this_process; "
        "print(json.dumps(this_process()), flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdin is not None
        holder = json.loads(child.stdout.readline())
        was_dead_before = is_dead(holder)

        child.stdin.close()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)

        assert (was_dead_before, is_dead(holder)) == (False, True)


@pytest.mark.parametrize("other", [{"host": "elsewhere"}, {"pid_namespace": "pid:[1]"}])
def test_of_a_process_elsewhere_nothing_is_certain(other: dict[str, str]) -> None:
    assert not is_dead(this_process() | {"pid": 2**30} | other)


def test_a_free_chip_is_taken_for_this_process(chips: ChipStore) -> None:
    lease = take_lease(chips, CHIP, lease_s=60)

    assert chips.record(CHIP).holder == lease.holder == this_process()


@pytest.mark.timeout(30)
def test_a_chip_is_taken_from_a_dead_holder_at_once(chips: ChipStore) -> None:
    former = chips.take(CHIP, _ended_process())

    lease = take_lease(chips, CHIP, lease_s=60)

    assert lease.fence == former.fence + 1


@pytest.mark.timeout(30)
def test_a_chip_of_a_living_worker_of_this_machine_is_refused_at_once(chips: ChipStore) -> None:
    chips.take(CHIP, this_process())

    with pytest.raises(LeaseHeldError, match="one chip has one worker"):
        take_lease(chips, CHIP, lease_s=60)


def test_a_chip_of_a_worker_elsewhere_that_goes_on_renewing_is_refused_in_the_end(chips: ChipStore) -> None:
    chips.take(CHIP, a_holder())

    with pytest.raises(LeaseHeldError, match="first"):
        take_lease(chips, CHIP, lease_s=0.2)


def test_without_proc_a_holder_that_looks_alike_is_not_taken_for_one_that_lives_here(
    chips: ChipStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "readlink", _no_proc)
    former = ChipStore(chips._connection, lease_s=0.3).take(CHIP, this_process() | {"pid": 2**30})

    lease = take_lease(chips, CHIP, lease_s=10)

    assert former.holder["pid_namespace"] == ""
    assert lease.fence == former.fence + 1


def _no_proc(path: Path) -> Path:
    raise FileNotFoundError(path)


def test_a_chip_of_a_worker_elsewhere_that_renews_no_more_is_taken_when_its_lease_has_run_out(
    chips: ChipStore,
) -> None:
    brief = ChipStore(chips._connection, lease_s=0.3)
    former = brief.take(CHIP, a_holder())

    lease = take_lease(chips, CHIP, lease_s=10)

    assert lease.fence == former.fence + 1


@pytest.mark.timeout(30)
def test_who_stands_by_waits_for_a_living_worker_and_takes_over_when_it_lets_go(chips: ChipStore) -> None:
    former = chips.take(CHIP, this_process())
    taken: list[Lease] = []
    standby = threading.Thread(target=lambda: taken.append(stand_by(chips, CHIP)))
    standby.start()
    standby.join(0.5)
    taken_before = list(taken)

    chips.release(former)
    standby.join()

    assert taken_before == []
    assert [lease.fence for lease in taken] == [former.fence + 1]


@pytest.mark.timeout(30)
def test_who_stands_by_takes_over_from_a_dead_worker_at_once(chips: ChipStore) -> None:
    former = chips.take(CHIP, _ended_process())

    lease = stand_by(chips, CHIP)

    assert lease.fence == former.fence + 1


@pytest.mark.timeout(60)
def test_who_stands_by_does_so_while_redis_is_away(short_folder: Path) -> None:
    with redis_server(short_folder, short_folder / "redis.log") as (url, redis):
        connection = Connection(url, retries=0)
        chips = ChipStore(connection, lease_s=60)
        chips.take(CHIP, this_process())
        taken: list[Lease] = []
        standby = threading.Thread(target=lambda: taken.append(stand_by(chips, CHIP)))
        standby.start()
        redis.stop()
        standby.join(0.5)
        is_waiting = standby.is_alive()

        redis.revive()
        wait_until_it_answers(redis, url)
        connection.client.delete(f"hx:chip:{CHIP}:lease")
        standby.join()
        connection.close()

    assert is_waiting
    assert len(taken) == 1

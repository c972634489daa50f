"""Users who come to long work that others wait for: a little ahead, then alike."""

from dataclasses import replace

import pytest

from services.jobs.acceptance import Idempotency
from services.jobs.record import JobKind, JobState
from services.jobs.store import JobStore
from services.programs.store import ProgramStore
from services.scheduling.policy import CREDIT_S
from services.store.connection import Connection
from services.users.quotas import Quotas
from tests.services.samples import PLENTY, a_job


def _charge(connection: Connection, user: str, seconds: float) -> None:
    now, microseconds = connection.client.time()
    connection.client.hset("hx:charged", user, f"{seconds:.6f} {now + microseconds / 1e6:.3f}")


def _submit(jobs: JobStore, user: str, kind: JobKind = JobKind.TRAINING) -> None:
    jobs.submit(a_job(kind, user), Idempotency(), most=PLENTY)


def _open(connection: Connection, user: str) -> None:
    ProgramStore(connection, keep_jobs_s=60).open(
        replace(a_job(JobKind.PROGRAM, user), state=JobState.RUNNING), Quotas()
    )


def _charged(jobs: JobStore, user: str) -> float | None:
    charge = jobs.charged().get(user)
    return charge.seconds if charge else None


def test_a_newcomer_is_charged_a_little_less_than_the_least_waiting_user(
    jobs: JobStore, connection: Connection
) -> None:
    for user, seconds in {"ada": 90.0, "joan": 50.0, "idle": 7.0}.items():
        _charge(connection, user, seconds)
    _submit(jobs, "ada")
    _charge(connection, "joan", 50.0)
    _submit(jobs, "joan")

    _submit(jobs, "grace")

    assert _charged(jobs, "joan") == pytest.approx(90.0 - CREDIT_S, abs=0.5)
    assert _charged(jobs, "grace") == pytest.approx(90.0 - 2 * CREDIT_S, abs=0.5)
    assert (_charged(jobs, "grace") or 0.0) < (_charged(jobs, "joan") or 0.0) < 90.0
    assert _charged(jobs, "idle") == 7.0


def test_who_was_charged_more_stays_so(jobs: JobStore, connection: Connection) -> None:
    _charge(connection, "ada", 10.0)
    _charge(connection, "grace", 60.0)
    _submit(jobs, "ada")

    _submit(jobs, "grace")

    assert _charged(jobs, "grace") == 60.0


def test_a_further_job_of_a_waiting_user_changes_nothing(jobs: JobStore, connection: Connection) -> None:
    _submit(jobs, "grace")
    _submit(jobs, "ada")
    _charge(connection, "ada", 90.0)

    _submit(jobs, "grace")

    assert _charged(jobs, "grace") is None


def test_a_newcomer_without_others_is_not_charged(jobs: JobStore, connection: Connection) -> None:
    _charge(connection, "ada", 90.0)

    _submit(jobs, "grace")

    assert _charged(jobs, "grace") is None


def test_care_of_the_chip_neither_counts_nor_is_counted(jobs: JobStore, connection: Connection) -> None:
    _charge(connection, "ada", 90.0)
    _submit(jobs, "ada")
    _submit(jobs, "system", JobKind.CALIBRATION)

    _submit(jobs, "grace")

    assert _charged(jobs, "system") is None
    assert _charged(jobs, "grace") == pytest.approx(90.0 - CREDIT_S, abs=0.5)


def test_a_newcomer_to_programs_is_charged_a_little_less_than_the_highest_of_their_users(
    jobs: JobStore, connection: Connection
) -> None:
    _open(connection, "eve")
    _open(connection, "joan")
    _charge(connection, "eve", 90.0)
    _charge(connection, "joan", 20.0)

    _submit(jobs, "grace")
    _open(connection, "ada")

    assert _charged(jobs, "grace") == pytest.approx(90.0 - CREDIT_S, abs=0.5)
    assert _charged(jobs, "ada") == pytest.approx(90.0 - 2 * CREDIT_S, abs=0.5)
    assert _charged(jobs, "joan") == 20.0


def test_a_program_that_is_not_in_use_and_ones_own_do_not_count(
    jobs: JobStore, connection: Connection
) -> None:
    for user in ("eve", "grace"):
        _open(connection, user)
    _charge(connection, "eve", 90.0)

    _submit(jobs, "grace")
    for session in ProgramStore(connection, keep_jobs_s=60).sessions():
        connection.client.zincrby("hx:programs", -11, session)
    jobs.cancel(next(iter(jobs.unfinished())).id)
    _submit(jobs, "ada")

    assert _charged(jobs, "grace") is None
    assert _charged(jobs, "ada") is None


def test_beside_long_work_of_others_the_charges_of_programs_do_not_count(
    jobs: JobStore, connection: Connection
) -> None:
    _open(connection, "eve")
    _charge(connection, "eve", 90.0)
    _charge(connection, "joan", 30.0)
    _submit(jobs, "joan")
    _charge(connection, "joan", 30.0)

    _submit(jobs, "grace")

    assert _charged(jobs, "grace") == pytest.approx(30.0 - CREDIT_S, abs=0.5)


def test_a_class_that_comes_to_others_is_charged_a_little_less_than_the_least_of_them(
    jobs: JobStore, connection: Connection
) -> None:
    _charge(connection, "ada", 90.0)
    _submit(jobs, "ada")

    _submit(jobs, "class-k7m2pq.lena")

    assert _charged(jobs, "class-k7m2pq") == pytest.approx(90.0 - CREDIT_S, abs=0.5)
    assert _charged(jobs, "class-k7m2pq.lena") is None


def test_a_pupil_who_comes_to_others_of_the_class_raises_no_charge_of_the_class(
    jobs: JobStore, connection: Connection
) -> None:
    _charge(connection, "class-k7m2pq", 60.0)
    _charge(connection, "class-k7m2pq.lena", 40.0)
    _submit(jobs, "class-k7m2pq.lena")
    _charge(connection, "ada", 90.0)
    _submit(jobs, "ada")

    _submit(jobs, "class-k7m2pq.max")

    assert _charged(jobs, "class-k7m2pq") == 60.0
    assert _charged(jobs, "class-k7m2pq.max") == pytest.approx(40.0 - CREDIT_S, abs=0.5)

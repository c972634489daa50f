"""Users who come to long work that others wait for: a little ahead, then alike."""

import pytest

from services.jobs.acceptance import Idempotency
from services.jobs.record import JobKind
from services.jobs.store import JobStore
from services.scheduling.policy import CREDIT_S
from services.store.connection import Connection
from tests.services.samples import PLENTY, a_job


def _charge(connection: Connection, user: str, seconds: float) -> None:
    now, microseconds = connection.client.time()
    connection.client.hset("hx:charged", user, f"{seconds:.6f} {now + microseconds / 1e6:.3f}")


def _submit(jobs: JobStore, user: str, kind: JobKind = JobKind.TRAINING) -> None:
    jobs.submit(a_job(kind, user), Idempotency(), most=PLENTY)


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

"""Quotas: held in the step that takes the work in, per user, and given back when it is done."""

import pytest

from services.chips.store import Lease
from services.crops.lanes import Lane
from services.crops.store import Acceptance, CropStore
from services.errors import QuotaExceededError
from services.jobs.acceptance import NO_KEY, Idempotency
from services.jobs.record import JobState
from services.jobs.store import JobStore
from services.store.connection import Connection
from services.users.authentication import User
from services.users.quotas import Quotas
from services.users.rates import Rates
from services.users.store import UserStore
from tests.services.samples import ADA, PLENTY, a_job, accept, acceptance, finish, some_crops

TWO_JOBS = Quotas(max_queued_jobs=2)
FIVE_CROPS = Quotas(max_waiting_crops=5)
A_MINUTE = Quotas(chip_seconds_per_day=60.0)


def _submit(jobs: JobStore, user: str = "ada", quotas: Quotas = TWO_JOBS) -> str:
    return jobs.submit(a_job(user=user), NO_KEY, most=PLENTY, quotas=quotas).id


def _send(crops: CropStore, count: int, lane: Lane = ADA, quotas: Quotas = FIVE_CROPS) -> None:
    accept(crops, [some_crops(count)], lane=lane, quotas=quotas)


def _request(number: int, count: int, user: str = "ada", quotas: Quotas = FIVE_CROPS) -> Acceptance:
    lane = Lane("digits", "1", user)
    return acceptance([some_crops(count)], request_id=f"r{number}", lane=lane, quotas=quotas)


def test_a_job_beyond_its_users_quota_is_refused_with_the_facts(jobs: JobStore) -> None:
    _submit(jobs)
    _submit(jobs)

    with pytest.raises(QuotaExceededError, match="your limit is 2 unfinished jobs") as refusal:
        _submit(jobs)

    assert refusal.value.facts == {"quota": "max_queued_jobs", "limit": 2, "used": 2}
    assert refusal.value.retry_after_s
    assert len(jobs.unfinished()) == 2


def test_one_users_jobs_do_not_count_against_another(jobs: JobStore) -> None:
    _submit(jobs)
    _submit(jobs)

    _submit(jobs, "grace")

    assert sorted(job.user for job in jobs.unfinished()) == ["ada", "ada", "grace"]


@pytest.mark.parametrize("ended", ["cancelled", "failed"])
def test_a_job_that_ends_makes_room_for_its_user(jobs: JobStore, ended: str) -> None:
    _submit(jobs)
    job = jobs.get(_submit(jobs))
    if ended == "cancelled":
        jobs.cancel(job.id)
    else:
        jobs.change(job, lease=None, allowed=JobState, event={"type": "state"}, state=JobState.FAILED)

    _submit(jobs)

    assert len(jobs.unfinished()) == 2


def test_a_repeated_submission_is_the_same_job_also_at_the_limit(jobs: JobStore) -> None:
    key, job = Idempotency("ada:k", "digest"), a_job()
    one = Quotas(max_queued_jobs=1)
    first = jobs.submit(job, key, most=PLENTY, quotas=one)

    again = jobs.submit(a_job(), key, most=PLENTY, quotas=one)

    assert (again.id, again.repeated) == (first.id, True)


def test_crops_beyond_their_senders_quota_are_refused_whole(crops: CropStore, lease: Lease) -> None:
    _send(crops, 3)

    with pytest.raises(QuotaExceededError, match="5 waiting crops") as refusal:
        _send(crops, 3)

    assert refusal.value.facts == {"quota": "max_waiting_crops", "limit": 5, "used": 3}
    assert sum(entry.count for entry in crops.claim(lease, {str(ADA): 99}).claimed) == 3


def test_crops_of_a_sender_count_in_all_lanes_and_of_others_in_none(crops: CropStore) -> None:
    _send(crops, 3, Lane("digits", "2", "ada"))
    _send(crops, 5, Lane("digits", "1", "grace"))

    with pytest.raises(QuotaExceededError):
        _send(crops, 3)

    _send(crops, 2)


def test_claimed_crops_wait_no_more(crops: CropStore, lease: Lease) -> None:
    _send(crops, 5)
    finish(crops, lease, crops.claim(lease, {str(ADA): 99}).claimed)

    _send(crops, 5)


def test_in_a_group_each_request_meets_its_own_senders_quota(crops: CropStore) -> None:
    requests = [
        _request(0, 3),
        _request(1, 3),
        _request(2, 5, "grace"),
        _request(3, 2),
        _request(4, 1, "grace"),
    ]

    _, outcomes = crops.accept("hx:replies:here", requests)

    assert [isinstance(outcome, str) for outcome in outcomes] == [True, False, True, True, False]
    refused = outcomes[1]
    assert isinstance(refused, QuotaExceededError)
    assert refused.facts == {"quota": "max_waiting_crops", "limit": 5, "used": 3}


def test_who_has_used_the_chip_long_enough_today_is_refused_until_midnight(
    connection: Connection, jobs: JobStore, crops: CropStore, lease: Lease
) -> None:
    job = jobs.get(_submit(jobs, quotas=A_MINUTE))
    jobs.change(job, lease=lease, allowed=JobState, event={"type": "progress"}, charged_s=60.0)

    for attempt in (
        lambda: _submit(jobs, quotas=A_MINUTE),
        lambda: _send(crops, 1, quotas=A_MINUTE),
    ):
        with pytest.raises(QuotaExceededError, match="60 seconds of chip time") as refusal:
            attempt()
        assert refusal.value.facts == {"quota": "chip_seconds_per_day", "limit": 60.0, "used": 60.0}
        assert 0 < (refusal.value.retry_after_s or 0) <= 86_400
    requests = [_request(0, 1, quotas=A_MINUTE), _request(1, 1, "grace", A_MINUTE)]
    _, outcomes = crops.accept("hx:replies:here", requests)

    assert [isinstance(outcome, str) for outcome in outcomes] == [False, True]
    assert UserStore(connection).used("ada")["chip_seconds_per_day"] == 60.0


def test_chip_time_of_yesterday_does_not_count(connection: Connection, jobs: JobStore) -> None:
    now_s = connection.client.time()[0]
    connection.client.hset(f"hx:used:{now_s // 86_400 - 1}", "ada", "1000")

    _submit(jobs, quotas=A_MINUTE)


def test_the_load_of_a_user_is_reported(connection: Connection, jobs: JobStore, crops: CropStore) -> None:
    _submit(jobs)
    _send(crops, 3)
    _send(crops, 4, Lane("digits", "1", "grace"))

    used = UserStore(connection).used("ada")

    assert used == {
        "max_queued_jobs": 1,
        "max_waiting_crops": 3,
        "chip_seconds_per_day": 0.0,
        "kept_crops": 0,
        "open_corrections": 0,
    }


def test_without_a_quota_only_the_limits_of_the_service_hold(jobs: JobStore, crops: CropStore) -> None:
    for _ in range(30):
        _submit(jobs, quotas=Quotas())
    _send(crops, 200, quotas=Quotas())

    assert len(jobs.unfinished()) == 30


class _Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def _admitted(rates: Rates, user: User, attempts: int) -> int:
    admitted = 0
    for _ in range(attempts):
        try:
            rates.admit(user)
        except QuotaExceededError:
            continue
        admitted += 1
    return admitted


def test_a_user_may_send_for_two_seconds_at_once_and_then_as_fast_as_they_may() -> None:
    clock = _Clock()
    rates = Rates(clock)
    ada = User("ada", quotas=Quotas(requests_per_second=10))

    assert _admitted(rates, ada, 100) == 20
    clock.now += 0.5
    assert _admitted(rates, ada, 100) == 5
    clock.now += 3600
    assert _admitted(rates, ada, 100) == 20


def test_a_user_who_sends_too_fast_is_refused_and_others_are_not_delayed() -> None:
    rates = Rates(_Clock())
    slow = User("ada", quotas=Quotas(requests_per_second=0.1))
    rates.admit(slow)

    with pytest.raises(QuotaExceededError, match=r"0\.1 requests per second") as refusal:
        rates.admit(slow)

    assert refusal.value.retry_after_s == pytest.approx(10)
    assert _admitted(rates, User("grace", quotas=Quotas(requests_per_second=0.1)), 5) == 1
    assert _admitted(rates, User("edith"), 500) == 500


def test_an_operation_larger_than_its_bucket_takes_from_the_time_after() -> None:
    clock = _Clock()
    rates = Rates(clock)
    ada = User("ada", quotas=Quotas(operation_bytes_per_second=100, requests_per_second=1))

    rates.admit(ada, "operation_bytes_per_second", 500)
    clock.now += 4.9
    with pytest.raises(QuotaExceededError, match="100 bytes of operations per second"):
        rates.admit(ada, "operation_bytes_per_second", 200)
    clock.now += 0.1
    rates.admit(ada, "operation_bytes_per_second", 200)
    rates.admit(ada)

"""Crops in Redis: accepted whole, claimed, answered exactly once, and nothing left behind."""

import json
from collections import Counter
from dataclasses import replace
from typing import Any

import msgpack
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.chips.store import ChipStore, Lease
from services.crops.answers import Answer
from services.crops.claims import Entry, Finished, Prefetch
from services.crops.extras import Extras
from services.crops.lanes import Lane, Span
from services.crops.requests import JobReference
from services.crops.store import CropStore
from services.errors import IdempotencyConflictError, QueueFullError
from services.jobs.acceptance import NO_KEY, Idempotency
from services.jobs.record import Job, JobKind, JobState
from services.jobs.store import JobStore
from services.jobs.usage import UsageStore
from services.store.connection import Connection
from tests.services.samples import (
    ADA,
    CHIP,
    LONG_AGO_S,
    PLENTY,
    AcceptedCrops,
    a_holder,
    a_job,
    accept,
    acceptance,
    answer_to,
    finish,
    scores_of,
    some_crops,
)

GRACE, OTHER = Lane("digits", "1", "grace"), Lane("other", "3", "ada")
REPLY = "hx:replies:here"
MORE = Prefetch("digits@1", 8)
_SLOW = settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])


def _replies(connection: Connection, stream: str = REPLY) -> list[tuple[str, int, Answer]]:
    """Everything sent to a reply stream."""
    client: Any = connection.client
    sent = []
    for _, entry in client.xrange(stream):
        sent += [(i, part, Answer.unpack(answer)) for i, part, answer in msgpack.unpackb(entry[b"batch"])]
    return sent


def _crop_keys(connection: Connection) -> list[bytes]:
    keys: Any = connection.client.keys("hx:crops:*")
    return list(keys)


def test_an_accepted_part_is_claimed_with_its_own_bytes(crops: CropStore, lease: Lease) -> None:
    job, _ = accept(crops, [some_crops(2, 1), some_crops(3, 2)])

    entries = crops.claim(lease, {str(ADA): 5}).claimed

    assert [(e.id, e.part, e.count, e.crops) for e in entries] == [
        (job.id, 0, 2, some_crops(2, 1)),
        (job.id, 1, 3, some_crops(3, 2)),
    ]


def test_the_spans_of_sampled_requests_ride_in_their_entry_and_others_add_nothing(
    crops: CropStore, lease: Lease, connection: Connection
) -> None:
    spans = bytes(range(48))
    sampled, plain = acceptance([some_crops(1)]), acceptance([some_crops(1)])
    crops.accept(REPLY, [replace(sampled, trace=spans), plain])

    client: Any = connection.client
    entries = [fields for _, fields in client.xrange(f"hx:crops:{ADA}")]
    claimed = crops.claim(lease, {str(ADA): 2}).claimed

    assert set(entries[0]) - set(entries[1]) == {b"trace", b"extras"}
    assert [(entry.trace, entry.extras) for entry in claimed] == [(spans, Extras.NONE), (b"", Extras.NONE)]


@pytest.mark.parametrize("home", ["", "hxcube7fpga0chip67_1"])
def test_a_lane_is_named_after_version_user_and_home_and_back(home: str) -> None:
    lane = Lane("my.model-2_x", "17", "ada-l", home)

    assert Lane.parse(str(lane)) == lane


def test_an_answered_request_has_succeeded_with_its_answers(
    crops: CropStore, jobs: JobStore, lease: Lease
) -> None:
    job, _ = accept(crops, [some_crops(2, 1), some_crops(3, 2)])

    finish(crops, lease, crops.claim(lease, {str(ADA): 5}).claimed)

    assert jobs.get(job.id).state is JobState.SUCCEEDED
    assert jobs.get(job.id).progress == 1.0
    stored = {part: Answer.unpack(answer).scores for part, answer in jobs.results(job.id).items()}
    assert stored == {0: scores_of(some_crops(2, 1)).tobytes(), 1: scores_of(some_crops(3, 2)).tobytes()}


def test_a_request_of_which_a_part_is_answered_shows_its_progress(
    crops: CropStore, jobs: JobStore, lease: Lease
) -> None:
    job, _ = accept(crops, [some_crops(1)] * 4)

    finish(crops, lease, crops.claim(lease, {str(ADA): 4}).claimed[:1])

    assert (jobs.get(job.id).state, jobs.get(job.id).progress) == (JobState.RUNNING, 0.25)


def test_nothing_of_a_lane_is_left_when_its_crops_are_answered(
    crops: CropStore, lease: Lease, connection: Connection
) -> None:
    for lane in (ADA, GRACE, OTHER):
        accept(crops, [some_crops(2), some_crops(1)], lane=lane)

    finish(crops, lease, crops.claim(lease, {str(lane): 9 for lane in (ADA, GRACE, OTHER)}).claimed)

    assert _crop_keys(connection) == []


def test_a_request_without_record_leaves_only_its_reply(
    crops: CropStore, lease: Lease, connection: Connection
) -> None:
    job, _ = accept(crops, [some_crops(1)], recorded=False, reply_to=REPLY)

    finish(crops, lease, crops.claim(lease, {str(ADA): 1}).claimed)

    assert [(i, part) for i, part, _ in _replies(connection)] == [(job.id, 0)]
    assert connection.client.keys(f"hx:job:{job.id}*") == []
    assert 0 < connection.client.pttl(REPLY) <= 120_000


def test_a_claim_takes_the_oldest_first_and_no_more_than_granted(crops: CropStore, lease: Lease) -> None:
    sent = [accept(crops, [some_crops(1)])[0].id for _ in range(5)]

    first = crops.claim(lease, {str(ADA): 2}).claimed
    second = crops.claim(lease, {str(ADA): 9}).claimed

    assert [entry.id for entry in (*first, *second)] == sent
    assert len(first) == 2


def test_an_undivided_part_is_claimed_whole_even_if_less_is_granted(crops: CropStore, lease: Lease) -> None:
    accept(crops, [some_crops(7)])

    entries = crops.claim(lease, {str(ADA): 3}).claimed

    assert [entry.count for entry in entries] == [7]


@given(st.lists(st.integers(1, 64), min_size=1, max_size=40), st.lists(st.integers(1, 256), min_size=1))
@_SLOW
def test_only_the_last_part_of_a_claim_goes_beyond_its_grant(
    connection: Connection, sizes: list[int], grants: list[int]
) -> None:
    connection.client.flushall()
    crops = CropStore(connection, max_waiting=PLENTY, keep_results_s=3600)
    lease = ChipStore(connection, lease_s=60).take(CHIP, a_holder())
    accept(crops, [some_crops(size) for size in sizes])
    left = list(sizes)

    for grant in grants:
        claimed = [entry.count for entry in crops.claim(lease, {str(ADA): grant}).claimed]

        assert claimed == left[: len(claimed)]
        left = left[len(claimed) :]
        assert sum(claimed[:-1]) < grant
        assert sum(claimed) >= grant or not left


def test_a_claim_gives_each_lane_what_it_was_granted(crops: CropStore, lease: Lease) -> None:
    for _ in range(6):
        accept(crops, [some_crops(1)], lane=ADA)
        accept(crops, [some_crops(1)], lane=GRACE)

    entries = crops.claim(lease, {str(ADA): 2, str(GRACE): 4}).claimed

    assert Counter(entry.lane.user for entry in entries) == {"ada": 2, "grace": 4}


def test_claiming_from_a_lane_that_is_gone_gives_nothing(crops: CropStore, lease: Lease) -> None:
    assert crops.claim(lease, {str(ADA): 3}).claimed == []


def test_crops_whose_deadline_has_passed_are_handed_out_as_expired(crops: CropStore, lease: Lease) -> None:
    accept(crops, [some_crops(1)], deadline_s=LONG_AGO_S)
    accept(crops, [some_crops(1)], deadline_s=3600.0)
    accept(crops, [some_crops(1)])

    entries = crops.claim(lease, {str(ADA): 3}).claimed

    assert [entry.is_expired for entry in entries] == [True, False, False]


def test_an_expired_request_never_ran(crops: CropStore, jobs: JobStore, lease: Lease) -> None:
    job, _ = accept(crops, [some_crops(1)], deadline_s=LONG_AGO_S)
    problem = json.dumps({"code": "expired", "message": "too late"})

    entries = crops.claim(lease, {str(ADA): 3}).claimed
    crops.finish(lease, [Finished(entries[0], b"", JobState.EXPIRED, problem)], {}, {})

    ended = jobs.get(job.id)
    assert (ended.state, ended.started_at, ended.error) == (JobState.EXPIRED, None, json.loads(problem))


def test_cancelled_crops_are_dropped_when_claimed(
    crops: CropStore, jobs: JobStore, lease: Lease, connection: Connection
) -> None:
    job, _ = accept(crops, [some_crops(1), some_crops(1)])
    other, _ = accept(crops, [some_crops(1)])
    jobs.cancel(job.id)

    entries = crops.claim(lease, {str(ADA): 9}).claimed

    assert [entry.id for entry in entries] == [other.id]
    finish(crops, lease, entries)
    assert _crop_keys(connection) == []


def test_an_answer_to_cancelled_crops_changes_nothing_any_more(
    crops: CropStore, jobs: JobStore, lease: Lease
) -> None:
    job, _ = accept(crops, [some_crops(1)])
    entries = crops.claim(lease, {str(ADA): 1}).claimed
    jobs.cancel(job.id)
    before = jobs.get(job.id)

    finish(crops, lease, entries)

    assert jobs.get(job.id) == before
    assert jobs.results(job.id) == {}


def test_a_request_that_fits_no_more_is_refused_whole(
    connection: Connection, jobs: JobStore, lease: Lease
) -> None:
    crops = CropStore(connection, max_waiting=5, keep_results_s=3600)
    accept(crops, [some_crops(3)])

    with pytest.raises(QueueFullError, match="limit of 5 waiting crops"):
        accept(crops, [some_crops(2), some_crops(1)])

    assert len(jobs.newest(before=None, count=9)) == 1
    assert sum(entry.count for entry in crops.claim(lease, {str(ADA): 99}).claimed) == 3


def test_a_limit_is_reached_exactly(connection: Connection) -> None:
    crops = CropStore(connection, max_waiting=5, keep_results_s=3600)

    accept(crops, [some_crops(3)])
    accept(crops, [some_crops(2)], lane=GRACE)

    assert ChipStore(connection, lease_s=60).waiting_crops() == 5


def test_crops_sent_again_with_the_same_key_are_the_same_request(crops: CropStore, lease: Lease) -> None:
    key = Idempotency("ada:k", "digest")
    first, _ = accept(crops, [some_crops(1)], idempotency=key)

    _, again = accept(crops, [some_crops(1)], idempotency=key)

    assert again == AcceptedCrops(first.id, repeated=True)
    assert len(crops.claim(lease, {str(ADA): 9}).claimed) == 1


def test_other_crops_with_the_same_key_are_a_conflict(crops: CropStore, lease: Lease) -> None:
    accept(crops, [some_crops(1)], idempotency=Idempotency("ada:k", "digest"))

    with pytest.raises(IdempotencyConflictError):
        accept(crops, [some_crops(2)], idempotency=Idempotency("ada:k", "other"))

    assert len(crops.claim(lease, {str(ADA): 9}).claimed) == 1


def test_a_refused_request_does_not_use_up_its_key(connection: Connection) -> None:
    key = Idempotency("ada:k", "digest")
    with pytest.raises(QueueFullError):
        accept(CropStore(connection, max_waiting=1, keep_results_s=3600), [some_crops(2)], idempotency=key)
    roomy = CropStore(connection, max_waiting=9, keep_results_s=3600)

    _, accepted = accept(roomy, [some_crops(2)], idempotency=key)

    assert not accepted.repeated


def test_of_two_requests_with_one_key_accepted_in_one_step_the_second_is_the_first(
    crops: CropStore, lease: Lease
) -> None:
    key = Idempotency("ada:k", "digest")
    first, again = (a_job(JobKind.CLASSIFICATION) for _ in range(2))

    _, outcomes = crops.accept(
        REPLY, [acceptance([some_crops(1)], job=job, idempotency=key) for job in (first, again)]
    )

    assert isinstance(outcomes[0], str)
    assert outcomes[1] == JobReference(first.id, is_repeated=True)
    assert [entry.id for entry in crops.claim(lease, {str(ADA): 9}).claimed] == [first.id]


def test_promoting_before_the_answer_makes_a_record_that_completes(
    crops: CropStore, jobs: JobStore, lease: Lease
) -> None:
    job, accepted = accept(crops, [some_crops(2)], recorded=False, reply_to=REPLY)
    entries = crops.claim(lease, {str(ADA): 2}).claimed

    promoted = crops.promote(ADA, accepted.entry, job, Span(0, 2))
    finish(crops, lease, entries)

    assert promoted
    assert jobs.get(job.id).state is JobState.SUCCEEDED
    assert Answer.unpack(jobs.results(job.id)[0]).scores == scores_of(some_crops(2)).tobytes()


def test_promoting_what_still_waits_makes_a_record_that_completes(
    crops: CropStore, jobs: JobStore, lease: Lease
) -> None:
    job, accepted = accept(crops, [some_crops(2)], recorded=False, reply_to=REPLY)

    promoted = crops.promote(ADA, accepted.entry, job, Span(0, 2))

    assert promoted
    assert jobs.get(job.id).state is JobState.QUEUED
    finish(crops, lease, crops.claim(lease, {str(ADA): 2}).claimed)
    assert jobs.get(job.id).state is JobState.SUCCEEDED


def test_promoting_after_the_answer_says_no_and_records_nothing(
    crops: CropStore, jobs: JobStore, lease: Lease, connection: Connection
) -> None:
    job, accepted = accept(crops, [some_crops(2)], recorded=False, reply_to=REPLY)
    finish(crops, lease, crops.claim(lease, {str(ADA): 2}).claimed)

    promoted = crops.promote(ADA, accepted.entry, job, Span(0, 2))

    assert not promoted
    assert jobs.newest(before=None, count=9) == []
    assert [(i, part) for i, part, _ in _replies(connection)] == [(job.id, 0)]


def _accept_as_one(crops: CropStore, counts: list[int]) -> tuple[str, list[bytes]]:
    """Accept requests of `counts` crops that share an entry; return the entry and the crops of each."""
    requests = [some_crops(count, seed) for seed, count in enumerate(counts)]
    _, accepted = accept(crops, [b"".join(requests)], recorded=False, reply_to=REPLY)
    return accepted.entry, requests


@pytest.mark.parametrize("is_claimed", [False, True])
def test_of_requests_that_share_an_entry_those_promoted_complete_with_their_own_answers(
    crops: CropStore, jobs: JobStore, lease: Lease, connection: Connection, is_claimed: bool
) -> None:
    entry, requests = _accept_as_one(crops, [2, 1, 3])
    claimed = crops.claim(lease, {str(ADA): 6}).claimed if is_claimed else []
    second, third = a_job(JobKind.CLASSIFICATION), a_job(JobKind.CLASSIFICATION)

    promoted = [
        crops.promote(ADA, entry, second, Span(2, 1)),
        crops.promote(ADA, entry, third, Span(3, 3)),
    ]
    waiting = [jobs.get(job.id).state for job in (second, third)]
    finish(crops, lease, claimed or crops.claim(lease, {str(ADA): 6}).claimed)

    assert promoted == [True, True]
    assert waiting == [JobState.QUEUED] * 2
    for job, part in ((second, requests[1]), (third, requests[2])):
        assert jobs.get(job.id).state is JobState.SUCCEEDED
        assert Answer.unpack(jobs.results(job.id)[0]).scores == scores_of(part).tobytes()
    assert len(_replies(connection)) == 1
    assert _crop_keys(connection) == []
    assert connection.client.keys("hx:late:*") == []


def test_a_request_cancelled_among_others_keeps_no_answer_and_the_others_get_theirs(
    crops: CropStore, jobs: JobStore, lease: Lease
) -> None:
    entry, requests = _accept_as_one(crops, [1, 2])
    gone, kept = a_job(JobKind.CLASSIFICATION), a_job(JobKind.CLASSIFICATION)
    crops.promote(ADA, entry, gone, Span(0, 1))
    crops.promote(ADA, entry, kept, Span(1, 2))

    jobs.cancel(gone.id)
    finish(crops, lease, crops.claim(lease, {str(ADA): 3}).claimed)

    assert (jobs.get(gone.id).state, jobs.results(gone.id)) == (JobState.CANCELLED, {})
    assert Answer.unpack(jobs.results(kept.id)[0]).scores == scores_of(requests[1]).tobytes()


def test_requests_of_which_all_are_cancelled_are_not_run_at_all(
    crops: CropStore, jobs: JobStore, lease: Lease, connection: Connection
) -> None:
    entry, _ = _accept_as_one(crops, [1, 2])
    for span in (Span(0, 1), Span(1, 2)):
        job = a_job(JobKind.CLASSIFICATION)
        crops.promote(ADA, entry, job, span)
        jobs.cancel(job.id)

    assert crops.claim(lease, {str(ADA): 3}).claimed == []
    assert _crop_keys(connection) == []
    assert connection.client.keys("hx:late:*") == []


def test_requests_that_share_an_entry_and_cannot_be_run_have_failed_each(
    crops: CropStore, jobs: JobStore, lease: Lease
) -> None:
    entry, _ = _accept_as_one(crops, [1, 2])
    job = a_job(JobKind.CLASSIFICATION)
    crops.promote(ADA, entry, job, Span(1, 2))
    [claimed] = crops.claim(lease, {str(ADA): 3}).claimed

    crops.finish(lease, [Finished(claimed, b"", JobState.FAILED, '{"code": "chip_failed"}')], {}, {})

    assert jobs.get(job.id).state is JobState.FAILED


def test_the_next_worker_gets_what_a_dead_one_had_claimed(
    crops: CropStore, chips: ChipStore, lease: Lease
) -> None:
    job, _ = accept(crops, [some_crops(2, 1), some_crops(1, 2)])
    crops.claim(lease, {str(ADA): 2})
    successor = chips.take(CHIP, a_holder("second"), dead=lease.holder)

    recovered = crops.recover(successor, after_death=True)

    assert [(e.id, e.part, e.crops, e.claims) for e in recovered] == [(job.id, 0, some_crops(2, 1), 2)]
    assert [(e.part, e.claims) for e in crops.claim(successor, {str(ADA): 9}).claimed] == [(1, 1)]


def test_each_recovery_counts_as_a_claim(crops: CropStore, lease: Lease) -> None:
    accept(crops, [some_crops(1)])
    crops.claim(lease, {str(ADA): 1})

    counts = [crops.recover(lease, after_death=True)[0].claims for _ in range(3)]

    assert counts == [2, 3, 4]


def test_crops_are_not_blamed_for_an_interruption_that_their_worker_survived(
    crops: CropStore, chips: ChipStore, lease: Lease
) -> None:
    accept(crops, [some_crops(1)])
    crops.claim(lease, {str(ADA): 1})

    interrupted = [crops.recover(lease, after_death=False)[0].claims for _ in range(5)]

    successor = chips.take(CHIP, a_holder("second"), dead=lease.holder)
    assert interrupted == [1] * 5
    assert crops.recover(successor, after_death=True)[0].claims == 2


def test_crops_of_another_chips_dead_worker_are_counted_as_claimed_again(
    crops: CropStore, chips: ChipStore, lease: Lease
) -> None:
    other = chips.take("chip-2", a_holder("second"))
    accept(crops, [some_crops(1)])
    crops.claim(other, {str(ADA): 1})
    chips.release(other)

    assert [entry.claims for entry in crops.recover(lease, after_death=False)] == [2]


def test_crops_of_a_living_worker_of_another_chip_are_left_to_it(
    crops: CropStore, chips: ChipStore, lease: Lease
) -> None:
    other = chips.take("chip-2", a_holder("second"))
    accept(crops, [some_crops(1)])
    crops.claim(other, {str(ADA): 1})

    recovered = crops.recover(lease, after_death=True)

    assert recovered == []


def test_crops_of_another_chip_without_a_worker_are_taken_over(
    crops: CropStore, chips: ChipStore, lease: Lease
) -> None:
    other = chips.take("chip-2", a_holder("second"))
    accept(crops, [some_crops(1)])
    crops.claim(other, {str(ADA): 1})
    chips.release(other)

    recovered = crops.recover(lease, after_death=True)

    assert len(recovered) == 1


def test_recovered_crops_whose_deadline_has_passed_are_expired(crops: CropStore, lease: Lease) -> None:
    accept(crops, [some_crops(1)], deadline_s=LONG_AGO_S)
    accept(crops, [some_crops(1)])
    crops.claim(lease, {str(ADA): 2})

    recovered = crops.recover(lease, after_death=True)

    assert [entry.is_expired for entry in recovered] == [True, False]


def test_recovered_crops_that_were_cancelled_are_dropped(
    crops: CropStore, jobs: JobStore, lease: Lease, connection: Connection
) -> None:
    job, _ = accept(crops, [some_crops(1)])
    crops.claim(lease, {str(ADA): 1})
    jobs.cancel(job.id)

    recovered = crops.recover(lease, after_death=True)

    assert recovered == []
    assert _crop_keys(connection) == []


_requests = st.lists(
    st.tuples(
        st.sampled_from([ADA, GRACE, OTHER]),
        st.lists(st.integers(1, 5), min_size=1, max_size=4),
        st.booleans(),
    ),
    min_size=1,
    max_size=10,
)
_grants = st.lists(
    st.dictionaries(st.sampled_from([str(ADA), str(GRACE), str(OTHER)]), st.integers(1, 9), min_size=1),
    max_size=8,
)


@given(_requests, _grants, st.data())
@_SLOW
def test_each_accepted_part_is_answered_exactly_once_with_its_own_bytes(
    connection: Connection,
    requests: list[tuple[Lane, list[int], bool]],
    grants: list[dict[str, int]],
    data: st.DataObject,
) -> None:
    connection.client.flushall()
    crops = CropStore(connection, max_waiting=PLENTY, keep_results_s=3600)
    chips = ChipStore(connection, lease_s=60)
    lease = chips.take(CHIP, a_holder())
    sent: dict[tuple[str, int], bytes] = {}
    for number, (lane, sizes, recorded) in enumerate(requests):
        parts = [some_crops(size, 10 * number + part) for part, size in enumerate(sizes)]
        job, _ = accept(crops, parts, lane=lane, recorded=recorded, reply_to=f"{REPLY}{number % 2}")
        sent.update({(job.id, part): content for part, content in enumerate(parts)})
    everything = {str(lane): PLENTY for lane in (ADA, GRACE, OTHER)}

    for number, grant in enumerate([*grants, everything]):
        entries = crops.claim(lease, grant).claimed
        if data.draw(st.booleans(), "the worker dies"):
            lease = chips.take(CHIP, a_holder(f"{number}"), dead=lease.holder)
            entries = crops.recover(lease, after_death=True)
        finish(crops, lease, entries)

    answered = [*_replies(connection, f"{REPLY}0"), *_replies(connection, f"{REPLY}1")]
    assert Counter((i, part) for i, part, _ in answered) == Counter(list(sent))
    assert all(answer.scores == scores_of(sent[i, part]).tobytes() for i, part, answer in answered)
    assert _crop_keys(connection) == []


_steps = st.lists(
    st.one_of(
        st.tuples(st.just("accept"), st.sampled_from([ADA, GRACE]), st.integers(1, 5)),
        st.tuples(st.just("claim"), st.sampled_from([ADA, GRACE]), st.integers(1, 9)),
        st.tuples(st.just("finish"), st.none(), st.integers(0, 5)),
        st.tuples(st.just("cancel"), st.none(), st.integers(0, 5)),
    ),
    max_size=14,
)


@given(_steps)
@_SLOW
def test_the_index_of_what_waits_is_always_what_the_lanes_hold(
    connection: Connection, steps: list[tuple[str, Lane | None, int]]
) -> None:
    connection.client.flushall()
    crops = CropStore(connection, max_waiting=PLENTY, keep_results_s=3600)
    jobs = JobStore(connection, keep_jobs_s=3600)
    lease = ChipStore(connection, lease_s=60).take(CHIP, a_holder())
    accepted: list[Job] = []
    claimed: list[Entry] = []

    for what, lane, number in steps:
        if what == "accept" and lane:
            accepted.append(accept(crops, [some_crops(number), some_crops(1)], lane=lane)[0])
        elif what == "claim" and lane:
            claimed += crops.claim(lease, {str(lane): number}).claimed
        elif what == "finish":
            finish(crops, lease, [claimed.pop() for _ in range(min(number, len(claimed)))])
        elif accepted:
            jobs.cancel(accepted[number % len(accepted)].id)

        index, held = _index(connection), _undelivered(connection)
        assert {lane: known[:2] for lane, known in index.items()} == {
            lane: found[:2] for lane, found in held.items()
        }
        assert all(known[2] <= held[lane][2] for lane, known in index.items())


def _index(connection: Connection) -> dict[str, tuple[int, int, int]]:
    """What the index says of each lane: crops, entries, and when the oldest came."""
    stored: Any = connection.client.hgetall("hx:crops:waiting")
    return {
        lane.decode(): (crops, entries, oldest)
        for lane, text in stored.items()
        for crops, entries, oldest in [tuple(map(int, text.split()))]
    }


def _undelivered(connection: Connection) -> dict[str, tuple[int, int, int]]:
    """The same, counted in the streams: what no consumer has got yet."""
    client: Any = connection.client
    found = {}
    for name in client.smembers("hx:crops:lanes"):
        key = f"hx:crops:{name.decode()}"
        last = client.xinfo_groups(key)[0]["last-delivered-id"].decode()
        entries = client.xrange(key, min=f"({last}" if last != "0-0" else "-")
        if entries:
            count = sum(int(entry[b"count"]) for _, entry in entries)
            found[name.decode()] = count, len(entries), int(entries[0][0].split(b"-")[0])
    return found


def test_many_requests_with_parts_of_one_crop_come_back_to_their_senders(
    crops: CropStore, lease: Lease, connection: Connection
) -> None:
    users = [f"user{number}" for number in range(20)]
    owner = {}
    for number in range(100):
        lane = Lane("digits", "1", users[number % 20])
        job, _ = accept(crops, [some_crops(1, number)], lane=lane, recorded=False, reply_to=REPLY)
        owner[job.id] = some_crops(1, number)

    while entries := crops.claim(lease, {str(Lane("digits", "1", user)): 2 for user in users}).claimed:
        finish(crops, lease, entries)

    answers = {i: answer.scores for i, _, answer in _replies(connection)}
    assert answers == {i: scores_of(content).tobytes() for i, content in owner.items()}


def test_users_are_charged_for_their_classifications(
    crops: CropStore, usage: UsageStore, lease: Lease
) -> None:
    accept(crops, [some_crops(1)], lane=ADA)
    accept(crops, [some_crops(1)], lane=GRACE)
    entries = crops.claim(lease, {str(ADA): 1, str(GRACE): 1}).claimed

    crops.finish(lease, [Finished(entry, b"") for entry in entries], {}, {"ada": 0.5, "grace": 0.25})

    used = usage.by_user([JobKind.CLASSIFICATION])
    assert used == {"ada": {"classification": 0.5}, "grace": {"classification": 0.25}}


def test_a_request_sent_again_because_its_answer_was_lost_is_taken_once(
    crops: CropStore, jobs: JobStore, lease: Lease
) -> None:
    job, _ = accept(crops, [some_crops(2), some_crops(3)])

    _, accepted = accept(crops, [some_crops(2), some_crops(3)], job=job)
    entries = crops.claim(lease, {str(ADA): 100}).claimed

    assert accepted.id == job.id
    assert [(entry.part, entry.count) for entry in entries] == [(0, 2), (1, 3)]
    assert jobs.get(job.id).state is JobState.RUNNING


def test_crops_of_one_sender_alone_are_claimed_with_the_snapshot(crops: CropStore, lease: Lease) -> None:
    for seed in range(3):
        accept(crops, [some_crops(3, seed)])

    backlog = crops.claim(lease, prefetch=Prefetch("digits@1", 6))

    assert [entry.crops for entry in backlog.claimed] == [some_crops(3, 0), some_crops(3, 1)]
    assert [waiting[:2] for waiting in backlog.waiting.values()] == [(9, 3)]
    assert [waiting[:2] for waiting in crops.claim(lease).waiting.values()] == [(3, 1)]
    assert [entry.key for entry in crops.recover(lease, after_death=False)] == [
        e.key for e in backlog.claimed
    ]


def test_crops_are_claimed_with_the_answers_to_those_before(crops: CropStore, lease: Lease) -> None:
    accept(crops, [some_crops(2, 0)])
    before = crops.claim(lease, {"digits@1:ada": 2}).claimed
    accept(crops, [some_crops(2, 1)])

    backlog = crops.finish(
        lease, [Finished(entry, answer_to(entry).pack()) for entry in before], {}, {}, MORE
    )

    assert [entry.crops for entry in backlog.claimed] == [some_crops(2, 1)]


def test_no_crops_are_claimed_with_the_snapshot_when_something_else_waits(
    crops: CropStore, lease: Lease, jobs: JobStore
) -> None:
    accept(crops, [some_crops(1)])

    of_another_version = crops.claim(lease, prefetch=Prefetch("digits@2", 8))
    nothing_asked = crops.claim(lease)
    jobs.submit(a_job(), NO_KEY, most=PLENTY)
    beside_long_work = crops.claim(lease, prefetch=MORE)

    assert not of_another_version.claimed
    assert not nothing_asked.claimed
    assert not beside_long_work.claimed


def test_crops_of_several_senders_are_not_claimed_with_the_snapshot(crops: CropStore, lease: Lease) -> None:
    for user in ("ada", "grace"):
        accept(crops, [some_crops(1)], lane=Lane("digits", "1", user))

    assert not crops.claim(lease, prefetch=MORE).claimed


def test_answers_that_have_to_be_given_again_claim_when_they_are_given(
    crops: CropStore, lease: Lease
) -> None:
    _, accepted = accept(crops, [some_crops(2)], recorded=False, reply_to=REPLY)
    [entry] = crops.claim(lease, {"digits@1:ada": 2}).claimed
    assert crops.promote(ADA, accepted.entry, a_job(), Span(0, 1))
    accept(crops, [some_crops(1, 5)])

    backlog = crops.finish(lease, [Finished(entry, answer_to(entry).pack())], {}, {}, MORE)

    assert [entry.crops for entry in backlog.claimed] == [some_crops(1, 5)]

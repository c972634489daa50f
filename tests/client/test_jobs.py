"""Submitting, watching and cancelling jobs."""

import json
from typing import Any

import pytest

from hxserve import Client, JobFailedError, ServiceError, StillRunningError
from hxserve.errors import AnswerNotUnderstoodError
from hxserve.events import parse_events
from hxserve.job_states import Eta, QueuePlace
from hxserve.jobs import Job
from tests.client.records import JOB_ID, job_record, trained
from tests.client.service import DROPPED, Reply, Service, problem


def test_a_training_is_sent_with_what_was_given_and_nothing_else(service: Service, client: Client) -> None:
    job = client.train("digits", recipe="strong", epochs=3, seed=None)

    assert job.id == JOB_ID
    assert service.requests[0].json == {
        "kind": "training",
        "model": "digits",
        "params": {"recipe": "strong", "epochs": 3},
    }


def test_a_kind_that_the_client_has_no_method_for_is_sent_all_the_same(
    service: Service, client: Client
) -> None:
    client.submit("repeatability", "digits", {"readings": 3, "seed": None})

    assert service.requests[0].json == {
        "kind": "repeatability",
        "model": "digits",
        "params": {"readings": 3},
    }


def test_an_evaluation_names_its_version(service: Service, client: Client) -> None:
    client.evaluate("digits", 3, execution="quantised")

    assert service.requests[0].json["params"] == {"version": "3", "execution": "quantised"}


def test_what_concerns_the_chip_is_sent_with_a_training(service: Service, client: Client) -> None:
    client.train("digits", start_from="3", chip_epochs=2, chip_learning_rate=0.01)

    assert service.requests[0].json["params"] == {
        "start_from": "3",
        "chip_epochs": 2,
        "chip_learning_rate": 0.01,
    }


def test_an_evaluation_says_how_often_crops_are_read(service: Service, client: Client) -> None:
    client.evaluate("digits", 3, repeats=5)

    assert service.requests[0].json["params"] == {"version": "3", "repeats": 5}


@pytest.mark.parametrize("model", ["", None])
def test_a_job_without_a_model_is_of_none(model: str | None) -> None:
    job = Job.from_record(job_record("queued", kind="calibration", model=model))

    assert job.summary == "calibration, queued, 2 of 3"


def test_a_queued_job_tells_its_place_and_its_time(service: Service, client: Client) -> None:
    service.jobs[0] = job_record("queued")

    job = client.job(JOB_ID)

    assert (job.queue, job.eta) == (QueuePlace(2, 3), Eta(20.0, 40.0))
    assert job.created_at is not None
    assert job.created_at.year == 2026
    assert "2 of 3" in repr(job)


def test_waiting_shows_every_change_and_gives_the_final_state(service: Service, client: Client) -> None:
    states = ["queued", "running", "succeeded"]
    service.jobs.clear()
    service.jobs.extend(job_record(state, n) for n, state in enumerate(states, 1))
    seen: list[str] = []

    job = client.wait(JOB_ID, on_change=lambda job: seen.append(job.state))

    assert job.state == "succeeded"
    assert seen == states


def test_waiting_asks_for_what_differs_from_what_is_known(service: Service, client: Client) -> None:
    service.jobs.appendleft(job_record("running", 5))

    client.wait(JOB_ID)

    first, second = service.requests
    assert "wait" not in first.query
    assert second.headers["If-None-Match"] == '"5"'
    assert float(second.query["wait"]) > 0


def test_waiting_outlives_a_restart_of_the_service(service: Service) -> None:
    service.jobs.appendleft(job_record("running", 5))

    def break_off(job: Job) -> None:
        if not job.is_final:
            service.faults.extend([DROPPED, problem(503, "unavailable", "starting", "0")])

    with Client(service.url, "a-token-of-the-tests", retries=0, patience_s=5) as client:
        job = client.wait(JOB_ID, on_change=break_off)

    assert job.state == "succeeded"
    assert not service.faults


def test_waiting_ends_when_its_time_is_over_and_the_job_goes_on(service: Service, client: Client) -> None:
    service.jobs[0] = job_record("running")

    with pytest.raises(StillRunningError, match="still running") as caught:
        client.wait(JOB_ID, timeout_s=0)

    assert caught.value.job.id == JOB_ID


def test_a_training_waited_for_gives_its_version(client: Client) -> None:
    job = client.train(wait=True)

    assert (job.version, job.accuracy) == ("1", 0.98)


@pytest.mark.parametrize("state", ["failed", "cancelled", "expired"])
def test_a_training_waited_for_that_gives_no_version_is_an_error(
    service: Service, client: Client, state: str
) -> None:
    service.jobs[0] = job_record(state, error={"code": "chip_failed", "message": "no link"})

    with pytest.raises(JobFailedError, match=f"{state}: no link") as caught:
        client.train(wait=True)

    assert caught.value.code == "chip_failed"


def test_jobs_come_page_by_page(service: Service, client: Client) -> None:
    pages = [[job_record(id="c"), job_record(id="b")], [job_record(id="a")]]
    service.answers["GET", "/v1/jobs"] = Reply(document={"jobs": pages[0], "next_cursor": "next"})
    jobs = client.jobs(state="running")

    first = [next(jobs).id, next(jobs).id]
    service.answers["GET", "/v1/jobs"] = Reply(document={"jobs": pages[1], "next_cursor": None})
    rest = [job.id for job in jobs]

    assert (first, rest) == (["c", "b"], ["a"])
    assert service.requests[1].query["cursor"] == "next"
    assert service.requests[1].query["state"] == "running"


def test_no_more_jobs_are_fetched_than_asked_for(service: Service, client: Client) -> None:
    assert len(list(client.jobs(limit=1))) == 1
    assert service.requests[0].query["limit"] == "1"


def test_cancelling_gives_the_job_as_it_then_is(client: Client) -> None:
    assert client.cancel(JOB_ID).cancel_requested


def test_an_unknown_job_is_refused(client: Client) -> None:
    with pytest.raises(ServiceError, match="not_found"):
        client.job("nobody")


@pytest.mark.parametrize("record", [{}, {"id": "1"}, job_record(created_at="yesterday"), job_record(queue=7)])
def test_a_record_that_is_no_job_is_recognised(record: dict[str, Any]) -> None:
    with pytest.raises(AnswerNotUnderstoodError):
        Job.from_record(record)


def test_a_job_in_a_notebook_is_escaped() -> None:
    job = Job.from_record(job_record(model="<script>"))

    assert "<script>" not in job._repr_html_()


def test_events_go_on_where_the_stream_broke(service: Service, client: Client) -> None:
    first = _stream(("1", job_record("running", 1)), ("2", job_record("running", 2)))
    second = _stream(("3", trained()))
    service.streams.extend([Reply(body=first, cut=True), Reply(body=second)])
    service.jobs[0] = job_record("running", 2)

    ids = [event.id for event in client.events(JOB_ID)]

    assert ids == ["1", "2", "3"]
    assert service.asked("GET", f"/v1/jobs/{JOB_ID}/events")[1].headers["Last-Event-ID"] == "2"


def test_events_end_with_a_job_that_is_finished(service: Service, client: Client) -> None:
    service.streams.append(Reply(body=b": nothing more\n\n"))

    assert list(client.events(JOB_ID)) == []


def test_a_stream_in_any_chunks_holds_the_same_events() -> None:
    stream = (
        b': hello\r\nid: 7\nevent: job\ndata: {"a":\ndata: "\xc3\xa9"}\n\ndata: plain\n\ndata: unfinished'
    )

    whole = list(parse_events([stream]))
    bytewise = list(parse_events(bytes([byte]) for byte in stream))

    assert whole == bytewise
    assert [(e.id, e.name, e.data) for e in whole] == [
        ("7", "job", {"a": "é"}),
        ("7", "message", "plain"),
    ]


def _stream(*events: tuple[str, dict[str, Any]]) -> bytes:
    return "".join(f"id: {n}\nevent: job\ndata: {json.dumps(job)}\n\n" for n, job in events).encode()

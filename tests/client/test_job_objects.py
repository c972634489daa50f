"""A job as an object: waiting, cancelling, results, histories and plots."""

import pickle
import sys
from collections import deque

import pytest

from hxserve import Client, Job, JobFailedError, Predictions
from hxserve.errors import ClientError
from tests.client.records import JOB_ID, job_record, predictions_document, trained
from tests.client.service import Service


def test_a_job_that_is_waited_for_is_brought_up_to_date(service: Service, client: Client) -> None:
    service.jobs = deque([job_record("queued"), job_record("running", 2), trained()])
    job = client.train("digits", "strong", 2)

    waited = job.wait()

    assert waited is job
    assert (job.state, job.version, job.accuracy) == ("succeeded", "1", 0.98)


def test_a_result_is_a_mapping_and_when_called_waits_for_it(service: Service, client: Client) -> None:
    service.jobs = deque([job_record("queued"), trained()])
    job = client.train()

    assert not job.result
    result = job.result()

    assert result == job.result == job.outcome
    assert job.result["version"] == "1"


def test_a_result_that_does_not_come_is_an_error(service: Service, client: Client) -> None:
    failed = job_record("failed", 2, error={"code": "chip_failed", "message": "no link"})
    service.jobs = deque([job_record("queued"), failed])
    job = client.train()

    with pytest.raises(JobFailedError, match="no link"):
        job.result()


def test_the_result_of_a_classification_is_its_predictions(service: Service, client: Client) -> None:
    service.jobs[0] = job_record("succeeded", kind="classification", result=predictions_document(3))

    predictions = client.job(JOB_ID).result()

    assert isinstance(predictions, Predictions)
    assert predictions.digits == [0, 1, 2]


def test_a_job_is_cancelled_and_refreshed_in_place(service: Service, client: Client) -> None:
    service.jobs[0] = job_record("running", 2)
    job = client.train()

    job.cancel()
    assert job.cancel_requested

    service.jobs[0] = job_record("cancelled", 4)
    assert job.refresh().state == "cancelled"
    assert [request.path for request in service.requests[1:]] == [
        f"/v1/jobs/{JOB_ID}/cancel",
        f"/v1/jobs/{JOB_ID}",
    ]


def test_jobs_of_a_list_have_their_client_too(service: Service, client: Client) -> None:
    service.jobs[0] = trained()

    newest, queued = client.jobs()

    assert newest.result()["accuracy"] == 0.98
    assert queued.wait().is_final


def test_a_history_is_a_frame_of_pandas_by_epoch(client: Client) -> None:
    history = client.job(JOB_ID).history

    assert list(history.index) == [1, 2]
    assert history["test_accuracy"].tolist() == [0.97, 0.98]


def test_without_pandas_a_history_is_a_list(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)

    history = client.job(JOB_ID).history

    assert [row["epoch"] for row in history] == [1, 2]


def test_a_confusion_matrix_has_a_row_for_each_digit(service: Service, client: Client) -> None:
    confusion = [[100 * row + column for column in range(10)] for row in range(10)]
    service.jobs[0] = trained() | {"result": {"confusion": confusion, "version": "1"}}

    matrix = client.job(JOB_ID).confusion()

    assert matrix.shape == (10, 10)
    assert matrix[7, 2] == 702


def test_what_is_not_there_yet_is_said_so(service: Service, client: Client) -> None:
    service.jobs[0] = job_record("running")

    with pytest.raises(ClientError, match="no confusion matrix yet, it is running"):
        client.job(JOB_ID).plot()


@pytest.mark.parametrize("kind", ["training", "evaluation"])
def test_a_plot_is_a_picture_that_a_notebook_shows(service: Service, client: Client, kind: str) -> None:
    metrics = trained()["metrics"] if kind == "training" else {}
    service.jobs[0] = trained() | {"kind": kind, "metrics": metrics}

    figure = client.job(JOB_ID).plot()

    assert len(figure.axes) == (2 if kind == "training" else 1)
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_a_job_without_its_client_says_how_to_wait_for_it(client: Client) -> None:
    copied = pickle.loads(pickle.dumps(client.job(JOB_ID)))  # noqa: S301 written here

    assert copied == client.job(JOB_ID)
    with pytest.raises(ClientError, match=r"client\.wait\(job\)"):
        copied.wait()


def test_a_job_in_a_notebook_has_curves_and_no_script(client: Client) -> None:
    html = client.job(JOB_ID)._repr_html_()

    assert html.count("<polyline") == 4
    assert "accuracy (blue: test, 98.00%)" in html
    assert "<script" not in html


def test_epochs_in_the_chips_loop_are_tinted() -> None:
    record = trained(5)
    for row in record["metrics"]["epochs"]:
        row["execution"] = "chip" if row["epoch"] > 3 else "mock"

    html = Job.from_record(record)._repr_html_()

    assert html.count('fill-opacity="0.15"') == 2
    assert "tinted: in the chip's loop" in html

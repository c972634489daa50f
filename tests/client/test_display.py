"""Progress where a person looks: at a terminal, in a notebook, and nowhere else; pictures in notebooks."""

import base64
import io
import re
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any, assert_type

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from PIL import Image

from hxserve import AsyncClient, AsyncJob, Client, Job, Predictions
from hxserve.progress import curves
from tests.client.records import job_record, trained
from tests.client.service import TOKEN, Service
from tests.client.test_guidance import at_terminal


def _learning(service: Service) -> None:
    running = job_record("running", 2, metrics=trained(5)["metrics"] | {"step": 9, "steps_total": 20})
    service.jobs = deque([job_record("queued"), running, trained(5)])


def test_a_program_at_a_terminal_shows_a_bar_and_curves(service: Service) -> None:
    _learning(service)
    program = f"import hxserve; hxserve.Client({service.url!r}, {TOKEN!r}).train().wait()"

    shown = at_terminal(["-c", program], {})

    assert "digits: succeeded: 100%" in shown
    assert "accuracy ▁▃▅▆█ 101.00%" in shown


def test_a_program_whose_output_goes_elsewhere_shows_nothing(
    service: Service, client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    _learning(service)

    with redirect_stderr(io.StringIO()) as stderr:
        client.train().wait()

    assert (capsys.readouterr().out, stderr.getvalue()) == ("", "")


def test_progress_can_be_wanted_or_not(service: Service) -> None:
    said = []
    for progress in (True, False):
        _learning(service)
        with (
            redirect_stderr(io.StringIO()) as stderr,
            Client(service.url, TOKEN, progress=progress) as client,
        ):
            client.train().wait()
        said.append(stderr.getvalue())

    assert "epoch 5/5" in said[0]
    assert said[1] == ""


def test_only_the_main_thread_shows_progress(service: Service) -> None:
    _learning(service)
    with redirect_stderr(io.StringIO()) as stderr, Client(service.url, TOKEN, progress=True) as client:
        thread = threading.Thread(target=client.train().wait)
        thread.start()
        thread.join()

    assert stderr.getvalue() == ""


def test_curves_part_where_learning_goes_to_the_chip() -> None:
    epochs: list[dict[str, Any]] = [
        {"test_accuracy": n / 10, "test_loss": 1 - n / 10, "execution": "chip" if n > 5 else "mock"}
        for n in range(1, 9)
    ]

    assert curves(epochs) == "  accuracy ▁▂▃▄▅│▆▇█ 80.00%   loss █▇▆▅▄│▃▂▁ 0.200"
    assert curves(epochs[:1]) == ""


def _outputs(notebook: nbformat.NotebookNode) -> Iterator[str]:
    for cell in notebook.cells:
        for output in cell.outputs:
            yield str(output.get("data", {}).get("text/html", ""))


@pytest.mark.timeout(180)
def test_a_notebook_shows_the_job_live_and_the_pictures_it_read(service: Service) -> None:
    _learning(service)
    connect = f"import numpy as np, hxserve\nclient = hxserve.Client({service.url!r}, {TOKEN!r})"
    cells = [f"{connect}\njob = client.train().wait()", "client.classify(np.eye(28))", "job.plot()"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])

    done = NotebookClient(notebook, timeout=120, kernel_name="python3").execute()

    live, predictions, _ = _outputs(done)
    assert "succeeded" in live
    assert live.count("<polyline") == 4
    assert "data:image/png;base64," in predictions
    assert "image/png" in done.cells[2].outputs[0].data


def test_predictions_show_the_crop_that_was_read_and_ten_bars(client: Client) -> None:
    crop = (np.arange(784) % 256).astype(np.uint8).reshape(28, 28)

    html = client.classify(crop)._repr_html_()

    picture = re.search(r"data:image/png;base64,([^\"]+)", html)
    assert picture is not None
    with Image.open(io.BytesIO(base64.b64decode(picture[1]))) as shown:
        assert np.array_equal(np.asarray(shown), crop)
    assert html.count("<rect") == 10
    assert not re.search(r"<script|https?:", html)


def test_a_large_photo_is_shown_small(client: Client) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (900, 1200, 3), np.uint8)
    Image.fromarray(noise).save("photo.jpg")

    predictions = client.classify(["photo.jpg", np.zeros((2, 28, 28), np.uint8)])

    assert Path("photo.jpg").stat().st_size > 2**16
    assert len(predictions.thumbnails) == 3
    assert len(predictions._repr_html_()) < 2**17


def test_more_than_ten_are_counted(client: Client) -> None:
    predictions = client.classify(np.zeros((1205, 28, 28), np.uint8))

    assert len(predictions.thumbnails) == 10
    assert "and 1,195 more" in predictions._repr_html_()


async def _types(client: Client, other: AsyncClient) -> None:
    """What a type checker sees; it is checked, not run."""
    job = await other.train("digits", "strong", 3)
    assert_type(job, AsyncJob)
    assert_type(client.train(recipe="conv").wait(), Job)
    assert_type(await job.wait(), AsyncJob)
    assert_type(await other.models["digits"].latest.classify(b""), Predictions)
    assert_type(client.models["digits"]["production"].classify([b"", "seven.png"]), Predictions)
    await other.train(recipe="strng")  # type: ignore[arg-type] # what is checked
    client.train(epochs="3")  # type: ignore[arg-type] # the same

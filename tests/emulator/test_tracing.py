"""A traced sequence runs again on other inputs, and only on honest sequences."""

from pathlib import Path

import pytest
import torch

import hxtorch_emulator as emulator
from hxtorch_emulator import perceptron
from hxtorch_emulator.perceptron import InferenceTracer, inference_trace, nn

pytestmark = pytest.mark.usefixtures("_quiet_chip")


def _network() -> torch.nn.Sequential:
    return torch.nn.Sequential(nn.Linear(30, 20), nn.ConvertingReLU(shift=1), nn.Linear(20, 7))


@pytest.fixture
def tracer(tmp_path: Path) -> InferenceTracer:
    """A tracer that records into the file `trace`."""
    tracer = InferenceTracer(str(tmp_path / "trace"))
    tracer.start()
    return tracer


def test_a_trace_gives_what_the_network_gave_on_another_batch(
    tracer: InferenceTracer, tmp_path: Path
) -> None:
    network = _network()
    network(torch.randint(0, 32, (5, 30)).float())

    operations = tracer.stop()

    others = torch.randint(0, 32, (8, 30)).float()
    assert operations == ["mac", "add", "converting_relu", "mac", "add"]
    assert torch.equal(inference_trace(others, str(tmp_path / "trace")), network(others))


def test_a_convolution_is_recorded_as_its_mac(tracer: InferenceTracer, tmp_path: Path) -> None:
    x, w = torch.randint(0, 32, (2, 3, 9)).float(), torch.randint(-63, 64, (4, 3, 5)).float()

    y = perceptron.conv1d(x, w, torch.ones(4))

    windows = x.unfold(-1, 5, 1).transpose(1, 2).reshape(2 * 5, 15)
    assert tracer.stop() == ["mac"]
    replayed = inference_trace(windows, str(tmp_path / "trace"))
    assert torch.equal(replayed.view(2, 5, 4).transpose(1, 2) + 1, y)


def test_an_untraced_change_between_two_operations_is_refused(tracer: InferenceTracer) -> None:
    y = perceptron.relu(torch.ones(2, 3))

    with pytest.raises(RuntimeError, match="is not the output of relu"):
        perceptron.relu(y + 1)

    tracer.stop()


def test_a_new_shape_between_two_operations_is_refused(tracer: InferenceTracer) -> None:
    y = perceptron.relu(torch.ones(2, 3))

    with pytest.raises(RuntimeError, match="is not the output of relu"):
        perceptron.relu(y.view(3, 2))

    tracer.stop()


def test_mock_operations_are_not_recorded(tracer: InferenceTracer) -> None:
    y = perceptron.relu(torch.ones(2, 3), mock=True)
    perceptron.matmul(y, torch.ones(3, 4), mock=True)
    perceptron.add(perceptron.relu(torch.ones(2, 3)), torch.ones(3))

    assert tracer.stop() == ["relu", "add"]


def test_an_empty_trace_can_be_recorded_but_not_run(tracer: InferenceTracer, tmp_path: Path) -> None:
    perceptron.relu(torch.ones(2, 3), mock=True)

    assert tracer.stop() == []
    with pytest.raises(RuntimeError, match="is empty"):
        inference_trace(torch.ones(4, 3), str(tmp_path / "trace"))


def test_a_tracer_that_is_dropped_records_no_more(tmp_path: Path) -> None:
    dropped = InferenceTracer(str(tmp_path / "dropped"))
    dropped.start()
    perceptron.relu(torch.ones(2, 3))
    del dropped

    assert perceptron.relu(torch.ones(4, 5)).shape == (4, 5)


def test_a_trace_runs_on_the_chip_alone(tracer: InferenceTracer, tmp_path: Path) -> None:
    perceptron.relu(torch.ones(2, 3))
    tracer.stop()
    emulator.release_hardware()

    with pytest.raises(RuntimeError, match=r"No connection allocated\."):
        inference_trace(torch.ones(4, 3), str(tmp_path / "trace"))


def test_tracers_nest(tracer: InferenceTracer, tmp_path: Path) -> None:
    inner = InferenceTracer(str(tmp_path / "inner"))
    y = perceptron.relu(torch.ones(2, 3))
    inner.start()
    perceptron.argmax(y)

    assert inner.stop() == ["argmax"]
    assert tracer.stop() == ["relu", "argmax"]


def test_a_tracer_that_was_not_started_cannot_stop(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="has not been started"):
        InferenceTracer(str(tmp_path / "trace")).stop()


@pytest.mark.parametrize("content", [b"", b"\x80\x04pickle", b"\xff" * 40])
def test_a_foreign_file_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "trace"
    file.write_bytes(content)

    with pytest.raises(RuntimeError, match="is no trace"):
        inference_trace(torch.zeros(2, 3), str(file))

"""A traced sequence runs again on other inputs, and only on honest sequences."""

from pathlib import Path

import pytest
import torch

from hxtorch_emulator import perceptron
from hxtorch_emulator.perceptron import InferenceTracer, inference_trace, nn

pytestmark = pytest.mark.usefixtures("_noise_free")


def _network() -> torch.nn.Sequential:
    return torch.nn.Sequential(
        nn.Linear(30, 20, mock=True), nn.ConvertingReLU(shift=1, mock=True), nn.Linear(20, 7, mock=True)
    )


def test_a_trace_gives_what_the_network_gave_on_another_batch(tmp_path: Path) -> None:
    network, file = _network(), str(tmp_path / "trace")
    tracer = InferenceTracer(file)
    tracer.start()
    network(torch.randint(0, 32, (5, 30)).float())

    operations = tracer.stop()

    others = torch.randint(0, 32, (8, 30)).float()
    assert operations == ["mac", "add", "converting_relu", "mac", "add"]
    assert torch.equal(inference_trace(others, file), network(others))


def test_convolutions_are_traced_as_one_operation_and_a_new_shape_is_no_change(tmp_path: Path) -> None:
    file = str(tmp_path / "trace")
    tracer = InferenceTracer(file)
    x, w = torch.randint(0, 32, (2, 3, 9, 8)).float(), torch.randint(-63, 64, (4, 3, 2, 5)).float()
    tracer.start()

    y = perceptron.converting_relu(
        perceptron.conv2d(x, w, torch.ones(4), stride=(2, 1), mock=True), mock=True
    )
    perceptron.relu(y.flatten(1), mock=True)

    assert tracer.stop() == ["conv2d", "converting_relu", "relu"]
    assert torch.equal(inference_trace(x, file), y)


def test_an_untraced_change_between_two_operations_is_refused(tmp_path: Path) -> None:
    tracer = InferenceTracer(str(tmp_path / "trace"))
    tracer.start()
    y = perceptron.relu(torch.ones(2, 3), mock=True)

    with pytest.raises(RuntimeError, match="is not the output of relu"):
        perceptron.relu(y + 1, mock=True)

    tracer.stop()


def test_tracers_nest(tmp_path: Path) -> None:
    outer, inner = InferenceTracer(str(tmp_path / "outer")), InferenceTracer(str(tmp_path / "inner"))
    outer.start()
    y = perceptron.relu(torch.ones(2, 3), mock=True)
    inner.start()
    perceptron.argmax(y, mock=True)

    assert inner.stop() == ["argmax"]
    assert outer.stop() == ["relu", "argmax"]


def test_a_tracer_that_was_not_started_cannot_stop(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="has not been started"):
        InferenceTracer(str(tmp_path / "trace")).stop()


@pytest.mark.parametrize("content", [b"", b"\x80\x04pickle", b"\xff" * 40])
def test_a_foreign_file_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "trace"
    file.write_bytes(content)

    with pytest.raises(RuntimeError, match="is no trace"):
        inference_trace(torch.zeros(2, 3), str(file))

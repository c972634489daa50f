"""The emulator's names behave in programs, classes and files as hxtorch's own."""

import copy
import io
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import hxtorch_emulator as emulator
from hxtorch_emulator import logger, perceptron
from hxtorch_emulator.chip import VirtualChip, calibrate
from hxtorch_emulator.connection import CalibrationPath, HWDBPath
from hxtorch_emulator.perceptron import nn

ROOT = Path(__file__).parents[2]


class _Program:
    """A class with operations as attributes, as hxtorch's own tests have them."""

    matmul = perceptron.matmul
    mac = perceptron.mac
    add = perceptron.add
    relu = perceptron.relu
    converting_relu = perceptron.converting_relu
    argmax = perceptron.argmax
    conv1d = perceptron.conv1d
    conv2d = perceptron.conv2d
    expanded_conv1d = perceptron.expanded_conv1d
    get_mock_parameter = perceptron.get_mock_parameter
    set_mock_parameter = perceptron.set_mock_parameter
    measure_mock_parameter = perceptron.measure_mock_parameter
    inference_trace = perceptron.inference_trace
    init_hardware = emulator.init_hardware
    release_hardware = emulator.release_hardware


def test_operations_do_not_bind_the_instance_of_a_class_that_has_them() -> None:
    program, x, w = _Program(), torch.ones(2, 3), torch.ones(3, 4)

    program.set_mock_parameter(program.get_mock_parameter())
    program.init_hardware()
    program.measure_mock_parameter()
    program.release_hardware()

    assert program.matmul(x, w, mock=True).shape == program.mac(x, w, mock=True).shape == (2, 4)
    assert program.add(x, x, mock=True).shape == program.relu(x, mock=True).shape == (2, 3)
    assert program.converting_relu(x, mock=True).shape == (2, 3)
    assert program.argmax(x, mock=True).shape == ()
    assert program.conv1d(torch.ones(2, 3, 5), torch.ones(4, 3, 2), mock=True).shape == (2, 4, 4)
    assert program.expanded_conv1d(torch.ones(2, 3, 5), torch.ones(4, 3, 2), mock=True).shape == (2, 4, 4)
    assert program.conv2d(torch.ones(2, 3, 5, 6), torch.ones(4, 3, 2, 2), mock=True).shape == (2, 4, 4, 5)
    with pytest.raises(RuntimeError, match="is no trace"):
        program.inference_trace(x, "no such file")


def test_an_operation_is_copied_and_pickled_by_name() -> None:
    assert copy.deepcopy(perceptron.matmul) is perceptron.matmul
    assert pickle.loads(pickle.dumps(perceptron.matmul)) is perceptron.matmul  # noqa: S301 - made just before
    assert perceptron.matmul.__name__ == "matmul"
    assert "matmul" in repr(perceptron.matmul)


def test_layers_are_those_of_torch_too() -> None:
    assert isinstance(nn.ReLU(), torch.nn.ReLU)
    assert isinstance(nn.ConvertingReLU(), torch.nn.ReLU)
    assert isinstance(nn.ConvertingReLU(), nn.ReLU)
    assert issubclass(nn.ConvNd, torch.nn.Module)
    assert isinstance(nn.Linear(3, 2), torch.nn.Linear)
    assert isinstance(nn.Conv1d(3, 2, 4), torch.nn.Conv1d)
    assert isinstance(nn.Conv2d(3, 2, 4), torch.nn.Conv2d)
    assert isinstance(nn.ExpandedConv1d(3, 2, 4), nn.Conv1d)
    for layer in (nn.Linear(3, 2), nn.Conv2d(3, 2, 4), nn.ExpandedConv1d(3, 2, 4)):
        assert isinstance(layer, nn.MACLayer)


def test_a_linear_layer_calls_its_product_by_a_name_that_can_be_replaced() -> None:
    class Plain(nn.Linear):
        _matmul = staticmethod(lambda x, weight, **_: x @ weight)

    layer, plain = nn.Linear(3, 2, bias=False, num_sends=4), Plain(3, 2, bias=False)
    calls: list[dict[str, object]] = []
    layer._matmul = lambda x, weight, **keywords: calls.append(keywords) or x @ weight  # type: ignore[func-returns-value]
    x = torch.rand(5, 3)

    assert torch.equal(plain(x), x @ plain.weight.t())
    assert torch.equal(layer(x), x @ layer.weight.t())
    assert calls == [{"num_sends": 4, "wait_between_events": 5, "mock": False}]


@pytest.mark.parametrize("kind", ["Linear", "Conv1d"])
def test_the_gradient_has_the_gain_of_the_moment_it_is_computed(kind: str) -> None:
    layer = nn.Linear(3, 2, num_sends=5, mock=True) if kind == "Linear" else nn.Conv1d(3, 2, 1, num_sends=5)
    layer.mock = True
    x = torch.full((4, 3) if kind == "Linear" else (4, 3, 1), 2.0)
    y = layer(x)

    perceptron.set_mock_parameter(perceptron.MockParameter(gain=0.01))
    y.sum().backward()

    assert layer.weight.grad is not None
    torch.testing.assert_close(layer.weight.grad, torch.full(layer.weight.shape, 4 * 2 * 5 * 0.01))


@pytest.mark.usefixtures("_quiet_chip")
@pytest.mark.parametrize(("given", "taken"), [(0.5, 1.0), (2.5, 3.0), (-2.5, -3.0), (4.5, 5.0), (1.49, 1.0)])
def test_the_chip_rounds_halves_away_from_zero(given: float, taken: float) -> None:
    inputs, weights = torch.full((2, 90), 31.0), torch.full((90, 5), 3.0)

    assert torch.equal(
        perceptron.matmul(inputs, weights * 0 + given), perceptron.matmul(inputs, weights * 0 + taken)
    )
    if given > 0:
        assert torch.equal(
            perceptron.matmul(inputs * 0 + given, weights), perceptron.matmul(inputs * 0 + taken, weights)
        )


@pytest.mark.parametrize(
    "arguments",
    [("cocolist.pbin",), (Path("x"),), (None, 1), (CalibrationPath("x"), True), (CalibrationPath("x"), None)],
)
def test_opening_with_other_types_is_refused(arguments: tuple[object, ...]) -> None:
    with pytest.raises(TypeError):
        emulator.init_hardware(*arguments)  # type: ignore[arg-type]


def test_paths_are_text_and_identifiers_are_asked_for_with_a_database() -> None:
    with pytest.raises(TypeError):
        CalibrationPath(Path("x"))  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        HWDBPath(Path("x"))  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        emulator.init_hardware(calibration_path="x")  # type: ignore[arg-type]
    emulator.init_hardware()
    with pytest.raises(TypeError):
        emulator.get_unique_identifier("x")  # type: ignore[arg-type]


def test_a_calibration_may_be_named_by_keyword(tmp_path: Path) -> None:
    sha256 = calibrate(VirtualChip("a")).write(tmp_path / "hagen_cocolist.pbin")

    emulator.init_hardware(calibration_path=CalibrationPath(str(tmp_path / "hagen_cocolist.pbin")))

    file = emulator.connection.calibration_file()
    assert file is not None
    assert file.sha256 == sha256


def test_a_database_is_read_for_perceptron_alone(tmp_path: Path) -> None:
    emulator.init_hardware(HWDBPath(str(tmp_path / "missing")))

    with pytest.raises(RuntimeError, match="cannot read the calibration"):
        emulator.init_hardware(HWDBPath(str(tmp_path / "missing")), ann=True)


def test_hxtorch_logs_from_info_on_and_apart_from_python(capsys: pytest.CaptureFixture[str]) -> None:
    logger.default_config(logger.LogLevel.INFO)
    log = logger.get("test.stand_in")
    log.INFO("accuracy", 0.98)
    log.DEBUG("unseen")
    logger.set_loglevel(logger.get_root(), logger.LogLevel.DEBUG)
    log.DEBUG("seen")
    logger.set_loglevel(log, logger.LogLevel.ERROR)
    log.WARN("unseen too")
    logger.default_config(logger.LogLevel.INFO)

    written = capsys.readouterr().err.splitlines()

    assert [line.split("test.stand_in ")[1] for line in written] == ["accuracy 0.98", "seen"]


_SAVE = """
import hxtorch, torch, sys, logging
from hxtorch.perceptron import nn
log = hxtorch.logger.get("example")
log.INFO("from the import on")
assert not logging.getLogger().handlers
network = torch.nn.Sequential(
    nn.Linear(6, 4, num_sends=2, mock=True), nn.ConvertingReLU(mock=True), nn.Conv1d(4, 2, 1, mock=True),
    nn.ExpandedConv1d(4, 2, 1, mock=True), nn.Conv2d(4, 2, 1, mock=True), nn.ReLU(mock=True))
network[0].input_transform = nn.scale_input
network.operation = hxtorch.perceptron.matmul
torch.save(network, sys.argv[1])
import torchvision
assert torchvision.transforms.functional
"""


@pytest.mark.system
def test_a_program_saves_modules_under_hxtorch_s_names_and_has_torchvision(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(_SAVE)

    done = subprocess.run(
        [sys.executable, "-m", "hxtorch_emulator", "program.py", "network.pt"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "from the import on" in done.stderr
    modules = _modules_named_by((tmp_path / "network.pt").read_bytes())
    assert {name for name in modules if "hxtorch" in name} == {"hxtorch.perceptron", "hxtorch.perceptron.nn"}


def _modules_named_by(saved: bytes) -> set[str]:
    """The modules that the pickle in a file of `torch.save` names."""
    names: set[str] = set()

    class _Reader(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> object:
            del name
            names.add(module)
            return _Anything

        def persistent_load(self, pid: object) -> object:
            del pid
            return _Anything()

    archive = torch._C.PyTorchFileReader(io.BytesIO(saved))
    _Reader(io.BytesIO(archive.get_record("data.pkl"))).load()
    return names


class _Anything(dict[object, object]):
    """Stands for whatever a pickle names."""

    def __init__(self, *_: object) -> None:
        super().__init__()

    def __setstate__(self, state: object) -> None:
        del state

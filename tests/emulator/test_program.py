"""Programs written for hxtorch run on the emulator unchanged."""

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from hxtorch_emulator.__main__ import main

ROOT = Path(__file__).parents[2]

PROGRAM = """
import sys
import hxtorch
import hxtorch.perceptron as hxp
import hxtorch.ann.nn
from hxtorch.perceptron.nn import Linear
import torch

log = hxtorch.logger.get("program")
hxtorch.logger.default_config(level=hxtorch.logger.LogLevel.INFO)
assert hxtorch.ann is hxp and hxtorch.ann.nn.Linear is Linear and __name__ == "__main__"
hxtorch.init_hardware()
hxp.set_mock_parameter(hxp.measure_mock_parameter())
log.INFO("chip", hxtorch.get_unique_identifier()[0])
print(Linear(7, 5, num_sends=2)(torch.ones(3, 7)).shape, sys.argv[1:])
hxtorch.release_hardware()
"""


def _run(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hxtorch_emulator", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@pytest.mark.system
def test_a_script_runs_with_its_arguments_on_the_chip_it_asks_for(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)

    done = _run("--chip", "bench7", "program.py", "--fast", "9", folder=tmp_path)

    assert done.stdout.strip() == "torch.Size([3, 5]) ['--fast', '9']", done.stderr
    assert "chip bench7" in done.stderr


@pytest.mark.system
def test_a_module_runs_likewise(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)

    done = _run("-m", "program", "x", folder=tmp_path)

    assert done.stdout.strip() == "torch.Size([3, 5]) ['x']", done.stderr


SPAWNING = """
import multiprocessing
import hxtorch
import torch

def double(number):
    return hxtorch.perceptron.add(torch.tensor([number]), torch.tensor([number]), mock=True).item()

if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print(pool.map(double, [1.0, 20.0]))
"""


@pytest.mark.system
def test_processes_that_a_program_spawns_import_hxtorch_too(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(SPAWNING)

    done = _run("program.py", folder=tmp_path)

    assert done.stdout.strip() == "[2.0, 40.0]", done.stderr


CELLS = [
    "from _static.common.helpers import get_nightly_calibration, save_nightly_calibration, setup_hardware_client",
    "setup_hardware_client()",
    "save_nightly_calibration('hagen_cocolist.pbin')\nimport hxtorch",
    "hxtorch.init_hardware(hxtorch.CalibrationPath('hagen_cocolist.pbin'))",
    "%matplotlib inline",
    "print(get_nightly_calibration().chip_id == hxtorch.get_unique_identifier()[0], get_ipython() is not None)",
]


@pytest.mark.system
def test_a_notebook_runs_with_the_helpers_of_the_teaching_ones(tmp_path: Path) -> None:
    (tmp_path / "_static").mkdir()
    cells = [nbformat.v4.new_code_cell(cell) for cell in CELLS]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "teaching.ipynb")

    done = _run("--chip", "bench7", "teaching.ipynb", folder=tmp_path)

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip().endswith("True True")
    assert "Connection to bench7 established" in done.stderr


@pytest.mark.system
def test_a_cell_that_fails_ends_a_notebook(tmp_path: Path) -> None:
    cells = [nbformat.v4.new_code_cell(cell) for cell in ("import hxtorch\n1 / 0", "print('later')")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "failing.ipynb")

    done = _run("failing.ipynb", folder=tmp_path)

    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stdout + done.stderr
    assert "later" not in done.stdout


@pytest.mark.system
def test_a_real_hxtorch_is_never_hidden(tmp_path: Path) -> None:
    (tmp_path / "hxtorch.py").write_text("")
    (tmp_path / "program.py").write_text(PROGRAM)

    done = _run("program.py", folder=tmp_path)

    assert done.returncode != 0
    assert "the real hxtorch is importable here" in done.stderr


@pytest.mark.parametrize("arguments", [[], ["missing.py"], ["--what"]])
def test_a_call_without_a_program_shows_the_usage(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)

    # Python shows a text as the reason on stderr, and ends with 1.
    assert "usage: python -m hxtorch_emulator" in str(ended.value.code)

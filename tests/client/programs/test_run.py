"""`hxserve run`: scripts, modules and notebooks written for hxtorch, on the shared chip."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from click.testing import CliRunner

from hxserve.cli import cli
from tests.client.programs.sharing_service import IDENTIFIER, SharingService
from tests.client.service import TOKEN

Run = Callable[..., subprocess.CompletedProcess[str]]

PROGRAM = """
import sys
from _static.common.helpers import get_nightly_calibration, save_nightly_calibration, setup_hardware_client
import hxtorch
import hxtorch.perceptron as hxp
import torch
from torchvision import transforms

setup_hardware_client()
save_nightly_calibration("hagen_cocolist.pbin")
hxtorch.init_hardware(hxtorch.CalibrationPath("hagen_cocolist.pbin"))
hxp.set_mock_parameter(hxp.MockParameter(noise_std=0.0, gain=0.01))
layer = hxp.nn.Linear(20, 3, num_sends=1)
x = torch.rand(5, 20) * 31
y = layer(x)
layer.mock = True
print(hxtorch.get_unique_identifier()[0], torch.equal(y, layer(x)), sys.argv[1:])
print(get_nightly_calibration().name.chip, transforms.ToTensor.__name__)
"""


@pytest.fixture
def run(sharing: SharingService, tmp_path: Path) -> Run:
    """Runs `hxserve` against the service, in a folder of the test's own."""

    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {
            "HXSERVE_URL": sharing.url,
            "HXSERVE_TOKEN": TOKEN,
            "OMP_NUM_THREADS": "1",
        }
        return subprocess.run(
            [sys.executable, "-m", "hxserve", *arguments],
            cwd=tmp_path,
            env=environment | variables,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def _notebook(path: Path, *sources: str) -> None:
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)


def _outputs(path: Path) -> list[Any]:
    notebook: dict[str, Any] = json.loads(path.read_text())
    return [cell["outputs"] for cell in notebook["cells"] if cell["cell_type"] == "code"]


def test_a_script_runs_unchanged_on_the_shared_chip(
    sharing: SharingService, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)

    done = run("run", "--chip", "chip-1", "program.py", "--fast", "9")

    assert done.stdout == f"{IDENTIFIER} True ['--fast', '9']\nchip-1 ToTensor\n", done.stderr
    assert done.returncode == 0
    assert {session.request["chip"] for session in sharing.sessions.values()} == {"chip-1"}
    assert {session.state for session in sharing.sessions.values()} == {"succeeded"}
    assert sharing.sessions["session-1"].request["program"] == "program.py"
    assert f"Connection to {IDENTIFIER} established" in done.stderr
    assert len(sharing.computed) == 1


def test_a_module_runs_likewise_and_ends_with_its_own_exit_code(run: Run, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM + "sys.exit(7)\n")

    done = run("run", "-m", "program", "--json")

    assert done.stdout.startswith(f"{IDENTIFIER} True ['--json']"), done.stderr
    assert done.returncode == 7


def test_a_program_may_choose_the_shared_chip_itself(sharing: SharingService, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("import hxserve.hxtorch\n" + PROGRAM)
    environment = os.environ | {"HXSERVE_URL": sharing.url, "HXSERVE_TOKEN": TOKEN}

    done = subprocess.run(
        [sys.executable, "program.py"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout == f"{IDENTIFIER} True []\nchip-1 ToTensor\n", done.stderr


def test_a_program_that_fails_ends_with_its_traceback(run: Run, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("import hxtorch\nhxtorch.perceptron.relu(None)\n")

    done = run("run", "program.py")

    assert done.returncode == 1
    assert 'program.py", line 2' in done.stderr
    assert "No connection allocated." in done.stderr


def test_without_a_service_the_mock_computes_and_the_chip_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(
        "import hxtorch, torch\n"
        "print(hxtorch.perceptron.matmul(torch.ones(3), torch.ones(3, 2), mock=True).shape)\n"
        "hxtorch.init_hardware()\n"
    )

    done = run("run", "program.py", HXSERVE_URL="", HXSERVE_TOKEN="")

    assert done.stdout == "torch.Size([2])\n"
    assert "no service was started with the data folder 'data'" in done.stderr


def test_a_genuine_hxtorch_is_never_replaced(run: Run, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "hxtorch.py").write_text("")
    (tmp_path / "program.py").write_text(PROGRAM)

    done = run(
        "run",
        "program.py",
        PYTHONPATH=f"{tmp_path / 'elsewhere'}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
    )

    assert done.returncode == 1
    assert "hxserve: genuine_hxtorch: hxtorch itself is installed here" in done.stderr
    assert "plain `python`" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "name a script, a notebook, or a module"),
        (["--param", "n=1", "program.py"], "--param, --expr and --output are for notebooks"),
        (["-m"], "name a script, a notebook, or a module"),
        (["--parm", "n=1", "lab.ipynb"], "No such option '--parm'"),
        (["program.py"], "program.py: there is no such script"),
        (["lab.ipynb", "n=1"], "a notebook takes no arguments"),
        (["--param", "n", "lab.ipynb"], "not of the form name=value"),
        (["missing.ipynb"], "missing.ipynb: No such file or directory"),
    ],
)
def test_a_wrong_command_line_is_explained(arguments: list[str], said: str) -> None:
    result = CliRunner().invoke(cli, ["run", *arguments])

    assert result.exit_code in {1, 2}
    assert said in " ".join(result.stderr.split())


def test_a_notebook_is_run_and_saved_beside_itself(sharing: SharingService, run: Run, tmp_path: Path) -> None:
    (tmp_path / "lab").mkdir()
    _notebook(
        tmp_path / "lab" / "digits.ipynb",
        "%matplotlib inline\nbatch = 3",
        "import ipycanvas, ipywidgets\nfrom tqdm.auto import tqdm\nfor _ in tqdm(range(2)): pass",
        PROGRAM,
        "",
        "print(batch, ipycanvas.Canvas(width=9).width)",
    )

    done = run("run", "--param", "batch=8", "lab/digits.ipynb")

    assert done.returncode == 0, done.stderr
    assert "cell 4/4" in done.stderr
    assert "4 cells of lab/digits.ipynb ran" in done.stdout
    outputs = _outputs(tmp_path / "lab" / "digits.executed.ipynb")
    assert outputs[4][0]["text"] == ["8 9\n"]
    assert any(f"{IDENTIFIER} True" in "".join(output.get("text", "")) for output in outputs[2])
    assert (tmp_path / "lab" / "hagen_cocolist.pbin").exists()
    assert {session.state for session in sharing.sessions.values()} == {"succeeded"}
    assert sharing.sessions["session-1"].request["program"] == "digits.ipynb"
    assert _outputs(tmp_path / "lab" / "digits.ipynb") == [[]] * 5


WIDGETS = """
output = w.Output()

@w.interact(number=w.IntSlider(3, 0, 9))
def show(number):
    output.clear_output(wait=True)
    with output:
        display(number)

for number in range(4):
    show(number)
display(output)
"""


def test_cells_with_widgets_end(run: Run, tmp_path: Path) -> None:
    imports = "import ipywidgets as w\nfrom IPython.display import display"
    _notebook(tmp_path / "lab.ipynb", imports, *[WIDGETS] * 40)

    done = run(
        "run", "lab.ipynb"
    )  # nbclient alone misses a reply in a few of hundreds of such cells, and waits on

    assert "41 cells of lab.ipynb ran" in done.stdout, done.stderr


def test_a_cell_that_fails_is_named_and_its_traceback_saved(run: Run, tmp_path: Path) -> None:
    _notebook(tmp_path / "lab.ipynb", "print('first')", "import os", "1 / 0", "print('never')")

    done = run("run", "-o", "ran.ipynb", "lab.ipynb")

    assert done.returncode == 1
    assert "hxserve: cell_failed: code cell 3: ZeroDivisionError: division by zero" in done.stderr
    outputs = _outputs(tmp_path / "ran.ipynb")
    assert outputs[0][0]["text"] == ["first\n"]
    assert outputs[2][0]["ename"] == "ZeroDivisionError"
    assert outputs[3] == []


def test_a_cell_that_ends_the_kernel_is_named(run: Run, tmp_path: Path) -> None:
    _notebook(tmp_path / "lab.ipynb", "print('first')", "import os; os._exit(3)")

    done = run("run", "lab.ipynb")

    assert done.returncode == 1
    assert "hxserve: cell_failed: code cell 2 ended the kernel" in done.stderr


def test_the_command_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hxserve.cli.programs._CHIP_LIBRARIES", ("torch_that_is_missing",))

    result = CliRunner().invoke(cli, ["run", "program.py"])

    assert result.exit_code == 1
    assert "programs_not_installed" in result.stderr
    assert "hxserve[hxtorch,kernel]" in result.stderr


def test_importing_the_client_loads_no_torch() -> None:
    code = "import hxserve, hxserve.cli, json, sys; print(json.dumps(sorted(sys.modules)))"

    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    loaded = {name.split(".")[0] for name in json.loads(said)}
    assert "hxserve" in loaded
    assert loaded.isdisjoint({"torch", "hxtorch_emulator", "safetensors", "ipykernel", "nbclient", "numpy"})

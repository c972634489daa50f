"""What `import hxtorch` and the notebooks' helpers mean once a program uses the shared chip."""

import subprocess
import sys
from pathlib import Path

CHOOSING = "import hxserve.hxtorch as shared, hxtorch\n"


def _python(code: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr


def test_hxtorch_and_the_helpers_are_those_of_the_shared_chip(tmp_path: Path) -> None:
    (tmp_path / "_static" / "common").mkdir(parents=True)
    (tmp_path / "_static" / "common" / "helpers.py").write_text("raise RuntimeError('the one for a cluster')")
    (tmp_path / "_static" / "common" / "plots.py").write_text("colour = 'grey'")
    code = CHOOSING + (
        "from hxtorch.perceptron.nn import Linear\n"
        "from _static.common.helpers import setup_hardware_client\n"
        "from _static.common.plots import colour\n"
        "import hxserve.hxtorch\n"
        "print(shared.perceptron.nn.Linear is Linear, shared.init_hardware is hxtorch.init_hardware)\n"
        "print(setup_hardware_client.__module__, colour)\n"
    )

    assert _python(code, tmp_path) == "True True\nhxserve.programs.notebook_setup grey\n"


SPAWNING = """
import multiprocessing
import hxtorch_emulator

hxtorch_emulator.install()
import hxserve.hxtorch

def chip(_):
    import hxtorch
    from hxtorch_emulator.connection import chosen_chip
    from _static.common.helpers import setup_hardware_client
    return type(chosen_chip()).__name__, setup_hardware_client.__module__

if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print(pool.map(chip, [0]))
"""


def test_processes_that_a_program_spawns_use_the_shared_chip_and_no_virtual_one(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(SPAWNING)

    said = _python("import runpy; runpy.run_path('program.py', run_name='__main__')", tmp_path)

    assert said == "[('RemoteChip', 'hxserve.programs.notebook_setup')]\n"


def test_a_genuine_hxtorch_refuses_the_one_line(tmp_path: Path) -> None:
    (tmp_path / "hxtorch.py").write_text("")

    said = _python("import hxserve.hxtorch", tmp_path)

    assert "SharedChipError: hxtorch itself is installed here" in said


def test_an_open_chip_of_the_emulator_is_not_replaced(tmp_path: Path) -> None:
    code = "import hxtorch_emulator\nhxtorch_emulator.init_hardware_minimal()\nimport hxserve.hxtorch"

    assert "RuntimeError: a chip is open" in _python(code, tmp_path)

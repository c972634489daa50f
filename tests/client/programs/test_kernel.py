"""The Jupyter kernel "hxserve (shared chip)"."""

import json
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import KernelManager

from hxserve.cli import cli
from tests.client.programs.sharing_service import IDENTIFIER, SharingService
from tests.client.service import TOKEN

SETUP = "from _static.common.helpers import setup_hardware_client\nsetup_hardware_client()"
USE = "import hxtorch, torch\nhxtorch.init_hardware()\nprint(hxtorch.get_unique_identifier()[0])"


def _install(*options: str, **variables: str) -> dict[str, Any]:
    result = CliRunner(env=variables).invoke(cli, ["kernel", "install", "--json", *options])
    assert result.exit_code == 0, result.output
    said: dict[str, Any] = json.loads(result.stdout)
    return said


@pytest.fixture
def kernel_folder(sharing: SharingService, tmp_path: Path) -> Path:
    """The installed kernel, which knows the service."""
    said = _install("--prefix", str(tmp_path / "env"), "--url", sharing.url, "--token", TOKEN)
    return Path(said["folder"])


@pytest.fixture
def jupyter(kernel_folder: Path, tmp_path: Path) -> Iterator[BlockingKernelClient]:
    """A client of a running kernel, as Jupyter starts it from its folder."""
    with _started(kernel_folder, tmp_path) as client:
        yield client


class _started:  # noqa: N801 - used like a function
    """A kernel of the installed specification, for the length of a context."""

    def __init__(self, kernel_folder: Path, cwd: Path, **variables: str) -> None:
        finder = KernelSpecManager(kernel_dirs=[str(kernel_folder.parent)])
        self._manager = KernelManager(kernel_name=kernel_folder.name, kernel_spec_manager=finder)
        self._cwd, self._environment = str(cwd), {**os.environ, **variables}

    def __enter__(self) -> BlockingKernelClient:
        self._manager.start_kernel(cwd=self._cwd, env=self._environment)
        self._client: BlockingKernelClient = self._manager.client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=100)
        return self._client

    def __exit__(self, *_: object) -> None:
        self._client.stop_channels()
        self._manager.shutdown_kernel()


def _say(client: BlockingKernelClient, code: str) -> str:
    """Run a cell; return what it printed, or the error."""
    said: list[str] = []

    def hear(message: dict[str, Any]) -> None:
        content = message["content"]
        if message["msg_type"] in {"stream", "error"}:
            said.append(content.get("text") or f"{content['ename']}: {content['evalue']}")

    client.execute_interactive(code, timeout=100, output_hook=hear)
    return "".join(said)


def test_a_notebook_written_for_the_chip_runs_unchanged(
    sharing: SharingService, jupyter: BlockingKernelClient
) -> None:
    assert f"Connection to {IDENTIFIER} established" in _say(jupyter, SETUP)
    assert IDENTIFIER in _say(jupyter, USE)

    weights = _say(jupyter, "print(hxtorch.perceptron.matmul(torch.ones(2, 3), torch.ones(3, 4)).shape)")

    assert "torch.Size([2, 4])" in weights
    assert len(sharing.computed) == 1


def test_a_genuine_hxtorch_is_refused_where_it_is_imported(kernel_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "hxtorch.py").write_text("")
    paths = f"{tmp_path / 'elsewhere'}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"

    with _started(kernel_folder, tmp_path, PYTHONPATH=paths) as client:
        said = _say(client, "import hxtorch")

    assert "ImportError: hxtorch itself is installed here" in said


def test_an_installed_kernel_names_itself_and_the_service(
    kernel_folder: Path, sharing: SharingService
) -> None:
    content = json.loads((kernel_folder / "kernel.json").read_text())

    assert kernel_folder.parts[-4:] == ("share", "jupyter", "kernels", "hxserve")
    assert content["display_name"] == "hxserve (shared chip)"
    assert content["env"] == {"HXSERVE_URL": sharing.url, "HXSERVE_TOKEN": TOKEN}
    assert content["argv"][0] == sys.executable


def test_a_kernel_with_a_token_is_its_owners_alone(kernel_folder: Path) -> None:
    assert stat.S_IMODE((kernel_folder / "kernel.json").stat().st_mode) == 0o600


def test_a_token_of_the_environment_is_not_written(tmp_path: Path) -> None:
    said = _install(
        "--prefix", str(tmp_path), "--chip", "chip-2", HXSERVE_URL="http://host:8080", HXSERVE_TOKEN=TOKEN
    )

    content = json.loads((Path(said["folder"]) / "kernel.json").read_text())
    assert content["env"] == {"HXSERVE_CHIP_ID": "chip-2", "HXSERVE_URL": "http://host:8080"}


def test_a_kernel_finds_the_service_of_this_machine_from_any_folder(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "url").write_text("http://127.0.0.1:8080")

    said = _install("--prefix", str(tmp_path))

    content = json.loads((Path(said["folder"]) / "kernel.json").read_text())
    assert content["env"] == {"HXSERVE_DATA_DIR": str(tmp_path / "data")}


def test_a_kernel_without_a_service_is_not_installed() -> None:
    result = CliRunner().invoke(cli, ["kernel", "install"])

    assert result.exit_code == 3
    assert "hxserve up" in result.stderr

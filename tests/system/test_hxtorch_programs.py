"""Programs written for hxtorch, on the chip of a real service, through `hxserve run`."""

import json
import os
import signal
import struct
import subprocess
import sys
import threading
from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import nbformat
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

import hxtorch_emulator
from deploy.local import Local, running
from hxserve import Client
from hxserve.errors import SharedChipError
from hxserve.programs.remote_chip import RemoteChip
from services.settings import load_settings
from tests.needs import shared_folder
from tests.system.conftest import wait_until
from worker.learning.datasets import Dataset, load_dataset

IN_THE_LOOP = """
import hashlib
import hxtorch
import torch
from _static.common.helpers import save_nightly_calibration, setup_hardware_client

setup_hardware_client()
save_nightly_calibration("hagen_cocolist.pbin")
hxtorch.init_hardware(hxtorch.CalibrationPath("hagen_cocolist.pbin"))
hxtorch.perceptron.set_mock_parameter(hxtorch.perceptron.MockParameter(noise_std=0.0, gain=0.002))
torch.manual_seed(0)
model = torch.nn.Sequential(
    hxtorch.perceptron.nn.Linear(60, 20),
    hxtorch.perceptron.nn.ConvertingReLU(shift=1),
    hxtorch.perceptron.nn.Linear(20, 4),
)
optimizer = torch.optim.SGD(model.parameters(), lr=20.0)
for step in range(30):
    x = torch.randint(32, (16, 60)).float()
    labels = x.view(16, 4, 15).sum(2).argmax(1)
    optimizer.zero_grad()
    loss = torch.nn.functional.cross_entropy(model(x) / 10, labels)
    loss.backward()
    optimizer.step()
    print("step", step, flush=True)
digest = hashlib.sha256()
for parameter in model.parameters():
    digest.update(parameter.detach().numpy().tobytes())
print("loss", loss.item(), "weights", digest.hexdigest(), flush=True)
"""


TRAINED_AND_PUBLISHED = """
import hxtorch
import numpy as np
import torch
from hxserve.hxtorch import publish

hxtorch.init_hardware()
hxtorch.perceptron.set_mock_parameter(hxtorch.perceptron.measure_mock_parameter())
torch.manual_seed(0)
nn = hxtorch.perceptron.nn


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.features = torch.nn.Sequential(nn.Conv2d(1, 4, 6, stride=4), nn.ConvertingReLU(mock=True))
        self.read = nn.Linear(4 * 6 * 6, 10)

    def forward(self, x):
        return self.read(self.features(x * 31.0).flatten(1))


data = np.load("digits.npz")
images = torch.from_numpy((data["images"] > 127).astype(np.float32)).unsqueeze(1)
labels = torch.from_numpy(data["labels"])
model = Model()
optimizer = torch.optim.Adam(model.parameters(), lr=1.0)
for step in range(25):
    chosen = torch.randint(len(images), (100,))
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(model(images[chosen]) / 10, labels[chosen]).backward()
    optimizer.step()
job = publish(model, "brought", crops=data["images"][:5])
hxtorch.release_hardware()
print("published", job.model, job.version, flush=True)
"""


class Program:
    """`hxserve run` of a program, and what it has printed so far; its process ends with the context."""

    def __init__(self, folder: Path, local: Local, *arguments: str, token: str | None = None) -> None:
        self.lines: list[str] = []
        service = {"HXSERVE_URL": local.url, "HXSERVE_TOKEN": token or local.token}
        self._errors = folder / "stderr"
        with self._errors.open("w") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "hxserve", "run", *arguments],
                cwd=folder,
                env=os.environ | service | {"OMP_NUM_THREADS": "1"},
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        self._reading = threading.Thread(target=self._read)
        self._reading.start()

    @classmethod
    def in_the_loop(cls, folder: Path, local: Local, token: str | None = None) -> Self:
        """Starts the program above in a new folder."""
        folder.mkdir()
        (folder / "in_the_loop.py").write_text(IN_THE_LOOP)
        return cls(folder, local, "in_the_loop.py", token=token)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._reading.join()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as stdout:
            self.lines.extend(iter(stdout.readline, ""))

    def wait_for(self, line: str) -> None:
        """Returns when the program has printed the line."""
        wait_until(lambda: f"{line}\n" in self.lines or self._process.poll() is not None)
        assert f"{line}\n" in self.lines, self._errors.read_text()

    def finish(self, timeout_s: float = 100) -> str:
        """Returns the last line when the program has ended well."""
        status = self._process.wait(timeout=timeout_s)
        self._reading.join()
        assert status == 0, self._errors.read_text()
        return self.lines[-1].strip()


@pytest.fixture(scope="module")
def noiseless(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    """A service on a virtual chip without noise and drift: the same program reaches the same weights."""
    folder: Path = tmp_path_factory.mktemp("noiseless")
    (folder / "parameters.json").write_text(json.dumps({"noise_std_lsb": 0.0, "drift_lsb": 0.0}))
    settings = load_settings(
        data_dir=folder / "data",
        chip="emulator",
        virtual_chip_parameters=folder / "parameters.json",
        port=0,
        lease_s=2,
        calibrate_at=None,
        recalibrate_on_drift=False,
    )
    with running(settings) as local:
        yield local


def test_a_program_in_the_loop_outlives_worker_api_and_redis(noiseless: Local, tmp_path: Path) -> None:
    with Program.in_the_loop(tmp_path / "undisturbed", noiseless) as program:
        undisturbed = program.finish()

    with Program.in_the_loop(tmp_path / "disturbed", noiseless) as program:
        for step, name in ((5, "worker"), (12, "api"), (19, "redis")):
            program.wait_for(f"step {step}")
            _kill(noiseless, name)
        disturbed = program.finish()

    assert "weights" in undisturbed
    assert disturbed == undisturbed


def _kill(local: Local, name: str) -> None:
    """Kills a process, and starts it again as a supervisor would."""
    process = local.processes[name]
    os.kill(process.pid, signal.SIGKILL)
    wait_until(lambda: process.exit_status() is not None)
    process.revive()


def test_two_users_programs_run_at_once_and_are_charged_to_each(noiseless: Local, tmp_path: Path) -> None:
    with Client(noiseless.url, noiseless.token) as admin:
        tokens = {name: admin.users.add(name)["token"] for name in ("ada", "grace")}

        with (
            Program.in_the_loop(tmp_path / "ada", noiseless, tokens["ada"]) as one,
            Program.in_the_loop(tmp_path / "grace", noiseless, tokens["grace"]) as other,
        ):
            assert one.finish() == other.finish()

        for name in tokens:
            used = [job for job in admin.jobs(kind="program", user=name) if job.chip_time_s > 0]
            assert [(job.state, job.params["program"]) for job in used] == [("succeeded", "in_the_loop.py")]
            assert admin.job(used[0].id).result == {"operations": 60}


@pytest.fixture
def small_mnist(tmp_path: Path) -> Path:
    """A folder in torchvision's layout with a few hundred digits."""
    raw = tmp_path / "mnist" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    digits = load_dataset("digits")
    for name, images, labels in (
        ("train", digits.train_images, digits.train_labels),
        ("t10k", digits.test_images, digits.test_labels),
    ):
        _write_idx(raw / f"{name}-images-idx3-ubyte", images[:400].numpy().reshape(-1, 28, 28))
        _write_idx(raw / f"{name}-labels-idx1-ubyte", labels[:400].numpy())
    return tmp_path / "mnist"


def _write_idx(path: Path, values: NDArray[Any]) -> None:
    sizes = struct.pack(f">{values.ndim}I", *values.shape)
    path.write_bytes(struct.pack(">HBB", 0, 8, values.ndim) + sizes + values.astype(np.uint8).tobytes())


@pytest.mark.parametrize(
    "model", ["Model()", pytest.param("Model(mock=False)", marks=pytest.mark.long)], ids=["mock", "chip"]
)
def test_the_teaching_notebook_runs_unchanged(
    noiseless: Local, small_mnist: Path, tmp_path: Path, model: str
) -> None:
    name = "lab-mock" if model == "Model()" else "lab-chip"
    (tmp_path / f"{name}.ipynb").write_bytes((shared_folder("seed") / "notebook.ipynb").read_bytes())
    options = ("--param", f"data_path={small_mnist}", "--param", "num_epochs=2", "--expr", f"model={model}")

    with Program(tmp_path, noiseless, *options, f"{name}.ipynb") as program:
        said = program.finish()

    assert said == f"12 cells of {name}.ipynb ran; with their outputs they are in {name}.executed.ipynb"
    outputs = [
        cell.get("outputs", []) for cell in nbformat.read(tmp_path / f"{name}.executed.ipynb", 4).cells
    ]
    assert "".join(output.get("text", "") for output in outputs[9]).count("Genauigkeit: ") == 2
    assert not any(output.output_type == "error" for cell in outputs for output in cell)
    with Client(noiseless.url, noiseless.token) as client:
        sessions = [job for job in client.jobs(kind="program") if job.params["program"] == f"{name}.ipynb"]
    assert sum(job.chip_time_s > 0 for job in sessions) == 1


def test_a_program_publishes_its_network_which_is_then_served_like_any_other(
    noiseless: Local, tmp_path: Path
) -> None:
    dataset = load_dataset("digits")
    images = dataset.train_images.numpy()
    np.savez(tmp_path / "digits.npz", images=images, labels=dataset.train_labels.numpy())
    (tmp_path / "lab.py").write_text(TRAINED_AND_PUBLISHED)
    with Program(tmp_path, noiseless, "lab.py") as program:
        assert program.finish() == "published brought 1"

    with Client(noiseless.url, noiseless.token) as client:
        read = client.classify(dataset.test_images.numpy(), "brought", repeats=1)
        measured = client.evaluate("brought", execution="quantised", wait=True)
        path = client.download_weights("brought", path=tmp_path)
        client.set_alias("brought", "production", 1)
        model = client.model("brought")
        again = client.upload(path, "brought", wait=True)
        gain = client.chip()["chips"][0]["gain"]

    [manifest] = model["versions"]
    assert (manifest["source"], manifest["metrics"], model["aliases"]["production"]) == ("upload", {}, "1")
    assert again.version == "2"
    assert np.mean([one.digit == label for one, label in zip(read, dataset.test_labels, strict=True)]) > 0.6
    assert measured.accuracy == pytest.approx(_accuracy_at_home(path, gain, dataset), abs=0)


def _accuracy_at_home(path: Path, gain: float, dataset: Dataset) -> float:
    """The accuracy of a downloaded version in plain layers of hxtorch, without noise."""
    nn, content = hxtorch_emulator.perceptron.nn, path.read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])["__metadata__"]["hxserve"]
    conv, *_, linear = json.loads(header)["network"]["layers"]
    layers: dict[str, torch.nn.Module] = {
        "conv1": nn.Conv2d(1, 4, 6, stride=4, num_sends=conv["num_sends"], mock=True),
        "relu1": nn.ConvertingReLU(mock=True),
        "flatten1": torch.nn.Flatten(),
        "linear1": nn.Linear(144, 10, num_sends=linear["num_sends"], mock=True),
    }
    model = torch.nn.Sequential(OrderedDict(layers))
    model.load_state_dict(load_file(path))
    former = hxtorch_emulator.perceptron.get_mock_parameter()
    hxtorch_emulator.perceptron.set_mock_parameter(
        hxtorch_emulator.perceptron.MockParameter(noise_std=0.0, gain=gain)
    )
    try:
        with torch.no_grad():
            scores = model((dataset.test_images > 127).float().unsqueeze(1) * 31.0)
    finally:
        hxtorch_emulator.perceptron.set_mock_parameter(former)
    return float((scores.argmax(1) == dataset.test_labels).double().mean())


def test_a_program_on_a_drained_chip_waits_and_another_is_refused(noiseless: Local) -> None:
    x, w = torch.full((2, 3), 9.0), torch.full((3, 4), 20.0)
    chip = RemoteChip(noiseless.url, noiseless.token)
    chip.open(None)
    try:
        with Client(noiseless.url, noiseless.token) as admin, ThreadPoolExecutor(1) as pool:
            admin.drain_chip(message="new cables")
            waiting = pool.submit(chip.multiply, x, w, num_sends=1, wait_between_events=5)
            with pytest.raises(SharedChipError, match="new cables") as refused:
                RemoteChip(noiseless.url, noiseless.token, patience_s=1.0).open(None)
            assert not waiting.done()
            admin.resume_chip()

            assert waiting.result(timeout=60).shape == (2, 4)
    finally:
        chip.close()
    assert refused.value.code == "chip_in_maintenance"


def test_a_token_that_was_revoked_ends_a_program_with_a_reason(noiseless: Local) -> None:
    with Client(noiseless.url, noiseless.token) as admin:
        chip = RemoteChip(noiseless.url, admin.users.add("alan")["token"])
        chip.open(None)
        admin.users.change("alan", disabled=True)

        def ended() -> bool:
            try:
                chip.multiply(torch.ones(2, 3), torch.ones(3, 4), num_sends=1, wait_between_events=5)
            except SharedChipError as error:
                return error.code == "not_authenticated"
            return False

        wait_until(ended)


def test_a_cancelled_session_ends_its_program_with_a_reason(noiseless: Local) -> None:
    chip = RemoteChip(noiseless.url, noiseless.token)
    chip.open(None)
    with Client(noiseless.url, noiseless.token) as client:
        client.cancel(chip.facts().id)

    with pytest.raises(SharedChipError, match=r"was cancelled; call init_hardware\(\)"):
        chip.multiply(torch.ones(2, 3), torch.ones(3, 4), num_sends=1, wait_between_events=5)


def test_the_calibration_of_a_program_is_the_one_it_was_written_for(noiseless: Local, tmp_path: Path) -> None:
    first = RemoteChip(noiseless.url, noiseless.token)
    before = first.facts()
    (tmp_path / "night.pbin").write_text(
        json.dumps(
            {
                "format": "hxserve-calibration-name-1",
                "chip": before.chip,
                "identifier": before.identifier,
                "sha256": before.calibration_sha256,
            }
        )
    )
    first.open(tmp_path / "night.pbin")
    first.close()
    with Client(noiseless.url, noiseless.token) as client:
        client.calibrate(wait=True)
    wait_until(
        lambda: (
            RemoteChip(noiseless.url, noiseless.token).facts().calibration_sha256 != before.calibration_sha256
        )
    )

    with pytest.raises(RuntimeError, match="save_nightly_calibration"):
        first.open(tmp_path / "night.pbin")

"""The same network behind NVIDIA Triton with dynamic batching: `python triton_server PORT` in its environment."""

import importlib
import os
import shutil
import sys
import sysconfig
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

_MODEL = "digits"
_CONFIG = """
backend: "python"
max_batch_size: 256
dynamic_batching { }
input [ { name: "crops" data_type: TYPE_UINT8 dims: [ 784 ] } ]
output [ { name: "digits" data_type: TYPE_INT64 dims: [ 1 ] } ]
instance_group [ { count: 1 kind: KIND_CPU } ]
"""


# The backend ignores PYTHONPATH.
_MODEL_FILE = """
import sys
sys.path[:0] = {path!r}
from benchmarks.triton_server import TritonPythonModel
"""


class TritonPythonModel:
    """One process with the network."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the network."""
        from benchmarks.classifiers import load_classifier  # noqa: PLC0415  # `serve` needs no torch

        del args
        self._read = load_classifier(Path(os.environ["BENCH_VERSION"]))
        self._triton = importlib.import_module("triton_python_backend_utils")  # exists in the backend only

    def execute(self, requests: list[Any]) -> list[Any]:
        """Return the digits of several requests, read in one forward pass."""
        triton = self._triton
        crops = [triton.get_input_tensor_by_name(request, "crops").as_numpy() for request in requests]
        digits = np.array(self._read(b"".join(part.tobytes() for part in crops)), np.int64).reshape(-1, 1)
        responses, first = [], 0
        for part in crops:
            output = triton.Tensor("digits", digits[first : first + len(part)])
            responses.append(triton.InferenceResponse([output]))
            first += len(part)
        return responses


def serve(port: int, grpc_port: int) -> None:
    """Replace this process by a Triton server with the model."""
    package = find_spec("pytriton")
    if package is None or package.origin is None:
        raise FileNotFoundError("nvidia-pytriton is not installed here")
    home = Path(package.origin).parent / "tritonserver"
    folder = Path(tempfile.mkdtemp(prefix="triton-", dir=os.environ.get("BENCH_FOLDER")))
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    backends, model = folder / "backends", folder / "models" / _MODEL
    shutil.copytree(home / "backends", backends)
    stub = shutil.copy(
        home / "python_backend_stubs" / version / "triton_python_backend_stub", backends / "python"
    )
    Path(stub).chmod(0o755)
    (model / "1").mkdir(parents=True)
    (model / "config.pbtxt").write_text(_CONFIG)
    (model / "1" / "model.py").write_text(_MODEL_FILE.format(path=sys.path))
    server = home / "bin" / "tritonserver"
    libraries = (str(home.parents[1] / "nvidia_pytriton.libs"), sysconfig.get_config_var("LIBDIR"))
    environment = {
        "LD_LIBRARY_PATH": os.pathsep.join(libraries),
        "PYTHONHOME": sys.base_prefix,
    }
    os.execve(  # noqa: S606  # no shell; the arguments are ours
        server,
        [
            *(str(server), f"--model-repository={model.parent}", f"--backend-directory={backends}"),
            *(f"--http-port={port}", "--http-address=127.0.0.1"),
            *(
                f"--grpc-port={grpc_port}",
                "--grpc-address=127.0.0.1",
                "--allow-metrics=false",
                "--log-info=false",
            ),
        ],
        {**os.environ, **environment},
    )


if __name__ == "__main__":
    serve(int(sys.argv[1]), int(sys.argv[2]))

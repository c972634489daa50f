"""What a process of the API loads."""

import json
import subprocess
import sys

import pytest


@pytest.mark.parametrize("module", ["api.app", "api.wsgi"])
def test_importing_the_interface_loads_no_torch_and_no_worker(module: str) -> None:
    code = f"import {module}, json, sys; print(json.dumps(sorted(sys.modules)))"

    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    loaded = {name.split(".")[0] for name in json.loads(said)}
    assert {"flask", "services"} <= loaded
    assert loaded.isdisjoint({"torch", "torchvision", "hxtorch", "worker", "sklearn"})

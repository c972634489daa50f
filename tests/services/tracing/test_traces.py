"""Traces where nothing is exported cost nothing, and are not in the way."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from services.errors import SettingsError
from services.tracing import traces

HEADER = f"00-{'a' * 32}-{'b' * 16}-01"
_PROGRAM = """
import sys
import api.wsgi
from services.tracing import traces

with traces.exported("api"):
    print(traces.is_exporting(), "services.tracing.spans" in sys.modules)
"""


def _run(**variables: str) -> "subprocess.CompletedProcess[str]":
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    return subprocess.run(
        [sys.executable, "-c", _PROGRAM],
        env=environment | variables,
        capture_output=True,
        text=True,
        check=True,
    )


def without_opentelemetry(folder: Path) -> str:
    """Makes a folder that hides OpenTelemetry from programs whose PYTHONPATH begins with it; returns it."""
    package = folder / "opentelemetry"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text('raise ImportError("opentelemetry is not installed")\n')
    return str(folder)


def test_without_an_exporter_no_request_has_a_span() -> None:
    assert traces.begin_request("GET", "/", HEADER) is None
    assert traces.begin_work("batch", [(bytes(24), 0.0)], 1.0) is None
    with traces.within(None), traces.child("chip call"), traces.ended(None):
        traces.note({"n": 1}, "failed")
        assert traces.carried() == b""


def test_without_a_collector_nothing_is_imported() -> None:
    assert _run().stdout.split() == ["False", "False"]


@pytest.mark.parametrize("variable", [{"OTEL_SDK_DISABLED": "true"}, {"OTEL_TRACES_EXPORTER": "none"}])
def test_the_standard_variables_turn_it_off(variable: dict[str, str]) -> None:
    ran = _run(OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9", **variable)

    assert ran.stdout.split() == ["False", "False"]


def test_with_a_collector_and_without_opentelemetry_a_warning_says_so(tmp_path: Path) -> None:
    ran = _run(OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9", PYTHONPATH=without_opentelemetry(tmp_path))

    assert ran.stdout.split() == ["False", "False"]
    assert "install hxserve-server[tracing]" in ran.stderr


def test_a_sampler_that_does_not_exist_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "sometimes")

    with pytest.raises(SettingsError, match="sometimes"), traces.exported("api"):
        pass

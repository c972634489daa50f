"""schemathesis over the whole OpenAPI document: whatever is sent, the answer is a documented one and no 5xx.

`FUZZ_EXAMPLES` is the number of requests drawn for an operation in each phase; more take longer and find more.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

import hypothesis.strategies as st
import numpy as np
import pytest
import schemathesis
from PIL import Image
from safetensors.numpy import save
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import Status, events, from_schema

from api.operations import MEDIA_TYPE as TENSORS
from services.crops.answers import CROP_BYTES
from services.errors import HxserveError
from services.jobs.store import JobStore
from services.models.files import ModelStore
from services.programs.store import ProgramStore
from tests.api.requests import NPY, RAW, TOKEN, bright_on_dark, npy, picture, png
from tests.services.samples import CHIP, an_origin
from tests.services.uploads import a_version_file
from tests.system.hostile.conftest import Server

pytestmark = pytest.mark.long

_EXAMPLES: Final = int(os.environ.get("FUZZ_EXAMPLES", "15"))

_CONFIG: Final = f"""
headers = {{ Authorization = "Bearer {TOKEN}" }}
continue-on-failure = true
workers = 1
request-timeout = 20

[generation]
max-examples = {_EXAMPLES}
database = "none"

[checks]
# Rules between fields, and that a cursor is one the service gave out, cannot be said in a schema.
positive_data_acceptance.enabled = false
# A text that is longer than allowed may make the address too long before anybody reads it.
negative_data_rejection.expected-statuses = [
    "400", "401", "403", "404", "405", "406", "409", "414", "415", "422", "428", "429", "5xx",
]
# The caretaker publishes anew what was deleted.
use_after_free.enabled = false

# These streams never end.
[[operations]]
include-path-regex = "^/v1/(pulse|letters/events)$"
max-stream-events = 1
"""

_EXISTING: Final = f"""
[parameters]
"path.name" = "digits"
"path.version" = "latest"
"path.alias" = "production"
"path.chip" = "{CHIP}"
"path.series" = "canary"

[checks.ensure_resource_availability]
# It asks for what was created by its name, and gets one of the above.
enabled = false
"""
"""Names that mean something, so that more than the 404 is reached."""

_DAMAGED: Final = st.builds(
    lambda content, at: content[:at], st.sampled_from([png(bright_on_dark())]), st.integers(0, 400)
)


@pytest.fixture(scope="module", autouse=True)
def _bodies() -> None:
    """What is drawn for bodies that are no JSON."""
    media_type = schemathesis.openapi.media_type
    crop, jpeg = bright_on_dark(), picture(_image(), "JPEG")
    crops = st.binary(min_size=CROP_BYTES, max_size=CROP_BYTES)
    media_type(RAW, crops | crops.map(lambda one: one * 70) | st.binary(max_size=1000))
    media_type(NPY, st.sampled_from([npy(crop), npy(crop / 255)]) | st.binary(max_size=1000))
    tensors = {"inputs": np.ones((2, 3), np.uint8), "weights": np.ones((3, 4), np.int8)}
    media_type(TENSORS, st.sampled_from([save(tensors), a_version_file()]) | st.binary(max_size=1000))
    media_type("image/png", _DAMAGED | st.just(png(crop)))
    media_type("image/jpeg", st.sampled_from([jpeg, jpeg[:-40], b""]) | st.binary(max_size=1000))


def _image() -> Image.Image:
    return Image.fromarray(np.kron(bright_on_dark(), np.ones((3, 3), np.uint8)))


@pytest.fixture
def caretaker(server: Server) -> Iterator[None]:
    """Somebody who ends long jobs and sessions, so that no stream lasts, and publishes the model that others delete."""
    jobs, models = JobStore(server.connection, keep_jobs_s=3600), ModelStore(server.data_dir / "models")
    programs = ProgramStore(server.connection, keep_jobs_s=3600)
    stopping = threading.Event()

    def take_care() -> None:
        while not stopping.wait(0.02):
            for job in jobs.unfinished():
                with suppress(HxserveError):
                    jobs.cancel(job.id)
            programs.end(programs.sessions(), "the test does not wait for their end")
            with suppress(HxserveError):  # another request may delete the model while it is being published
                if not models.versions("digits"):
                    models.publish(an_origin(), b"weights")

    thread = threading.Thread(target=take_care, name="caretaker")
    thread.start()
    yield
    stopping.set()
    thread.join()


@pytest.mark.timeout(120 + 30 * _EXAMPLES)
@pytest.mark.filterwarnings("default::hypothesis.errors.HypothesisWarning")  # about its large texts
@pytest.mark.parametrize("names", ["", _EXISTING], ids=["any names", "existing names"])
@pytest.mark.usefixtures("caretaker")
def test_whatever_is_sent_the_answer_is_one_that_the_document_describes(server: Server, names: str) -> None:
    schema = schemathesis.openapi.from_url(
        f"{server.url}/openapi.json", config=SchemathesisConfig.from_str(_CONFIG + names)
    )
    wrong: set[str] = set()
    asked: set[str | None] = set()

    for event in from_schema(schema).execute():
        match event:
            case events.FatalError():
                raise event.exception
            case events.NonFatalError():
                wrong.add(f"{event.label}: {event.value}")
            case events.ScenarioFinished():
                asked.add(event.label)
                wrong |= _failures(event)

    assert "\n\n".join(sorted(wrong)) == ""
    assert asked >= {
        f"{method.upper()} {path}" for path, item in schema.raw_schema["paths"].items() for method in item
    }
    assert server.answers()


def _failures(scenario: events.ScenarioFinished) -> set[str]:
    """What a scenario found, each with the request that shows it."""
    return {
        f"{scenario.label}: {check.name}: {check.failure_info.failure.message}\n{check.failure_info.code_sample}"
        for checks in scenario.recorder.checks.values()
        for check in checks
        if check.status is Status.FAILURE and check.failure_info is not None
    }

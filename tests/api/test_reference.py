"""The HTTP reference in docs is that of this service."""

import re
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from api.reference import render
from services.jobs.params import PARAMS_OF

REFERENCE = Path(__file__).parents[2] / "docs/http.md"


@pytest.fixture
def document(stranger: FlaskClient) -> dict[str, Any]:
    document: dict[str, Any] = stranger.get("/openapi.json").get_json()
    return document


def test_the_reference_is_up_to_date(document: dict[str, Any]) -> None:
    made = render(document)

    assert made == REFERENCE.read_text("utf-8"), "make docs/http.md anew: the command stands at its beginning"


def test_it_has_every_call_and_every_field(document: dict[str, Any]) -> None:
    made = render(document)

    for path, item in document["paths"].items():
        for method in item:
            assert f"### {method.upper()} {path}\n" in made
    for model in PARAMS_OF.values():
        _, _, section = made.partition(f"### {model.__name__}\n")
        assert set(re.findall(r"^\| `(\w+)`", section.partition("###")[0], re.MULTILINE)) == set(
            model.model_fields
        )


def test_two_schemas_of_one_name_are_refused(document: dict[str, Any]) -> None:
    document["components"]["schemas"]["Other.0123456.Eta"] = {"type": "object", "properties": {}}

    with pytest.raises(ValueError, match="two schemas are named Eta"):
        render(document)

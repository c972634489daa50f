"""Reports of a letter centre to the service."""

import base64
from dataclasses import replace
from typing import Any, cast

import pytest

from hxserve import Client
from hxserve_letters.camera_pool import LetterSource
from hxserve_letters.decisions import Decision, Reason
from hxserve_letters.directory import invent_directory
from hxserve_letters.postcodes import route_of
from hxserve_letters.reading import Reading
from hxserve_letters.status_reporter import StatusReporter


class Told:
    """A client that keeps the reports."""

    def __init__(self) -> None:
        self.statuses: list[dict[str, Any]] = []

    def tell_letters(self, status: dict[str, Any]) -> None:
        """Keeps a status."""
        self.statuses.append(status)


@pytest.fixture
def decisions() -> list[Decision]:
    """One letter routed rightly, one wrongly, one rejected."""
    reading = Reading("69120", 0.97, 0.99, (0, 1, 2, 3, 4), "69120")
    routed = Decision(0, 0, "69120", reading, route_of("69120"), None, 0.1, 1)
    return [
        routed,
        replace(routed, number=1, written="79120"),
        replace(routed, number=2, reading=None, route=None, reason=Reason.NOT_FOUND),
    ]


def test_the_status_counts_what_became_of_letters_and_shows_the_newest(decisions: list[Decision]) -> None:
    reporter = StatusReporter(cast("Client", Told()), LetterSource(3, invent_directory()))
    reporter.begin("sorting", 100, 2)

    for decision in decisions:
        reporter.update(decision)
    status = reporter.status()

    assert (status["letters"], status["machines"]) == (100, 2)
    assert (status["done"], status["routed"], status["wrong"]) == (3, 2, 1)
    assert status["rejects"] == {"no postcode found": 1}
    assert [card["outcome"] for card in status["recent"]] == ["wrong", "rejected"]
    assert base64.b64decode(status["recent"][0]["envelope"]).startswith(b"\xff\xd8\xff")


def test_what_has_not_begun_is_not_told() -> None:
    told = Told()

    with StatusReporter(cast("Client", told), LetterSource(3, invent_directory())):
        pass

    assert told.statuses == []

"""Rejected letters on their way over the coding desk, against a desk in this process."""

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from hxserve import Client, ServiceError
from hxserve_letters.camera_pool import LetterSource
from hxserve_letters.coding import Coded, CodingDesk, SimulatedCoder, keyed
from hxserve_letters.decisions import Decision, Reason
from hxserve_letters.directory import invent_directory
from hxserve_letters.postcodes import route_of

SOURCE = LetterSource(3, invent_directory())


class Desk:
    """A desk in memory that refuses its first letters."""

    def __init__(self, refusals: int = 0) -> None:
        self.letters: dict[str, dict[str, Any]] = {}
        self.postcodes: dict[str, str | None] = {}
        self.refusals = refusals
        self.refusal = ServiceError("queue_full", "the desk is full", 429, retryable=True)

    def put(self, letter_id: str, letter: dict[str, Any]) -> None:
        """Store a letter, or refuse it for now."""
        if self.refusals:
            self.refusals -= 1
            raise self.refusal
        self.letters[letter_id] = letter

    def claim(self) -> dict[str, Any] | None:
        """Return a letter without a postcode."""
        waiting = [name for name in self.letters if name not in self.postcodes]
        return {"id": waiting[0], **self.letters[waiting[0]]} if waiting else None

    def key(self, letter_id: str, postcode: str | None) -> None:
        """Store a postcode."""
        self.postcodes[letter_id] = postcode

    def collect(self, received: Iterable[str] = ()) -> list[dict[str, Any]]:
        """Return what was keyed and not received."""
        for letter_id in received:
            self.letters.pop(letter_id, None)
        return [
            {"id": name, "number": self.letters[name]["number"], "postcode": postcode}
            for name, postcode in self.postcodes.items()
            if name in self.letters
        ]


def _client(desk: Desk) -> Client:
    return cast("Client", SimpleNamespace(desk=desk))


def _rejected(number: int, written: str = "69120") -> Decision:
    return Decision(number, 0, written, None, None, Reason.NOT_FOUND, 0.1, 1)


@pytest.mark.parametrize("refusals", [0, 2])
def test_each_rejected_letter_is_keyed_and_counted(refusals: int) -> None:
    desk = Desk(refusals)
    with (
        CodingDesk(_client(desk), SOURCE) as coding,
        SimulatedCoder(_client(desk), coding, error_rate=0.0, per_hour=None, seed=0),
    ):
        for number in range(4):
            coding.update(_rejected(number))
        routed = Decision(9, 0, "69120", None, route_of("69120"), None, 0.1, 1)
        coding.update(routed)
        coded = coding.finish(patience_s=30)

    assert (coded.sent, coded.keyed, coded.unreadable, coded.wrong, coded.left) == (4, 4, 0, 0, 0)
    assert coded.per_hour > 0
    assert set(desk.postcodes.values()) == {"69120"}


def test_a_coder_who_errs_sends_letters_astray() -> None:
    desk = Desk()
    with (
        CodingDesk(_client(desk), SOURCE) as coding,
        SimulatedCoder(_client(desk), coding, error_rate=1.0, per_hour=None, seed=0),
    ):
        for number in range(12):
            coding.update(_rejected(number))
        coded = coding.finish(patience_s=30)

    assert coded.keyed == 12
    assert coded.wrong == sum(postcode[:2] != "69" for postcode in desk.postcodes.values() if postcode)
    assert 0 < coded.wrong < 12, "only the first two digits decide on the region"


def test_nobody_at_the_desk_is_waited_for_only_so_long() -> None:
    desk = Desk()
    with CodingDesk(_client(desk), SOURCE) as coding:
        coding.update(_rejected(0))
        coded = coding.finish(patience_s=1)

    assert coded == Coded(sent=1, keyed=0, unreadable=0, wrong=0, left=1, per_hour=0.0)


def test_a_refusal_for_good_ends_the_run() -> None:
    desk = Desk(refusals=1)
    desk.refusal = ServiceError("forbidden", "no", 403)

    with CodingDesk(_client(desk), SOURCE) as coding:
        coding.update(_rejected(0))
        with pytest.raises(ServiceError, match="no"):
            coding.finish(patience_s=30)


def test_the_letter_on_the_desk_is_the_one_that_was_sorted() -> None:
    desk = Desk()
    with CodingDesk(_client(desk), SOURCE) as coding:
        coding.update(_rejected(5))
        coding.finish(patience_s=1)

    (letter,) = desk.letters.values()
    assert (letter["number"], letter["reason"], letter["crops"], letter["read"]) == (
        5,
        "no postcode found",
        [],
        "",
    )
    assert letter["envelope"].startswith("/9j/"), "a JPEG"


def test_wrong_keys_are_rare_and_differ_in_one_digit() -> None:
    codes = [keyed("69120", 0.1, (0, number)) for number in range(1000)]

    wrong = [code for code in codes if code != "69120"]
    assert 70 < len(wrong) < 130
    assert all(sum(a != b for a, b in zip(code, "69120", strict=True)) == 1 for code in wrong)
    assert codes == [keyed("69120", 0.1, (0, number)) for number in range(1000)]

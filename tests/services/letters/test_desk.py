"""The coding desk: each letter is keyed once, can be taken back for a while, and is collected until it is received."""

import numpy as np
import pytest

from services.errors import NotFoundError, QueueFullError
from services.letters import desk as rules
from services.letters.desk import DeskStore, KeyedLetter, labelled_digits
from services.store import keys
from services.store.connection import Connection

ADA, BOB = "ada", "bob"


@pytest.fixture
def desk(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> DeskStore:
    """Ada's desk with two letters, which are collected as soon as they are keyed."""
    monkeypatch.setattr(rules, "UNDO_S", 0)
    store = DeskStore(connection)
    for number in (1, 2):
        store.put(ADA, f"run-{number}", {"number": number})
    return store


def test_letters_are_claimed_in_the_order_in_which_they_came_each_by_one_coder(desk: DeskStore) -> None:
    claimed = [desk.claim(ADA) for _ in range(3)]

    assert claimed == [{"id": "run-1", "number": 1}, {"id": "run-2", "number": 2}, None]
    assert desk.counts(ADA) == (2, 0)


def test_a_letter_whose_coder_left_is_claimed_by_the_next(
    desk: DeskStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "CLAIM_S", 0)

    assert desk.claim(ADA) == {"id": "run-1", "number": 1}
    claimed = {letter["id"] for letter in (desk.claim(ADA), desk.claim(ADA)) if letter}

    assert "run-1" in claimed


def test_a_desk_is_its_users_own(desk: DeskStore) -> None:
    assert desk.claim(BOB) is None
    with pytest.raises(NotFoundError, match="run-1"):
        desk.key(BOB, "run-1", "69120")


def test_a_letter_that_is_put_again_stays_as_it_is(desk: DeskStore) -> None:
    desk.key(ADA, "run-1", "69120")

    desk.put(ADA, "run-1", {"number": 7})

    assert desk.counts(ADA) == (1, 1)
    assert desk.collect(ADA) == [KeyedLetter("run-1", 1, "69120")]


def test_keyed_letters_are_collected_until_they_are_received(desk: DeskStore) -> None:
    desk.key(ADA, "run-2", None)
    desk.key(ADA, "run-1", "69120")
    both = [KeyedLetter("run-2", 2, None), KeyedLetter("run-1", 1, "69120")]

    assert desk.collect(ADA) == both
    assert desk.collect(ADA, ["run-2", "unknown"]) == both[1:]
    assert desk.collect(ADA, ["run-1"]) == []
    assert desk.counts(ADA) == (0, 2)


def test_the_newest_keyed_letter_can_be_taken_back(desk: DeskStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "UNDO_S", 60)
    desk.key(ADA, "run-1", "69120")
    desk.key(ADA, "run-2", "11111")

    assert desk.collect(ADA) == [KeyedLetter("run-1", 1, "69120")]
    assert desk.take_back(ADA, "run-2") == {"id": "run-2", "number": 2}
    assert desk.claim(ADA) is None, "its coder has it"

    desk.key(ADA, "run-2", "22222")
    monkeypatch.setattr(rules, "UNDO_S", 0)
    assert desk.collect(ADA, ["run-1"]) == [KeyedLetter("run-2", 2, "22222")]
    assert desk.counts(ADA) == (0, 2)


def test_a_letter_that_was_received_cannot_be_taken_back(desk: DeskStore) -> None:
    desk.key(ADA, "run-1", "69120")
    desk.collect(ADA)
    desk.collect(ADA, ["run-1"])

    with pytest.raises(NotFoundError, match="collected"):
        desk.take_back(ADA, "run-1")


def test_what_was_taken_back_meanwhile_is_not_received(desk: DeskStore) -> None:
    desk.key(ADA, "run-1", "69120")
    desk.collect(ADA)
    desk.take_back(ADA, "run-1")

    assert desk.collect(ADA, ["run-1"]) == []
    assert desk.counts(ADA) == (2, 0)


def test_a_full_desk_refuses_letters(desk: DeskStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "MOST_LETTERS", 2)

    with pytest.raises(QueueFullError, match="2 letters"):
        desk.put(ADA, "run-3", {"number": 3})
    desk.put(BOB, "run-3", {"number": 3})


def test_a_desk_expires(desk: DeskStore, connection: Connection) -> None:
    desk.key(ADA, "run-1", "69120")

    for key in (keys.desk_letters, keys.desk_waiting, keys.desk_keyed, keys.desk_postcodes, keys.desk_count):
        left_s = connection.client.ttl(key(ADA))
        assert 0 < left_s <= rules.KEEP_S, key


CROPS = np.arange(5 * 784, dtype=np.uint8)


def test_digits_are_labelled_as_they_were_keyed() -> None:
    labelled = labelled_digits(CROPS.tobytes(), "69128", "69120")

    assert labelled is not None
    assert labelled.labels.tolist() == [6, 9, 1, 2, 0]
    assert (labelled.crops == CROPS.reshape(5, 28, 28)).all()


@pytest.mark.parametrize(
    ("read", "postcode"),
    [
        ("69120", None),
        ("69133", "69120"),
        ("6912", "69120"),
        ("691201", "69120"),
        ("", "69120"),
        ("91206", "69120"),
    ],
    ids=["unreadable", "three agree", "four crops", "six crops", "not cut", "cut elsewhere"],
)
def test_digits_whose_cut_and_key_do_not_agree_are_not_labelled(read: str, postcode: str | None) -> None:
    assert labelled_digits(bytes(784 * len(read)), read, postcode) is None

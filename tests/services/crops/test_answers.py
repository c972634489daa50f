"""Answers: the same after their journey, and read as the user needs them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.crops.answers import Activations, Answer, Provenance, Scores, problem_of, read
from services.crops.lanes import Span
from services.errors import ExpiredError

_words = st.text(max_size=12)
_seconds = st.floats(0, 1e6)
_provenances = st.builds(
    Provenance,
    _words,
    _words,
    _words,
    st.sampled_from(["hxtorch", "emulator", "mock"]),
    st.none() | st.dictionaries(_words, st.integers(-(2**31), 2**31) | _words, max_size=2),
    st.booleans(),
    st.integers(1, 4096),
    _seconds,
    st.integers(1, 64),
)


@st.composite
def _answers(draw: st.DrawFn) -> Answer:
    count = draw(st.integers(1, 5))
    return Answer(
        digits=draw(st.lists(st.integers(0, 9), min_size=count, max_size=count).map(bytes)),
        scores=draw(st.binary(min_size=10 * count, max_size=10 * count)),
        confidences=np.full(count, draw(st.floats(0, 1, width=32)), np.float32).tobytes(),
        slot=draw(st.integers(0, 4095)),
        waiting_s=draw(_seconds),
        provenance=draw(_provenances),
        activations=draw(
            st.none()
            | st.binary(min_size=17 * count, max_size=17 * count).map(
                lambda values: Activations((("relu1", (5,)), ("relu2", (2, 3, 2))), values)
            )
        ),
        mock=draw(
            st.none()
            | st.integers(0, 9).map(
                lambda digit: Scores(bytes([digit] * count), bytes(10 * count), bytes(4 * count))
            )
        ),
    )


def _an_answer(*rows: list[int], chip_s: float = 0.004, batch: int = 8, waiting_s: float = 0.5) -> Answer:
    scores = np.array(rows, np.int8)
    return Answer(
        scores.argmax(axis=1).astype(np.uint8).tobytes(),
        scores.tobytes(),
        np.full(len(rows), 0.123456, np.float32).tobytes(),
        3,
        waiting_s,
        Provenance("digits", "2", "chip-1", "mock", None, False, batch, chip_s),
    )


@given(_answers())
@settings(deadline=None)
def test_an_answer_comes_back_from_its_bytes_as_it_was(answer: Answer) -> None:
    assert Answer.unpack(answer.pack()) == answer


def test_activations_are_cut_with_their_crops() -> None:
    answer = _an_answer(*[[0] * 10] * 3)
    answer.activations = Activations((("relu1", (3,)), ("relu2", (2, 1))), bytes(range(15)))

    [prediction] = answer.cut(Span(1, 1)).predictions()

    assert prediction["activations"] == [
        {"layer": "relu1", "shape": (3,), "values": [5, 6, 7]},
        {"layer": "relu2", "shape": (2, 1), "values": [8, 9]},
    ]


def test_what_mock_arithmetic_read_is_cut_with_its_crops() -> None:
    answer, rows = _an_answer(*[[0] * 10] * 3), [[digit] * 10 for digit in range(3)]
    answer.mock = Scores(
        bytes([4, 5, 6]), np.array(rows, np.int8).tobytes(), np.full(3, 0.5, np.float32).tobytes()
    )

    [_, prediction] = answer.cut(Span(1, 2)).predictions()

    assert prediction["mock"] == {"digit": 6, "scores": [2] * 10, "confidence": 0.5}
    assert prediction["scores"] == [0] * 10


def test_a_problem_travels_in_place_of_scores() -> None:
    answer = Answer(problem=problem_of(ExpiredError()))

    assert Answer.unpack(answer.pack()) == answer


@given(_answers())
@settings(deadline=None)
def test_there_is_a_prediction_for_every_crop_in_order(answer: Answer) -> None:
    predictions = answer.predictions()

    table = np.frombuffer(answer.scores, np.int8).reshape(-1, 10)
    assert [p["scores"] for p in predictions] == table.tolist()
    assert [p["digit"] for p in predictions] == list(answer.digits)
    assert [p["slot"] for p in predictions] == [answer.slot + n for n in range(len(table))]


def test_confidences_have_four_places() -> None:
    [prediction] = _an_answer([0] * 10).predictions()

    assert prediction["confidence"] == 0.1235


def test_a_request_reads_its_parts_in_order_and_adds_up_its_chip_time() -> None:
    first = _an_answer([1] + [0] * 9, [0, 1] + [0] * 8, chip_s=0.004, batch=8, waiting_s=0.5)
    second = _an_answer([0, 0, 1] + [0] * 7, chip_s=0.006, batch=3, waiting_s=0.25)

    result = read("a", [first, second], 1.5)

    assert [p["digit"] for p in result["predictions"]] == [0, 1, 2]
    assert result["timing"] == {"waiting_ms": 500.0, "chip_ms": pytest.approx(3.0), "total_ms": 1500.0}


def test_a_result_says_where_it_came_from() -> None:
    result = read("a", [_an_answer([0] * 10)], None)

    assert (result["model"], result["version"], result["chip"], result["backend"], result["transferred"]) == (
        "digits",
        "2",
        "chip-1",
        "mock",
        False,
    )
    assert "total_ms" not in result["timing"]

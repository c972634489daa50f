"""Answers of batch jobs as files."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from services.batch_jobs.answers import BatchStore
from services.batch_jobs.exports import FORMS, Form, export
from tests.services.batch_jobs.parts import a_part


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    """Two parts of 2,500 and 5 crops; crop 2,501 is unreadable."""
    store = BatchStore(tmp_path)
    store.keep("job", a_part(0, [1500, 1000]))
    store.keep("job", a_part(2500, [5], first_call=2, unreadable=1))
    return store.paths("job")


def _read(paths: list[Path], form: Form) -> Any:
    content = b"".join(export(paths, form))
    match form:
        case "npz":
            with np.load(io.BytesIO(content)) as arrays:
                return {name: arrays[name] for name in arrays.files}
        case "csv":
            return list(csv.DictReader(io.StringIO(content.decode())))
        case "jsonl":
            return [json.loads(line) for line in content.splitlines()]
        case "parquet":
            return pq.read_table(io.BytesIO(content)).to_pylist()


def test_rows_have_digit_scores_and_the_call_that_read_them(paths: list[Path]) -> None:
    rows = _read(paths, "jsonl")

    assert len(rows) == 2505
    assert [row["index"] for row in rows] == list(range(2505))
    assert rows[1600] == {
        "index": 1600,
        "name": None,
        "digit": 0,
        "confidence": 0.5,
        "scores": list(range(10)),
        "problem": None,
        "call": 1,
        "call_s": 0.25,
        "called_at": 1000.0,
        "model": "digits",
        "version": "3",
        "chip": "chip-1",
        "backend": "mock",
        "transferred": False,
        "repeats": 1,
        "calibration": "ab",
    }
    assert rows[0]["name"] == rows[2500]["name"] == "a.png"
    assert (rows[2501]["digit"], rows[2501]["scores"], rows[2501]["confidence"]) == (None, None, None)
    assert rows[2501]["problem"] == "shows no digit"
    assert rows[2504]["call"] == 2


def test_parquet_has_the_same_rows(paths: list[Path]) -> None:
    assert _read(paths, "parquet") == _read(paths, "jsonl")


def test_csv_has_the_same_rows_with_a_column_for_each_score(paths: list[Path]) -> None:
    rows, same = _read(paths, "csv"), _read(paths, "jsonl")

    assert len(rows) == len(same)
    for row, other in zip(rows, same, strict=True):
        scores = [row.pop(f"score_{digit}") for digit in range(10)]
        assert scores == [str(score) for score in other.pop("scores") or [""] * 10]
        assert row == {name: "" if value is None else str(value) for name, value in other.items()}


def test_npz_has_arrays_of_all_parts(paths: list[Path]) -> None:
    arrays = _read(paths, "npz")

    assert arrays["digits"].tolist() == [*(n % 10 for n in range(2500)), 0, 255, 2, 3, 4]
    assert arrays["scores"].shape == (2505, 10)
    assert np.unique(arrays["calls"]).tolist() == [0, 1, 2]
    assert arrays["call_s"].tolist() == [0.25] * 3
    facts = json.loads(str(arrays["facts"]))
    assert facts["names"] == {"0": "a.png", "2500": "a.png"}
    assert facts["problems"] == {"2501": "shows no digit"}
    assert [facts["sources"][place]["version"] for place in arrays["call_source"]] == ["3"] * 3


@pytest.mark.parametrize("form", FORMS)
def test_a_job_without_answers_is_an_empty_file(form: Form) -> None:
    found = _read([], form)

    assert len(found["digits"] if form == "npz" else found) == 0

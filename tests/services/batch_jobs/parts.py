"""Parts of the answers of batch jobs."""

import numpy as np

from services.batch_jobs.parts import UNREADABLE, CallOrigin, Facts, Part, Totals

SOURCE = CallOrigin(
    model="digits",
    version="3",
    chip="chip-1",
    backend="mock",
    calibration={"sha256": "ab"},
    transferred=False,
    repeats=1,
)


def a_part(first: int, calls: list[int], *, first_call: int = 0, unreadable: int | None = None) -> Part:
    """A part with the answers of some calls, each of so many crops; one of them may be unreadable."""
    count = sum(calls)
    digits = ((first + np.arange(count)) % 10).astype(np.uint8)
    confidences = np.full(count, 0.5, np.float32)
    scores = np.tile(np.arange(10, dtype=np.int8), (count, 1))
    problems = {}
    if unreadable is not None:
        digits[unreadable], confidences[unreadable] = UNREADABLE, 0
        problems[unreadable] = "shows no digit"
    read = digits[digits != UNREADABLE]
    totals = Totals(
        count,
        len(calls),
        len(problems),
        0.25 * len(calls),
        float(confidences.sum()),
        np.bincount(read, minlength=10).tolist(),
    )
    return Part(
        first,
        digits,
        scores,
        confidences,
        np.repeat(np.arange(len(calls), dtype=np.uint32) + np.uint32(first_call), calls),
        np.full(len(calls), 0.25, np.float32),
        np.full(len(calls), 1000.0),
        np.zeros(len(calls), np.uint16),
        Facts(first_call=first_call, sources=[SOURCE], names={0: "a.png"}, problems=problems, totals=totals),
    )

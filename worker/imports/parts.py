"""The part of a data set that the name of a file or a folder means."""

import re
from typing import Final

from worker.imports.collection import Part
from worker.imports.source import Entry

_WORDS: Final[dict[str, Part]] = {
    **dict.fromkeys(("train", "training", "trainingset"), "train"),
    **dict.fromkeys(("test", "testing", "testset", "t10k"), "test"),
}
_SEPARATORS: Final = re.compile(r"[^a-z0-9]+")


def part_of(entry: Entry) -> Part | None:
    """Return the part that a word in the name of a file means, else the innermost of its folders that means one."""
    words = _SEPARATORS.split(entry.base)
    for word in (*words, *reversed(entry.folders)):
        if word in _WORDS:
            return _WORDS[word]
    return None

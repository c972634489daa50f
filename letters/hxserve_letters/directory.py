"""The directory of postcodes: the prior knowledge of a reader.

A reading machine reads no postcode that is not in use. The real directory (some 8,200 delivery postcodes) is not part
of this project; `invent_directory` makes one of that size and kind, and `load_directory` takes a real one from a file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hxserve.errors import ClientError
from hxserve_letters.postcodes import TOWN_BY_REGION

_SEED: Final = 1993
"""The year in which postcodes got five digits."""
_STEMS: Final = 18
_LAST_DIGITS: Final = 5


class DirectoryInvalidError(ClientError):
    """The directory of postcodes cannot be used; give a text file with one postcode of five digits per line."""

    code = "directory_invalid"


class Directory:
    """The postcodes that exist: `codes` (n, 5) digits, sorted."""

    def __init__(self, name: str, codes: NDArray[np.uint8]) -> None:
        self.name = name
        self.codes = codes
        self._places = np.arange(5) * 10

    def __len__(self) -> int:
        return len(self.codes)

    def draw(self, random: np.random.Generator) -> str:
        """Draw one of the postcodes."""
        return self.text(int(random.integers(len(self.codes))))

    def text(self, number: int) -> str:
        """Return the postcode of this number as it is written."""
        return "".join(map(str, self.codes[number]))

    def likelihoods(self, of_digits: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the logarithm of each postcode's likelihood, (n,), from those of the digits, (5, 10)."""
        total: NDArray[np.float64] = of_digits.ravel()[self.codes + self._places].sum(1)
        return total


def invent_directory() -> Directory:
    """Invent a directory like the real one: in each region clusters of neighbouring numbers, 8,550 in all.

    Neighbours differ in the last digit, so that one misread digit often leads to another postcode that exists.
    """
    random = np.random.default_rng(_SEED)
    codes = []
    for region in TOWN_BY_REGION:
        for stem in random.choice(100, _STEMS, replace=False):
            last = random.choice(10, _LAST_DIGITS, replace=False)
            codes += [f"{region}{stem:02d}{digit}" for digit in last]
    return _directory("invented", codes)


def every_number() -> Directory:
    """Return all numbers in the Leitregionen that exist: a reader that knows no more than these."""
    return _directory("all", [f"{region}{rest:03d}" for region in TOWN_BY_REGION for rest in range(1000)])


def load_directory(path: Path) -> Directory:
    """Load a directory from a text file with one postcode per line; the rest of each line is ignored.

    Raises:
        DirectoryInvalidError: the file cannot be read, or a line is no postcode.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DirectoryInvalidError(f"{path} cannot be read: {error}; give a text file") from None
    codes = [line.strip()[:5] for line in lines if line.strip()]
    for code in codes:
        if len(code) != 5 or not (code.isascii() and code.isdecimal()) or code[:2] not in TOWN_BY_REGION:
            raise DirectoryInvalidError(
                f"{path} holds {code!r}; expected five digits per line that begin with a Leitregion that exists"
            )
    if not codes:
        raise DirectoryInvalidError(f"{path} is empty; expected one postcode of five digits per line")
    return _directory(path.name, codes)


def _directory(name: str, codes: list[str]) -> Directory:
    table = np.array([[int(digit) for digit in code] for code in sorted(set(codes))], np.uint8)
    return Directory(name, table)

"""Nicknames: which ones are taken, and the names of the accounts that are made from them."""

import hashlib
import re
import unicodedata
from typing import Final

from services.errors import InvalidInputError

MOST_CHARACTERS: Final = 24
_RESERVED: Final = frozenset(
    {"admin", "administrator", "hxserve", "service", "system", "teacher", "lehrer", "lehrerin", "lehrkraft"}
)
_LOOK_ALIKE: Final = ("CYRILLIC", "GREEK")
"""Scripts with letters that look like Latin ones."""


def clean_nickname(text: str) -> str:
    """Return a nickname as it is shown.

    Raises:
        InvalidInputError: it is too long, has no visible character, or characters that are not printed or that make it
            look like another one.
    """
    shown = " ".join(unicodedata.normalize("NFC", text).split())
    if not 1 <= len(shown) <= MOST_CHARACTERS:
        raise InvalidInputError(
            f"a nickname has 1 to {MOST_CHARACTERS} characters; this one has {len(shown)}"
        )
    if not all(character.isprintable() for character in shown):
        raise InvalidInputError("a nickname has printable characters only; choose another")
    if all(unicodedata.category(character)[0] in "MZP" for character in shown):
        raise InvalidInputError("a nickname has a letter, a digit or a picture in it; choose another")
    scripts = {
        unicodedata.name(character, "").partition(" ")[0] for character in shown if character.isalpha()
    }
    if "LATIN" in scripts and scripts.intersection(_LOOK_ALIKE):
        raise InvalidInputError("this nickname mixes alphabets that look alike; choose another")
    return shown


def seat_of(nickname: str, teacher: str) -> str:
    """Return the name of the seat of a nickname; two nicknames that read alike have the same.

    Raises:
        InvalidInputError: it is the teacher's name, or one of the service's.
    """
    folded = unicodedata.normalize("NFKD", nickname.casefold())
    seat = re.sub(r"[^a-z0-9]+", "-", folded.translate(_MARKS)).strip("-")
    letters = sum(character.isalnum() for character in folded)
    if not seat or sum(character.isalnum() for character in seat) < letters:  # letters beyond a to z
        seat = f"p-{hashlib.sha256(folded.encode()).hexdigest()[:8]}"
    if seat in _RESERVED or seat == teacher:
        raise InvalidInputError("this nickname could be taken for somebody else's; choose another")
    return seat[: 2 * MOST_CHARACTERS]


class _Marks(dict[int, int | None]):
    """A table that drops the marks of letters, such as accents."""

    def __missing__(self, code: int) -> int | None:
        return None if unicodedata.combining(chr(code)) else code


_MARKS: Final = _Marks()

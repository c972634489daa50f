"""The texts of the pages, in each of their languages."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final

LANGUAGES: Final = ("en", "de")
"""The first is the default for browsers that ask for none of them."""


@dataclass(frozen=True, slots=True)
class Texts:
    """The texts of one language, called with a text's name."""

    language: str

    def __call__(self, name: str, **values: object) -> str:
        """Give a text with values in place of its `{names}`."""
        text = catalogue()[name][self.language]
        return text.format(**values) if values else text

    def problem(self, code: str, message: str) -> str:
        """Describe an error: messages are in English, so other languages put their name of the error before it.

        A name that is a whole sentence, with its full stop, says all and stands alone.
        """
        name = f"error.{code}"
        if self.language == LANGUAGES[0] or name not in catalogue():
            return message
        words = self(name)
        return words if words.endswith(".") else self("js.because", words=words, detail=message)

    def of(self, *sections: str) -> dict[str, str]:
        """Return all texts of some sections, for the scripts of a page."""
        return {
            name: text[self.language]
            for name, text in catalogue().items()
            if name.partition(".")[0] in sections
        }


@cache
def catalogue() -> Mapping[str, Mapping[str, str]]:
    """Return all texts of `texts.toml` by name and language."""
    sections = tomllib.loads(resources.files("api").joinpath("texts.toml").read_text("utf-8"))
    return {f"{section}.{name}": text for section, texts in sections.items() for name, text in texts.items()}

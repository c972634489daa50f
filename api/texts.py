"""What the page says, in each of its languages."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final

LANGUAGES: Final = ("en", "de")
"""The first is spoken when a browser asks for none of them."""


@dataclass(frozen=True, slots=True)
class Texts:
    """The texts of one language; called with a text's name, it gives the text."""

    language: str

    def __call__(self, name: str, **values: object) -> str:
        """A text, with the values in place of its `{names}`."""
        text = catalogue()[name][self.language]
        return text.format(**values) if values else text

    def problem(self, code: str, message: str) -> str:
        """What an error says in this language: errors speak English, so others say what kind it is before."""
        name = f"error.{code}"
        if self.language == LANGUAGES[0] or name not in catalogue():
            return message
        return self("js.because", words=self(name), detail=message)

    def of(self, *sections: str) -> dict[str, str]:
        """All texts whose names begin with one of these sections, for the page's scripts."""
        return {
            name: text[self.language]
            for name, text in catalogue().items()
            if name.partition(".")[0] in sections
        }


@cache
def catalogue() -> Mapping[str, Mapping[str, str]]:
    """Every text by its name and language, from `texts.toml`."""
    sections = tomllib.loads(resources.files("api").joinpath("texts.toml").read_text("utf-8"))
    return {f"{section}.{name}": text for section, texts in sections.items() for name, text in texts.items()}

"""The scripts in Lua: their texts, each with the definitions of the prelude that it needs."""

import hashlib
import re
from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import Final

from services.store import keys

_COMMENT: Final = re.compile(r"--.*")
_WORD: Final = re.compile(r"\w+")
_DEFINED: Final = re.compile(r"local (?:function )?(\w+)")


@cache
def source_of(script: str) -> str:
    """Return a script for Redis: with the prelude's definitions it needs, and its answer in one piece.

    Redis makes the functions of a script anew each time it runs, and writes an answer of nested lists piece by piece.
    """
    source = _COMMENT.sub("", lua_source(f"{script}.lua"))
    return f"""{_needed_of_prelude(source)}
local function answer()
{source}
end
local told = answer()
if type(told) == 'table' and told.err then return told end
return cmsgpack.pack(told)
"""


def _needed_of_prelude(source: str) -> str:
    """Return the definitions of the prelude that a script refers to, directly or through others, in their order."""
    prelude = keys.lua_definitions() + _COMMENT.sub("", lua_source("store/prelude.lua"))
    definitions = re.split(r"^(?=local )", prelude, flags=re.MULTILINE)[1:]
    needed: list[str] = []
    words = set(_WORD.findall(source))
    for definition in reversed(definitions):  # each knows only those before it
        name = _DEFINED.match(definition)
        if name and name[1] in words:
            needed.append(definition)
            words.update(_WORD.findall(definition))
    return "".join(reversed(needed))


@cache
def digest_of(script: str) -> str:
    """Return the digest by which Redis knows a script."""
    return hashlib.sha1(source_of(script).encode(), usedforsecurity=False).hexdigest()


def lua_source(path: str) -> str:
    """Return the text of a script, by its path in `services`."""
    return resources.files("services").joinpath(path).read_text("utf-8")


def scripts() -> list[str]:
    """Return the paths of all scripts in `services`, the prelude's among them."""
    return [
        f"{folder.name}/{file.name}"
        for folder in resources.files("services").iterdir()
        if folder.is_dir()
        for file in folder.iterdir()
        if file.name.endswith(".lua")
    ]


def pairs(flat: Sequence[bytes]) -> dict[bytes, bytes]:
    """Return a flat list of names and values, as scripts return hashes, as a dictionary."""
    return dict(zip(flat[::2], flat[1::2], strict=True))

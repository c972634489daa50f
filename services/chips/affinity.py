"""Affinity of models: a model that learnt in a chip's loop is read by that chip, unless its user allows a transfer."""

import time
from typing import Final

from services.chips.store import ChipStore
from services.errors import CheckpointDamagedError, ChipElsewhereError
from services.models.files import ModelStore

_MOST_REMEMBERED: Final = 10_000
_FRESH_S: Final = 1.0
"""The time for which the known identifiers of chips count as current."""


class Affinity:
    """The chip that each version is bound to."""

    def __init__(self, models: ModelStore, chips: ChipStore) -> None:
        self._models = models
        self._chips = chips
        self._known: dict[tuple[str, str], str] = {}
        self._identifiers: set[str] = set()
        self._until = 0.0

    def of(self, model: str, version: str, *, allow_transfer: bool) -> str:
        """Return the hardware identifier of the only chip that may run a version; empty if any may.

        Args:
            model: the model's name.
            version: a number.
            allow_transfer: whether a chip other than the one it learnt on may run it.

        Raises:
            ModelNotFoundError: the version was deleted.
            ChipElsewhereError: it is bound to a chip that this service never had or has no more.
        """
        known = self.known(model, version, allow_transfer=allow_transfer)
        if known is not None:
            return known
        self._identifiers = set(self._chips.identifiers().values())
        self._until = time.monotonic() + _FRESH_S
        home = self._home(model, version)
        if home not in self._identifiers:
            raise ChipElsewhereError(
                f"version {version} of {model} learnt in the loop of the chip {home}, which is not here; with "
                "allow_transfer another chip takes its place, and the result says so"
            )
        return home

    def known(self, model: str, version: str, *, allow_transfer: bool) -> str | None:
        """Return the result of `of` if it is known without a request to Redis, else None."""
        home = "" if allow_transfer else self._home(model, version)
        if not home or (home in self._identifiers and time.monotonic() < self._until):
            return home
        return None

    def _home(self, model: str, version: str) -> str:
        known = self._known.get((model, version))
        if known is None:
            try:
                known = self._models.manifest(model, version).home
            except CheckpointDamagedError:
                return ""  # the worker reports the damage
            if len(self._known) >= _MOST_REMEMBERED:
                self._known.clear()
            self._known[model, version] = known
        return known

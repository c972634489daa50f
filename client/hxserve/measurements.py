"""Measurements of versions: evaluation, comparison, the staircase."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hxserve.client import Recipe
    from hxserve.jobs import Job


class MeasurementRequests(ABC):
    """The part of the client for measurements."""

    @abstractmethod
    def submit(
        self,
        kind: str,
        model: str | None = None,
        params: Mapping[str, Any] | None = None,
        wait: bool = False,
        *,
        webhook: str | None = None,
    ) -> Job:
        """Submit a job of any kind that the service knows."""

    def evaluate(
        self,
        /,
        model: str = "digits",
        version: str | int = "latest",
        *,
        repeats: int | None = None,
        wait: bool = False,
        **params: Any,
    ) -> Job:
        """Measure a version on the test set.

        Args:
            model: its name.
            version: a number or an alias.
            repeats: how often each crop is read; the mean of its scores counts. None is once.
            wait: return only when it has succeeded.
            **params: `execution` (left out, it is measured where the version serves), `dataset` (as of a training),
                `seed`.

        Raises:
            JobFailedError: waited for, it ended without a result.
        """
        return self.submit("evaluation", model, {"version": str(version), "repeats": repeats, **params}, wait)

    def compare(
        self,
        /,
        model: str = "digits",
        candidate: str | int = "latest",
        against: str | int = "production",
        *,
        repeats: int | None = None,
        wait: bool = False,
        **params: Any,
    ) -> Job:
        """Compare a version with another one on the crops of a test set, each read several times by both.

        Args:
            model: its name.
            candidate: a number or an alias.
            against: the version that it is compared with; a number or an alias.
            repeats: readings of each crop by each version; None is 8.
            wait: return only when it has succeeded.
            **params: `dataset`, `margin` (the loss of accuracy that does not matter; left out, 0.005), `execution`,
                `allow_transfer`, `seed`.

        Raises:
            JobFailedError: waited for, it ended without a result.
        """
        versions = {"version": str(candidate), "against": str(against)}
        return self.submit("comparison", model, {**versions, "repeats": repeats, **params}, wait)

    def staircase(
        self,
        /,
        model: str = "digits",
        version: str | int = "latest",
        *,
        dataset: str | Mapping[str, float] | None = None,
        recipe: Recipe | None = None,
        chip_epochs: int | None = None,
        chip: str | None = None,
        allow_transfer: bool | None = None,
        seed: int | None = None,
        wait: bool = False,
        **params: Any,
    ) -> Job:
        """Measure a version step by step from float32 to the chip, and after a short training in its loop.

        The result's `steps` have the names `float32`, `quantised`, `mock`, `chip` and `loop`, with `execution`,
        `accuracy` and its 95 % `interval`; those on the chip are missing where there is a mock alone. What is learnt in
        the loop is dropped. What is left out or None is the service's choice.

        Args:
            model: its name.
            version: a number or an alias.
            dataset: a name, `name@version`, or a mapping of several to their weights; None: the built-in one that the
                version learnt from.
            recipe: of the training in the loop; None: that of the version.
            chip_epochs: of the training in the loop; 0: none. None: those of the recipe, or 0 for a version that learnt
                in a chip's loop.
            chip: the chip to measure; None: any that may read the version.
            allow_transfer: measure it on any chip, also when it learnt in the loop of another one.
            seed: of the random numbers.
            wait: return only when it has succeeded.
            **params: others that the service knows.

        Raises:
            JobFailedError: waited for, it ended without a result.
        """
        given = {
            "version": str(version),
            "dataset": dataset,
            "recipe": recipe,
            "chip_epochs": chip_epochs,
            "chip": chip,
            "allow_transfer": allow_transfer,
            "seed": seed,
        }
        return self.submit("staircase", model, given | params, wait)

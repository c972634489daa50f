"""The meaning of a request for long work: full names of versions and data sets, and the only chip that may do it."""

from dataclasses import dataclass

from services.batch_jobs.estimates import expected_crops
from services.chips.affinity import Affinity
from services.chips.store import ChipStore
from services.datasets.uploads import DatasetUploads
from services.errors import ChipElsewhereError, InvalidInputError, NotFoundError
from services.jobs.mixtures import DatasetReferences
from services.jobs.params import (
    BatchParams,
    CalibrationParams,
    ComparisonParams,
    MeasurementParams,
    Params,
    StaircaseParams,
    TrainingParams,
    VersionParams,
)
from services.jobs.recipes import RECIPES, RecipeName
from services.models.registry import Reference, Registry
from services.users.authentication import User


@dataclass(frozen=True, slots=True)
class Resolved:
    """What a job records of a request.

    Attributes:
        model: Its full name.
        params: With versions by their numbers and data sets by their full names.
        home: The hardware identifier of the only chip that may run the job; empty if any may.
    """

    model: str
    params: Params
    home: str = ""


class Resolution:
    """Resolves names for the user who gave them."""

    def __init__(
        self,
        registry: Registry,
        chips: ChipStore,
        affinity: Affinity,
        references: DatasetReferences,
        uploads: DatasetUploads,
    ) -> None:
        self._registry = registry
        self._chips = chips
        self._affinity = affinity
        self._references = references
        self._uploads = uploads

    def resolve(self, params: Params, user: User, model: str) -> Resolved:
        """Return what a job of this user with these params means now.

        Raises:
            InvalidInputError: the params do not fit each other.
            ForbiddenError: it is a training of another's model.
            ChipElsewhereError: a version learnt in the loop of a chip that is not here, or not the one asked for.
            ModelNotFoundError: a version does not exist.
            DatasetNotFoundError: the data set does not exist.
            NotFoundError: the chip or the upload does not exist.
            ConflictError: parts of the upload are missing.
        """
        match params:
            case TrainingParams():
                return self._training(params, user, model)
            case VersionParams():
                found = self._registry.find(user, model, params.version)
                return self._of_version(params.model_copy(update={"version": found.version}), user, found)
            case CalibrationParams():
                self._check_chip(params.chip)
        return Resolved(model, params)

    def _of_version(self, params: VersionParams, user: User, found: Reference) -> Resolved:
        """Return the meaning of work with a version."""
        home = ""
        if params.on_chip:
            home = self._affinity.of(found.model, found.version, allow_transfer=params.allow_transfer)
        match params:
            case ComparisonParams():
                params, home = self._comparison(params, user, found.model, home)
            case StaircaseParams():
                params = self._staircase(params, found, home)
            case BatchParams():
                params = self._batch(params, user)
        if isinstance(params, MeasurementParams):
            params = self._references.resolve(params, user)
        return Resolved(found.model, params, home)

    def _training(self, params: TrainingParams, user: User, model: str) -> Resolved:
        """Return the meaning of a training."""
        model, home = self._registry.to_create(user, model), ""
        parents_dataset = "auto"
        if params.start_from is not None:
            named, at, version = params.start_from.rpartition("@")
            parent = self._registry.find(user, named if at else model, version)
            parents_dataset = self._registry.manifest(parent).built_in_dataset
            if params.epochs == 0 and params.execution in {None, "chip"}:
                home = self._affinity.of(parent.model, parent.version, allow_transfer=False)
            start_from = parent.version if parent.model == model else f"{parent.model}@{parent.version}"
            params = params.model_copy(update={"start_from": start_from})
        return Resolved(model, self._references.resolve(params, user, parents_dataset), home)

    def _comparison(
        self, params: ComparisonParams, user: User, model: str, home: str
    ) -> tuple[ComparisonParams, str]:
        """Return the params of a comparison with the other version found, and the only chip that may read both."""
        other = self._registry.find(user, model, params.against).version
        if other == params.version:
            raise InvalidInputError(
                f"against: {params.against!r} is version {other} of {model}, the candidate itself; name another version"
            )
        if params.on_chip:
            of_other = self._affinity.of(model, other, allow_transfer=params.allow_transfer)
            if home and of_other and home != of_other:
                raise ChipElsewhereError(
                    f"version {params.version} of {model} learnt in the loop of {home} and version {other} in that of "
                    f"{of_other}; with allow_transfer one chip reads both"
                )
            home = home or of_other
        return params.model_copy(update={"against": other}), home

    def _staircase(self, params: StaircaseParams, found: Reference, home: str) -> StaircaseParams:
        """Return the params of a staircase with what its version says: recipe, epochs in the loop and data set."""
        self._check_chip(params.chip)
        if params.chip is not None and home and self._chips.identifiers().get(params.chip, home) != home:
            raise ChipElsewhereError(
                f"version {found.version} of {found.model} learnt in the loop of the chip {home}, which is not "
                f"{params.chip}; with allow_transfer that chip takes its place, and the result says so"
            )
        manifest = self._registry.manifest(found)
        kept: dict[str, RecipeName] = {name: name for name, facts in RECIPES.items() if not facts.adapts}
        recipe: RecipeName = params.recipe or kept.get(str(manifest.recipe.get("name")), "strong")
        epochs = params.chip_epochs
        if epochs is None:
            epochs = 0 if manifest.home else RECIPES[recipe].chip_epochs
        dataset = manifest.built_in_dataset if params.dataset == "auto" else params.dataset
        return params.model_copy(update={"recipe": recipe, "chip_epochs": epochs, "dataset": dataset})

    def _batch(self, params: BatchParams, user: User) -> BatchParams:
        """Return the params of a batch job with the full name of its data set and the crops to expect."""
        if params.upload is not None:
            upload = self._uploads.get(params.upload, user)
            if upload.dataset:
                raise InvalidInputError(
                    f"upload: {upload.id} is of the data set {upload.dataset}; send the files to /v1/uploads, or name "
                    "the data set in dataset"
                )
            self._uploads.check_whole(upload)
            expected = expected_crops(upload, lambda index: self._uploads.path(upload.id, index))
            return params.model_copy(update={"expected_crops": expected})
        name, crops = self._references.find(user, params.dataset or "auto")
        counts = {"train": crops.train, "test": crops.test, "all": crops.train + crops.test}
        return params.model_copy(update={"dataset": name, "expected_crops": counts[params.part]})

    def _check_chip(self, chip: str | None) -> None:
        """Raise NotFoundError unless there is a chip of this id, or none is named."""
        known = [record.chip for record in self._chips.records()] if chip else []
        if chip and chip not in known:
            raise NotFoundError(f"there is no chip {chip!r}; there are: {', '.join(known) or 'none'}")

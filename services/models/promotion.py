"""Safe promotion: an alias moves to a version that a comparison has shown to be better or not worse, and moves back."""

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from services.chips.affinity import Affinity
from services.errors import ConflictError, InvalidInputError, ModelNotFoundError, PromotionRefusedError
from services.jobs.record import Job, JobKind, JobState
from services.jobs.store import JobStore
from services.jobs.submission import job_for
from services.models.aliases import Action, Alias, Change, Rollout, moved_to
from services.models.files import ModelStore
from services.models.paired import PairedTable, Verdict
from services.models.registry import Reference, Registry
from services.users.authentication import User

_WHERE_VERSIONS_SERVE: Final = {None, "chip"}
_WORDS: Final[Mapping[Verdict, str]] = {
    "better": "better",
    "not_worse": "not worse",
    "worse": "worse",
    "undecided": "neither shown to be better nor to be not worse",
}


class Promotions:
    """Moves aliases by the rules of ownership, and records who moved them and why."""

    def __init__(self, models: ModelStore, registry: Registry, jobs: JobStore, affinity: Affinity) -> None:
        self._models = models
        self._registry = registry
        self._jobs = jobs
        self._affinity = affinity

    def alias(self, user: User, asked: str, alias: str) -> tuple[str, Alias]:
        """Return the full name of a model that a user may change, and one of its aliases.

        Raises:
            ModelNotFoundError: there is no such model or alias for the user.
            ForbiddenError: the user may only look at it.
        """
        name = self._registry.to_change(user, asked)
        read = self._models.alias_files.get(name, alias) if alias in self._models.aliases(name) else None
        if read is None:
            raise _no_alias(name, alias)
        return name, read

    def promote(
        self, user: User, asked: str, alias: str, version: str, job_id: str, *, margin: float, why: str
    ) -> tuple[str, Alias]:
        """Let an alias name a version if a comparison with the version that it names now allows it.

        Args:
            user: who promotes.
            asked: the model.
            alias: an alias that exists.
            version: a number or an alias, the candidate of the comparison.
            job_id: of the comparison.
            margin: the loss of accuracy that does not matter, 0..1.
            why: for the history.

        Raises:
            PromotionRefusedError: the comparison is of other versions, or shows neither; the message has its figures.
            ModelNotFoundError: there is no such model, version or alias for the user.
            JobNotFoundError: there is no such comparison for the user.
            ForbiddenError: the user may only look at the model.
            StorageError: the alias cannot be written; it stays.
        """
        name, _ = self.alias(user, asked, alias)
        found = self._registry.find(user, name, version)
        result = _result_of(job_for(self._jobs, job_id, user), found)
        table = PairedTable(**result["table"])
        verdict = table.verdict(margin)
        figures = figures_of(job_id, result, margin, verdict)
        if verdict not in {"better", "not_worse"}:
            raise PromotionRefusedError(
                f"{name}@{version} is {_WORDS[verdict]} by a margin of {margin:.2%}: {_sentence(result, table)}; "
                f"{alias} stays"
            )
        move = moved_to(found.version, user.name, "promoted", why, figures)

        def promoted(present: Alias | None) -> Alias | None:
            if present is not None and present.version not in {result["against"], found.version}:
                raise PromotionRefusedError(
                    f"{alias} of {name} names version {present.version} now, and job {job_id} compared with "
                    f"{result['against']}; compare with what {alias} names"
                )
            return move(present) if present else None

        return name, self._changed(name, alias, promoted)

    def roll_back(self, user: User, asked: str, alias: str, *, why: str) -> tuple[str, Alias]:
        """Let an alias name the version that it named before the present one; again: the one before that.

        Raises:
            ConflictError: there is none before it that was not deleted.
            ModelNotFoundError: there is no such model or alias for the user.
            ForbiddenError: the user may only look at the model.
            StorageError: the alias cannot be written; it stays.
        """
        name, _ = self.alias(user, asked, alias)

        def rolled_back(present: Alias | None) -> Alias | None:
            if present is None:
                return None
            left = [version for version in present.earlier if self._models.find(name, version)]
            if not left:
                raise ConflictError(f"{alias} of {name} has no earlier version; it names {present.version}")
            *earlier, version = left
            change = Change(
                at=time.time(),
                user=user.name,
                action="rolled_back",
                version=version,
                before=present.version,
                why=why,
            )
            return present.moved(change, tuple(earlier))

        return name, self._changed(name, alias, rolled_back)

    def roll_out(
        self, user: User, asked: str, alias: str, candidate: str, *, share: float, shadow: float
    ) -> tuple[str, Alias]:
        """Begin or change the rollout of a candidate under an alias.

        Raises:
            InvalidInputError: the candidate is what the alias names.
            ChipElsewhereError: it learnt in the loop of a chip that is not here.
            ModelNotFoundError: there is no such model, version or alias for the user.
            ForbiddenError: the user may only look at the model.
            StorageError: the alias cannot be written; it stays.
        """
        name, _ = self.alias(user, asked, alias)
        found = self._registry.find(user, name, candidate)
        self._affinity.of(name, found.version, allow_transfer=False)
        now = time.time()

        def rolled_out(present: Alias | None) -> Alias | None:
            if present is None:
                return None
            if present.version == found.version:
                raise InvalidInputError(
                    f"{alias} of {name} names version {found.version} already; give another candidate"
                )
            before = present.rollout
            goes_on = before is not None and before.candidate == found.version
            since = before.since if before and goes_on else now
            rollout = Rollout(
                candidate=found.version, share=share, shadow=shadow, user=user.name, since=since
            )
            if before and goes_on and before == rollout.model_copy(update={"user": before.user}):
                return None
            figures = rollout.model_dump(include={"candidate", "share", "shadow"})
            return present.with_rollout(rollout, self._of_rollout(user, "rollout", present, figures))

        return name, self._changed(name, alias, rolled_out)

    def end_rollout(self, user: User, asked: str, alias: str) -> tuple[str, Alias]:
        """End the rollout of an alias, if there is one: all senders are answered by its version again.

        Raises:
            ModelNotFoundError: there is no such model or alias for the user.
            ForbiddenError: the user may only look at the model.
            StorageError: the alias cannot be written; it stays.
        """
        name, _ = self.alias(user, asked, alias)

        def ended(present: Alias | None) -> Alias | None:
            if present is None or present.rollout is None:
                return None
            figures = present.rollout.model_dump(include={"candidate", "share", "shadow"})
            return present.with_rollout(None, self._of_rollout(user, "rollout_ended", present, figures))

        return name, self._changed(name, alias, ended)

    def _of_rollout(self, user: User, action: Action, present: Alias, figures: dict[str, Any]) -> Change:
        return Change(
            at=time.time(),
            user=user.name,
            action=action,
            version=present.version,
            before=present.version,
            figures=figures,
        )

    def _changed(self, name: str, alias: str, change: Callable[[Alias | None], Alias | None]) -> Alias:
        changed = self._models.alias_files.change(name, alias, change)
        if changed is None:
            raise _no_alias(name, alias)
        return changed


def figures_of(job_id: str, result: Mapping[str, Any], margin: float, verdict: Verdict) -> dict[str, Any]:
    """Return the figures of a comparison that the history keeps."""
    kept = ("dataset", "crops", "repeats", "difference", "difference_interval", "p_value")
    accuracies = {side: result[side]["accuracy"] for side in ("candidate", "present")}
    return {
        "comparison": job_id,
        **{name: result[name] for name in kept},
        "accuracies": accuracies,
        "margin": margin,
        "verdict": verdict,
    }


def _result_of(job: Job, found: Reference) -> Mapping[str, Any]:
    """Return the result of a comparison whose candidate is this version.

    Raises:
        PromotionRefusedError: the job is none, has no result, or is of another version or arithmetic.
    """
    if job.kind is not JobKind.COMPARISON or job.state is not JobState.SUCCEEDED or not job.result:
        raise PromotionRefusedError(
            f"job {job.id} is a {job.kind} that is {job.state}; give a comparison that has succeeded"
        )
    compared = Reference(job.model, job.result["version"])
    if compared != found:
        raise PromotionRefusedError(
            f"job {job.id} compared {compared.model}@{compared.version}; "
            f"give a comparison of {found.model}@{found.version}"
        )
    if job.params.get("execution") not in _WHERE_VERSIONS_SERVE:
        raise PromotionRefusedError(
            f"job {job.id} compared in {job.params['execution']}; compare where versions serve: leave execution out"
        )
    return job.result


def _sentence(result: Mapping[str, Any], table: PairedTable) -> str:
    low, high = table.interval()
    return (
        f"{result['candidate']['accuracy']:.2%} of {table.crops} crops of {result['dataset']} read right, "
        f"version {result['against']} {result['present']['accuracy']:.2%}; the difference is "
        f"{100 * table.difference:+.2f} points (95 %: {100 * low:+.2f} to {100 * high:+.2f}), "
        f"p = {table.p_value:.2g}, {table.only_candidate} crops against {table.only_present}"
    )


def _no_alias(name: str, alias: str) -> ModelNotFoundError:
    return ModelNotFoundError(f"model {name!r} has no alias {alias!r}; set it to a version first")

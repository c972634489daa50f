"""The request of a job, as clients send it."""

from typing import Annotated, Any, Final, get_args

from pydantic import BaseModel, ConfigDict, Field

from services.errors import InvalidInputError
from services.jobs.params import PARAMS_OF, Params, validate_params
from services.jobs.record import JobKind, LongKind
from services.names import ModelName
from services.webhooks.targets import LONGEST_URL

SUBMITTED: Final = tuple(PARAMS_OF[JobKind(kind)] for kind in get_args(LongKind))
"""The params of the kinds that clients submit by name."""


class JobRequest(BaseModel):
    """A submitted job, before validation of its params."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)

    kind: LongKind
    """Kind of work."""
    model: ModelName | None = None
    """The model's name; a training makes it if new. A calibration has none. Another user's is `<owner>~<name>`, the
    service's always `service~<name>`."""
    params: Annotated[
        dict[str, Any],
        Field(description=f"By kind: {', '.join(f'`{model.__name__}`' for model in SUBMITTED)}."),
    ] = {}
    webhook: Annotated[str | None, Field(min_length=1, max_length=LONGEST_URL)] = None
    """Address, or id of a webhook of yours, that hears of the job's end."""

    def validated_params(self) -> Params:
        """Validate the params against the kind's model.

        Raises:
            InvalidInputError: it names each wrong field and the expected value.
        """
        kind = JobKind(self.kind)
        if kind.is_maintenance and self.model is not None:
            raise InvalidInputError(f"model: a {kind} is of a chip, not of a model; leave the model out")
        if not kind.is_maintenance and self.model is None:
            raise InvalidInputError(f"model: {kind} needs the name of its model")
        return validate_params(kind, self.params)

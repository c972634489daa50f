"""The end of requests of the inference protocol, which knows no answer that comes later."""

from api.application import Application
from services.crops.requests import Answered, JobReference, PendingAnswer
from services.errors import ExpiredError


def conclude_or_drop(services: Application, pending: PendingAnswer, wait_s: float = 0.0) -> Answered:
    """Return the answers to a request, waiting up to `wait_s` for them; otherwise its crops are not run any more.

    Raises:
        ExpiredError: they did not come in time.
        HxserveError: it was refused, or could not be run.
    """
    outcome = services.classifications.conclude(pending, wait_s)
    if isinstance(outcome, JobReference):
        services.submissions.cancel(outcome.job_id, pending.request.user)
        raise ExpiredError(
            "the crops were not run in time, and are not run any more; try again a little later"
        )
    return outcome

"""Everything that can go wrong on this side of the wire, as one tree.

What the service refused carries the service's own `code`; the other classes have codes of their own. A
class's docstring is its message when no better one is given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from hxserve.job_states import JobState


class ClientError(Exception):
    """Something went wrong between this program and hxserve."""

    code: str = "client_error"
    retryable: bool = False

    def __init__(self, detail: str | None = None) -> None:
        self.detail = detail or (type(self).__doc__ or "").strip()
        super().__init__(self.detail)

    def __reduce__(self) -> tuple[Callable[..., ClientError], tuple[Any, ...]]:
        """Let it be pickled with its attributes, whatever its constructor takes: pools send errors to their process."""
        return _restore, (type(self), self.args, self.__dict__)


def _restore(kind: type[ClientError], args: tuple[Any, ...], attributes: dict[str, Any]) -> ClientError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(attributes)
    return error


class ServiceError(ClientError):
    """The service refused the request.

    `code` is stable and meant for programs, `status` is the HTTP status, `retryable` says whether the same
    request can succeed later, and `retry_after_s` when, if the service said so.
    """

    def __init__(
        self,
        code: str,
        detail: str,
        status: int,
        *,
        retryable: bool = False,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.status = status
        self.retryable = retryable
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        advice = _ADVICE.get(self.code)
        return f"{self.code}: {self.detail} (HTTP {self.status})" + (f"; {advice}" if advice else "")


_ADVICE: Final = {
    "not_authenticated": "pass the token as Client(token=...), or set HXSERVE_TOKEN",
    "model_not_found": "list(client.models) has those there are, client.train(name) makes one",
    "dataset_not_found": "client.datasets.list() has those there are",
    "job_not_found": "client.jobs() has yours",
    "quota_exceeded": "client.me() has your quotas",
}
"""Next steps in Python; the command line has its own."""


class ConnectionFailedError(ClientError):
    """No service answers there; start one with `hxserve up` or check the address."""

    code = "not_reachable"
    retryable = True


class AbandonedError(ClientError):
    """The task that waited for this request was cancelled."""

    code = "abandoned"


class AnswerNotUnderstoodError(ClientError):
    """The server at this address is no hxserve service; check the address."""

    code = "not_hxserve"


class AddressError(ClientError):
    """It is not known where the service is; set HXSERVE_URL, or start one here with `hxserve up`."""

    code = "no_address"


class InvalidNameError(ClientError):
    """A name is empty or made of dots only."""

    code = "invalid_name"


class NotAvailableError(ClientError):
    """The job has no such part, or not yet."""

    code = "not_available"


class InvalidImagesError(ClientError):
    """The images cannot be sent; give pictures or .npy files, or arrays of 28 x 28."""

    code = "invalid_images"


class InvalidDatasetError(ClientError):
    """The files of a data set cannot be sent; give files, or folders of pictures."""

    code = "invalid_dataset"


class DownloadDamagedError(ClientError):
    """The received file differs from the one that the service published; download it again."""

    code = "download_damaged"
    retryable = True


class SharedChipError(ClientError, RuntimeError):
    """The shared chip cannot be used by this program; `code` says why.

    It is a RuntimeError, as hxtorch raises for a chip that it cannot reach.
    """

    def __init__(self, detail: str, code: str, *, retryable: bool = False) -> None:
        super().__init__(detail)
        self.code = code
        self.retryable = retryable


class WebhookNotVerifiedError(ClientError, ValueError):
    """The request is no message of this webhook, or an old one; do nothing with it."""

    code = "webhook_not_verified"


class NotExpressibleError(ClientError, ValueError):
    """The module cannot be published: it is more than layers of hxtorch one after the other."""

    code = "not_expressible"


class JobError(ClientError):
    """The job did not end as hoped; `job` is its record."""

    code_when_unknown: ClassVar[str] = "job_failed"

    def __init__(self, job: JobState, detail: str, code: str | None = None) -> None:
        super().__init__(detail)
        self.code = code or self.code_when_unknown
        self.job = job


class JobFailedError(JobError):
    """The job failed, was cancelled or expired."""


class StillRunningError(JobError):
    """The time given for waiting is over; the job goes on."""

    code_when_unknown = "still_running"
    retryable = True

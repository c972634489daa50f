"""Everything that can go wrong, as one tree.

Each class has a stable public `code`, says whether trying again can help (`retryable`), and its docstring is
the message when no better one is given. What HTTP status a class becomes is decided in `api/problems.py`.
"""

from collections.abc import Mapping
from typing import ClassVar


class HxserveError(Exception):
    """Something went wrong inside hxserve; the operator's log says what."""

    code: ClassVar[str] = "internal_error"
    retryable: ClassVar[bool] = False

    def __init__(
        self,
        message: str | None = None,
        *,
        retry_after_s: float | None = None,
        facts: Mapping[str, str | float | None] | None = None,
    ) -> None:
        self.message = message or (type(self).__doc__ or "").strip()
        self.retry_after_s = retry_after_s
        self.facts = facts or {}
        super().__init__(self.message)


class InvalidInputError(HxserveError):
    """The request is not what this call expects; its documentation says what is."""

    code = "invalid_input"


class InvalidImagesError(InvalidInputError):
    """The images cannot be read; send 28 x 28 crops as bytes, .npy, PNG, JPEG or JSON."""

    code = "invalid_images"


class InvalidCursorError(InvalidInputError):
    """The cursor is not one this service gave out; start again without a cursor."""

    code = "invalid_cursor"


class UnsupportedMediaError(InvalidInputError):
    """The body has a media type this call does not take."""

    code = "unsupported_media_type"


class TooLargeError(InvalidInputError):
    """The input is larger than this service takes; send it in several requests."""

    code = "too_large"


class NotAuthenticatedError(HxserveError):
    """No valid token came with the request; send the header `Authorization: Bearer <token>`."""

    code = "not_authenticated"


class ForbiddenError(HxserveError):
    """This needs rights that the token does not give; ask an admin of the service."""

    code = "forbidden"


class CrossSiteError(HxserveError):
    """A page of another site sent this in your name; it was refused. Use this service's own pages, or a token."""

    code = "cross_site"


class NotFoundError(HxserveError):
    """There is nothing of that name."""

    code = "not_found"


class JobNotFoundError(NotFoundError):
    """There is no such job; it may have expired."""

    code = "job_not_found"


class ModelNotFoundError(NotFoundError):
    """There is no such model, version or alias; `GET /v1/models` lists what there is."""

    code = "model_not_found"


class AnswerNotKeptError(NotFoundError):
    """No answer of yours of this id is kept; send the crops with keep=true to correct their answer."""

    code = "answer_not_kept"


class CorrectionNotFoundError(NotFoundError):
    """There is no such correction; `GET /v1/corrections` lists those that are open."""

    code = "correction_not_found"


class DatasetNotFoundError(NotFoundError):
    """There is no such data set or version; `GET /v1/datasets` lists what there is."""

    code = "dataset_not_found"


class WebhookNotFoundError(NotFoundError):
    """There is no such webhook of yours; `GET /v1/webhooks` lists them."""

    code = "webhook_not_found"


class DeliveryNotFoundError(NotFoundError):
    """There is no such delivery of yours; it may have expired."""

    code = "delivery_not_found"


class UserNotFoundError(NotFoundError):
    """There is no such user; `GET /v1/users` lists who there is."""

    code = "user_not_found"


class ClassNotFoundError(NotFoundError):
    """There is no such class; look at the code again, or ask the teacher for the present one."""

    code = "class_not_found"


class GameNotFoundError(NotFoundError):
    """There is no such game of yours; it has ended, begin another one."""

    code = "game_not_found"


class SeatNotFoundError(NotFoundError):
    """Nobody has this seat in the class."""

    code = "seat_not_found"


class ConflictError(HxserveError):
    """The request does not fit the present state."""

    code = "conflict"


class ClassPausedError(ConflictError):
    """The class is paused; wait until the teacher lets it go on."""

    code = "class_paused"


class ClassEndedError(ConflictError):
    """The class has ended; nobody can join it any more."""

    code = "class_ended"


class ClassFullError(ConflictError):
    """All seats of the class are taken; ask the teacher."""

    code = "class_full"


class InvalidTransitionError(ConflictError):
    """The job is in a state that does not allow this."""

    code = "invalid_transition"


class JobCancelledError(ConflictError):
    """The job was cancelled before it was done; nothing more of it is run."""

    code = "cancelled"


class ChipElsewhereError(ConflictError):
    """The model learnt in the loop of a chip that is not here; allow another one to read it, or train anew."""

    code = "chip_elsewhere"


class SessionEndedError(ConflictError):
    """The session of this program has ended, by its release, a cancellation or a long silence; open another one."""

    code = "session_ended"


class CalibrationChangedError(ConflictError):
    """The chip was calibrated since the calibration asked for was saved; save the present one and go on with it."""

    code = "calibration_changed"


class WeightsUnknownError(HxserveError):
    """The session does not keep these weights (any more); send the operation again with them."""

    code = "weights_unknown"


class PromotionRefusedError(ConflictError):
    """The comparison does not show that the candidate is better or not worse than what the alias names; it stays."""

    code = "promotion_refused"


class IdempotencyConflictError(ConflictError):
    """This Idempotency-Key was used for another request; use a new key for a new request."""

    code = "idempotency_conflict"


class QueueFullError(HxserveError):
    """Too much is waiting already; try again a little later."""

    code = "queue_full"
    retryable = True


class QuotaExceededError(HxserveError):
    """The request would go beyond what its user may take; `GET /v1/me` says what is left."""

    code = "quota_exceeded"
    retryable = True


class TooManyTriesError(HxserveError):
    """There were too many tries within a minute; wait a minute, then try again."""

    code = "too_many_tries"
    retryable = True


class UnavailableError(HxserveError):
    """The service cannot do this right now; try again a little later."""

    code = "unavailable"
    retryable = True


class ChipInMaintenanceError(UnavailableError):
    """The chip is in maintenance; try again when it has ended."""

    code = "chip_in_maintenance"


class RedisUnavailableError(UnavailableError):
    """The record store (Redis) does not answer; what was accepted is kept, try again a little later."""

    code = "store_unavailable"


class ExpiredError(HxserveError):
    """The deadline passed before the chip was free; nothing was run."""

    code = "expired"
    retryable = True


class StillWaitingError(HxserveError):
    """The operation still waits for the chip; send it again under the same Idempotency-Key to go on waiting."""

    code = "still_waiting"
    retryable = True


class LeaseHeldError(HxserveError):
    """Another worker holds this chip; one chip has one worker."""

    code = "lease_held"
    retryable = True


class LeaseLostError(HxserveError):
    """This worker no longer holds the chip's lease; it must stop and write nothing more."""

    code = "lease_lost"


class CheckpointDamagedError(HxserveError):
    """The checkpoint's files are damaged or not a checkpoint of hxserve; publish or restore it again."""

    code = "checkpoint_damaged"


class DatasetDamagedError(HxserveError):
    """The data set's files are damaged or not a data set of hxserve; restore it or send it again."""

    code = "dataset_damaged"


class BatchDamagedError(HxserveError):
    """The answers of a batch job are damaged; submit the job again."""

    code = "batch_damaged"


class StorageError(HxserveError):
    """The data folder cannot be written; free disk space or mend its permissions."""

    code = "storage_failed"
    retryable = True


class DiskLowError(StorageError):
    """The disk has too little room for another training; free some, then submit again."""

    code = "disk_low"


class ChipError(HxserveError):
    """The chip or its library failed; the operator's log says how."""

    code = "chip_failed"
    retryable = True


class ChipUnavailableError(ChipError):
    """The chip asked for cannot be opened here."""

    code = "chip_unavailable"
    retryable = False


class ChipLostError(ChipUnavailableError):
    """The connection to the chip is lost and is being opened again; try again a little later."""

    code = "chip_lost"
    retryable = True


class DatasetMissingError(HxserveError):
    """The data set is not where it was said to be."""

    code = "dataset_missing"


class JobCrashedError(HxserveError):
    """The job ended its worker process too often and was set aside."""

    code = "job_crashed"


class SettingsError(HxserveError):
    """A setting is misspelt or has an impossible value; nothing was started."""

    code = "invalid_settings"


class BackupDamagedError(HxserveError):
    """The file is damaged or no backup of hxserve; nothing was restored."""

    code = "backup_damaged"


class SchemaError(HxserveError):
    """The records in Redis are not of a schema that this hxserve knows; nothing was started."""

    code = "schema_mismatch"


def error_of(problem: Mapping[str, str]) -> HxserveError:
    """Return the error from which a stored problem (`code` and `message`) was made."""
    kinds = [HxserveError]
    while kinds:
        kind = kinds.pop()
        if kind.code == problem["code"]:
            return kind(problem["message"])
        kinds.extend(kind.__subclasses__())
    return HxserveError(problem["message"])

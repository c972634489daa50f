"""Errors of the client, as other processes get them."""

import pickle

import pytest

from hxserve.errors import ClientError, ConnectionFailedError, ServiceError, SharedChipError


@pytest.mark.parametrize(
    "error",
    [
        ConnectionFailedError(),
        ServiceError("queue_full", "20 jobs wait", 429, retryable=True, retry_after_s=3.0),
        SharedChipError("the session was cancelled", "session_ended"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_goes_from_process_to_process_whole(error: ClientError) -> None:
    copied = pickle.loads(pickle.dumps(error))  # noqa: S301 - it was pickled here

    assert type(copied) is type(error)
    assert (str(copied), copied.args, vars(copied)) == (str(error), error.args, vars(error))

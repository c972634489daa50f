"""The Python client and the `hxserve` command. It speaks HTTP only."""

from hxserve.classification import predictions_of
from hxserve.client import Client
from hxserve.errors import (
    ClientError,
    ConnectionFailedError,
    InvalidImagesError,
    JobFailedError,
    ServiceError,
    StillRunningError,
)
from hxserve.events import Event
from hxserve.jobs import Job
from hxserve.predictions import Prediction, Predictions

__all__ = [
    "Client",
    "ClientError",
    "ConnectionFailedError",
    "Event",
    "InvalidImagesError",
    "Job",
    "JobFailedError",
    "Prediction",
    "Predictions",
    "ServiceError",
    "StillRunningError",
    "predictions_of",
]

"""What users install: the Python client and the `hxserve` command. It speaks HTTP only."""

from client.classification import predictions_of
from client.client import Client
from client.errors import (
    ClientError,
    ConnectionFailedError,
    InvalidImagesError,
    JobFailedError,
    ServiceError,
    StillRunningError,
)
from client.events import Event
from client.jobs import Job
from client.predictions import Prediction, Predictions

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

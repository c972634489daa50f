"""The Python client and the `hxserve` command. It speaks HTTP only."""

from hxserve.asynchronous import AsyncClient
from hxserve.awaiting import AsyncJob
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
from hxserve.registry import Model, Version

__all__ = [
    "AsyncClient",
    "AsyncJob",
    "Client",
    "ClientError",
    "ConnectionFailedError",
    "Event",
    "InvalidImagesError",
    "Job",
    "JobFailedError",
    "Model",
    "Prediction",
    "Predictions",
    "ServiceError",
    "StillRunningError",
    "Version",
    "predictions_of",
]

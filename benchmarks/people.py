"""Several users of one running service."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from api.wakeups import celery_wake_up
from services.chips.homes import Homes
from services.chips.store import ChipStore
from services.jobs.params import JobRequest
from services.jobs.store import JobStore
from services.jobs.submission import Submissions
from services.models.files import ModelStore
from services.models.registry import Registry
from services.store.connection import Connection
from services.users.authentication import User

_MOST_JOBS = 1000


class People:
    """Users who submit trainings, through the same door that the API's route takes."""

    def __init__(self, submissions: Submissions) -> None:
        self._submissions = submissions

    def train(self, user: str, model: str, **params: Any) -> str:
        """The id of a user's new training job."""
        request = JobRequest(kind="training", model=model, params=params)
        return self._submissions.submit(request, User(user)).id


@contextmanager
def people_of(data_dir: Path) -> Iterator[People]:
    """The users of the service that keeps its data there."""
    url = f"unix://{data_dir.resolve() / 'redis' / 'redis.sock'}"
    connection = Connection(url)
    try:
        chips, models = ChipStore(connection, lease_s=4), ModelStore(data_dir / "models")
        yield People(
            Submissions(
                JobStore(connection, keep_jobs_s=86_400),
                Registry(models),
                chips,
                Homes(models, chips),
                celery_wake_up(url),
                max_queued_jobs=_MOST_JOBS,
            )
        )
    finally:
        connection.close()

"""Deletion of the pupils of classes, with everything they made: repeatable, so that it may be interrupted anywhere."""

import logging
import time
from collections.abc import Collection
from pathlib import Path
from typing import Final

from services.batch_jobs.answers import BatchStore
from services.challenges.store import ChallengeStore
from services.classes.record import Class
from services.classes.store import ClassStore
from services.datasets.uploads import DatasetUploads
from services.errors import JobNotFoundError
from services.jobs.store import JobStore
from services.jobs.submission import Submissions
from services.names import group_name, group_of
from services.publication import PublishedVersions
from services.users.authentication import ADMIN

_PATIENCE_S: Final = 300.0
"""After this time records are deleted although a job has not ended: no worker is there to end it."""
_OUT_S: Final = 2.0
"""Within this time every API process has noticed that an account is disabled."""

_log = logging.getLogger(__name__)


class Deletion:
    """Deletes what was of pupils who left, and of classes that ended `keep_s` ago: see `tend`."""

    def __init__(
        self,
        store: ClassStore,
        boards: ChallengeStore,
        jobs: JobStore,
        submissions: Submissions,
        published: Collection[PublishedVersions],
        uploads: DatasetUploads,
        batches: BatchStore,
        saves: Path,
        *,
        keep_s: float,
    ) -> None:
        self._store = store
        self._boards = boards
        self._jobs = jobs
        self._submissions = submissions
        self._published = published
        self._uploads = uploads
        self._batches = batches
        self._saves = saves
        self.keep_s = keep_s

    def tend(self) -> None:
        """Go one step on with every deletion; another process may do the same at the same time."""
        for found in self._store.all():
            if found.deleting or found.until + self.keep_s <= time.time():
                if not found.deleting:
                    self._store.change(found.code, deleting=True)
                self._store.leave(found.code, [account.name for account in self._store.seats(found.code)])
            self._delete_leaving(found)

    def _delete_leaving(self, of: Class) -> None:
        leaving = self._store.leaving(of.code)
        gone = [name for name, since in leaving.items() if self._has_ended(name, since)]
        for account in gone:
            for published in self._published:
                published.forget_owner(account)
            self._uploads.forget(account)
            for job_id in self._store.job_ids(account):
                self._batches.delete(job_id)
                for path in self._saves.glob(f"{job_id}*"):
                    path.unlink(missing_ok=True)
            self._boards.forget_player(group_of(account), account)
            self._store.forget_account(of, account)
        if gone:
            self._store.left(of.code, gone)
            _log.info("%d pupils of class %s were deleted", len(gone), of.code)
        if of.deleting and len(gone) == len(leaving) and not self._store.seats(of.code):
            self._boards.forget_board(group_name(of.code))
            self._store.forget(of)
            _log.info("class %s was deleted", of.code)

    def _has_ended(self, account: str, since: float) -> bool:
        """Cancel the jobs of an account; return whether none of them can write anything any more."""
        ids = self._store.job_ids(account)
        unfinished = [job for job in self._jobs.get_many(ids) if not job.state.is_final]
        for job in unfinished:
            try:
                self._submissions.cancel(job.id, ADMIN)
            except JobNotFoundError:
                continue
        is_busy = bool(unfinished) or self._store.has_crops(account)
        return time.time() - since > (_PATIENCE_S if is_busy else _OUT_S)

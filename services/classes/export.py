"""The export of a class: one zip with what its pupils made."""

import json
import zipfile
from dataclasses import asdict
from datetime import UTC, datetime
from typing import IO, Any

from services.challenges.store import ChallengeStore
from services.classes.classes import seat_in
from services.classes.record import Class
from services.classes.store import ClassStore
from services.errors import CheckpointDamagedError, ModelNotFoundError
from services.jobs.store import JobStore
from services.models.files import WEIGHTS, ModelStore
from services.names import OWNER_SEPARATOR, group_name
from services.publication import MANIFEST
from services.users.accounts import Account


class Export:
    """Writes exports: class.json, board.json, and of each pupil jobs.json and the files of each version of a model."""

    def __init__(self, store: ClassStore, boards: ChallengeStore, jobs: JobStore, models: ModelStore) -> None:
        self._store = store
        self._boards = boards
        self._jobs = jobs
        self._models = models

    def write(self, of: Class, file: IO[bytes]) -> None:
        """Write the zip of a class.

        Raises:
            RedisUnavailableError: its records cannot be read.
        """
        pupils = self._store.seats(of.code)
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            told: dict[str, Any] = {
                "title": of.title,
                "teacher": of.teacher,
                "started_at": _iso(of.created_at),
                "ended_at": _iso(of.until),
                "pupils": [
                    {
                        "nickname": pupil.nickname,
                        "folder": seat_in(pupil.name),
                        "joined_at": _iso(pupil.created_at),
                    }
                    for pupil in pupils
                ],
            }
            archive.writestr("class.json", _json(told))
            best = self._boards.best(group_name(of.code))
            archive.writestr(
                "board.json",
                _json({name: [asdict(each) for each in scores] for name, scores in best.items()}),
            )
            for pupil in pupils:
                self._write_pupil(pupil, archive)

    def _write_pupil(self, pupil: Account, archive: zipfile.ZipFile) -> None:
        folder = seat_in(pupil.name)
        jobs = self._jobs.get_many(self._store.job_ids(pupil.name))
        archive.writestr(f"{folder}/jobs.json", _json([asdict(job) for job in jobs]))
        for name in self._models.names():
            owner, _, own_name = name.partition(OWNER_SEPARATOR)
            if owner != pupil.name:
                continue
            for version in self._models.versions(name):
                try:
                    manifest = self._models.manifest(name, version).model_dump_json(indent=2)
                    weights = self._models.weights(name, version)
                except (CheckpointDamagedError, ModelNotFoundError):  # deleted meanwhile, or of no use
                    continue
                archive.writestr(f"{folder}/models/{own_name}/{version}/{MANIFEST}", manifest)
                archive.writestr(f"{folder}/models/{own_name}/{version}/{WEIGHTS}", weights)


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _json(document: object) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False, default=dict)

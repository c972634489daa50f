"""Models that learnt in a chip's loop, and the chips that may run them."""

import pytest

from services.chips.affinity import Affinity
from services.chips.store import ChipStore, Lease
from services.datasets.files import DatasetStore
from services.datasets.registry import DatasetRegistry
from services.datasets.uploads import DatasetUploads
from services.errors import ChipElsewhereError, InvalidTransitionError
from services.jobs.acceptance import Idempotency
from services.jobs.mixtures import DatasetReferences
from services.jobs.record import Job, JobState
from services.jobs.request import JobRequest
from services.jobs.store import JobStore
from services.jobs.submission import Submissions
from services.models.files import ModelStore
from services.models.registry import Registry
from services.models.uploads import Uploads
from services.users.authentication import ADMIN
from tests.services.samples import PLENTY, a_holder, a_job, an_origin


@pytest.fixture
def looped(models: ModelStore) -> str:
    """The version of `digits` that learnt in the loop of the chip hxone; there is one from the mock too."""
    models.publish(an_origin(job="a"), b"weights")
    return models.publish(
        an_origin(job="b", execution="mock-then-chip", identifier="hxone"), b"others"
    ).version


@pytest.fixture
def affinity(models: ModelStore, chips: ChipStore) -> Affinity:
    return Affinity(models, chips)


def _open(chips: ChipStore, chip: str, identifier: str) -> Lease:
    lease = chips.take(chip, a_holder(chip))
    chips.renew(lease, {"ready": True, "identifier": identifier})
    return lease


def test_a_model_that_learnt_in_the_mock_has_no_affinity(affinity: Affinity, looped: str) -> None:
    del looped

    assert affinity.of("digits", "1", allow_transfer=False) == ""


def test_what_learnt_in_a_chips_loop_is_bound_to_it_also_while_that_is_away(
    affinity: Affinity, looped: str, chips: ChipStore
) -> None:
    chips.release(_open(chips, "chip-1", "hxone"))

    assert affinity.of("digits", looped, allow_transfer=False) == "hxone"


def test_with_a_transfer_allowed_any_chip_will_do(affinity: Affinity, looped: str) -> None:
    assert affinity.of("digits", looped, allow_transfer=True) == ""


def test_what_is_bound_to_a_chip_that_is_not_here_is_refused(
    affinity: Affinity, looped: str, chips: ChipStore
) -> None:
    _open(chips, "chip-1", "hxtwo")

    with pytest.raises(ChipElsewhereError, match=r"hxone.*allow_transfer"):
        affinity.of("digits", looped, allow_transfer=False)


def test_a_measurement_on_the_chip_is_bound_and_one_in_the_mock_is_not(
    looped: str, models: ModelStore, chips: ChipStore, jobs: JobStore
) -> None:
    _open(chips, "chip-1", "hxone")
    submissions = Submissions(
        jobs,
        Registry(models),
        chips,
        Affinity(models, chips),
        lambda _: None,
        uploads=Uploads(models.folder),
        dataset_uploads=DatasetUploads(models.folder),
        references=DatasetReferences(DatasetRegistry(DatasetStore(models.folder))),
        max_queued_jobs=PLENTY,
    )

    def home_of(**params: object) -> str:
        request = JobRequest(kind="evaluation", model="digits", params={"version": looped, **params})
        return submissions.submit(request, ADMIN).home

    assert home_of(execution="chip") == "hxone"
    assert home_of(execution="chip", allow_transfer=True) == ""
    assert home_of(execution="mock") == ""


def _running_on(jobs: JobStore, lease: Lease) -> Job:
    job = a_job()
    jobs.submit(job, Idempotency(), most=PLENTY)
    jobs.change(
        job,
        lease=lease,
        allowed=(JobState.QUEUED,),
        event={"type": "state"},
        state=JobState.RUNNING,
        provenance={"chip": lease.chip},
    )
    return job


def test_no_chip_changes_a_job_that_runs_on_another(chips: ChipStore, jobs: JobStore) -> None:
    one, two = (_open(chips, chip, "hx") for chip in ("chip-1", "chip-2"))
    job = _running_on(jobs, one)

    with pytest.raises(InvalidTransitionError, match="another chip"):
        jobs.change(job, lease=two, allowed=tuple(JobState), event={"type": "note"}, progress=0.5)

    assert jobs.get(job.id).progress == 0.0


def test_what_ran_on_a_chip_without_a_worker_may_be_changed(chips: ChipStore, jobs: JobStore) -> None:
    one, two = (_open(chips, chip, "hx") for chip in ("chip-1", "chip-2"))
    job = _running_on(jobs, one)
    chips.release(one)

    jobs.change(job, lease=two, allowed=(JobState.RUNNING,), event={"type": "state"}, state=JobState.QUEUED)

    assert chips.absent() == ["chip-1"]
    assert jobs.get(job.id).state is JobState.QUEUED

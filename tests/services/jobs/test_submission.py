"""Taking in long jobs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from services.chips.affinity import Affinity
from services.chips.store import ChipStore, Lease
from services.datasets.files import DatasetStore
from services.datasets.registry import DatasetRegistry
from services.datasets.uploads import DatasetUploads
from services.disk import Disk
from services.errors import (
    DatasetNotFoundError,
    DiskLowError,
    IdempotencyConflictError,
    InvalidInputError,
    JobNotFoundError,
    ModelNotFoundError,
    NotFoundError,
    QueueFullError,
)
from services.jobs.mixtures import DatasetReferences
from services.jobs.record import JobKind, JobState
from services.jobs.request import JobRequest
from services.jobs.store import JobStore
from services.jobs.submission import Submissions, bind_key, new_job_id
from services.models.files import ModelStore
from services.models.registry import Registry
from services.models.uploads import Uploads
from services.users.authentication import ADMIN, User
from tests.services.datasets.crops import a_dataset_origin, some_labelled
from tests.services.samples import CHIP, PLENTY, an_origin

TRAINING = JobRequest(kind="training", model="digits", params={"epochs": 2})
OTHER = JobRequest(kind="training", model="digits", params={"epochs": 3})
GRACE = User("grace")


@pytest.fixture
def woken() -> list[str]:
    """The chips that were sent a wake-up."""
    return []


@pytest.fixture
def uploads(tmp_path: Path) -> Uploads:
    return Uploads(tmp_path / "saves")


@pytest.fixture
def datasets(tmp_path: Path) -> DatasetStore:
    return DatasetStore(tmp_path / "datasets")


@pytest.fixture
def make_submissions(
    jobs: JobStore,
    models: ModelStore,
    datasets: DatasetStore,
    chips: ChipStore,
    woken: list[str],
    uploads: Uploads,
) -> Callable[..., Submissions]:
    """Makes submissions with a limit of unfinished jobs, and further options."""

    def make(max_queued_jobs: int, **options: Any) -> Submissions:
        return Submissions(
            jobs,
            Registry(models),
            chips,
            Affinity(models, chips),
            woken.append,
            uploads=uploads,
            dataset_uploads=DatasetUploads(models.folder),
            references=DatasetReferences(DatasetRegistry(datasets)),
            max_queued_jobs=max_queued_jobs,
            **options,
        )

    return make


@pytest.fixture
def submissions(make_submissions: Callable[..., Submissions]) -> Submissions:
    return make_submissions(PLENTY)


def test_a_submitted_training_is_queued_with_all_its_options(
    submissions: Submissions, jobs: JobStore
) -> None:
    job = submissions.submit(TRAINING, ADMIN)

    assert jobs.unfinished() == [job]
    assert (job.kind, job.state, job.user, job.model) == (
        JobKind.TRAINING,
        JobState.QUEUED,
        "admin",
        "digits",
    )
    assert job.params["epochs"] == 2
    assert job.params["recipe"] == "strong"


def test_below_the_floor_of_free_room_no_training_is_taken_in_but_other_work_is(
    make_submissions: Callable[..., Submissions], jobs: JobStore, models: ModelStore, tmp_path: Path
) -> None:
    models.publish(an_origin(), b"weights")
    disk = Disk(tmp_path / "not" / "made" / "yet", floor_bytes=2**62)
    submissions = make_submissions(9, disk=disk)

    with pytest.raises(DiskLowError, match="MiB free, less than the 4398046511104 MiB below which"):
        submissions.submit(TRAINING, ADMIN)
    evaluation = submissions.submit(JobRequest(kind="evaluation", model="digits"), ADMIN)

    assert [job.id for job in jobs.unfinished()] == [evaluation.id]


def test_a_submission_wakes_the_chip_once(submissions: Submissions, lease: Lease, woken: list[str]) -> None:
    del lease

    submissions.submit(TRAINING, ADMIN)
    submissions.submit(OTHER, ADMIN)

    assert woken == [CHIP]


def test_the_same_request_with_the_same_key_is_one_job(
    submissions: Submissions, jobs: JobStore, woken: list[str], lease: Lease
) -> None:
    del lease
    first = submissions.submit(TRAINING, ADMIN, "k")

    again = submissions.submit(TRAINING, ADMIN, "k")

    assert again == first
    assert len(jobs.newest(before=None, count=9)) == 1
    assert woken == [CHIP]


def test_another_request_with_the_same_key_is_a_conflict(submissions: Submissions, jobs: JobStore) -> None:
    first = submissions.submit(TRAINING, ADMIN, "k")

    with pytest.raises(IdempotencyConflictError):
        submissions.submit(OTHER, ADMIN, "k")

    assert jobs.unfinished() == [first]


def test_keys_of_two_users_have_nothing_to_do_with_each_other(
    submissions: Submissions, jobs: JobStore
) -> None:
    submissions.submit(TRAINING, ADMIN, "k")

    theirs = submissions.submit(OTHER, GRACE, "k")

    assert theirs.user == "grace"
    assert len(jobs.unfinished()) == 2


def test_requests_without_key_are_never_the_same(submissions: Submissions, jobs: JobStore) -> None:
    submissions.submit(TRAINING, ADMIN)
    submissions.submit(TRAINING, ADMIN)

    assert len(jobs.unfinished()) == 2


def test_a_repeated_request_is_answered_even_when_the_queue_is_full(
    make_submissions: Callable[..., Submissions],
) -> None:
    submissions = make_submissions(1)
    first = submissions.submit(TRAINING, ADMIN, "k")

    assert submissions.submit(TRAINING, ADMIN, "k") == first


def test_a_job_beyond_the_limit_is_refused_and_says_when_to_come_back(
    make_submissions: Callable[..., Submissions], jobs: JobStore
) -> None:
    submissions = make_submissions(1)
    submissions.submit(TRAINING, ADMIN)

    with pytest.raises(QueueFullError, match="limit of 1 waiting jobs") as refusal:
        submissions.submit(OTHER, ADMIN, "k")

    assert refusal.value.retry_after_s
    assert len(jobs.newest(before=None, count=9)) == 1


def test_a_finished_job_makes_room(
    make_submissions: Callable[..., Submissions],
) -> None:
    submissions = make_submissions(1)
    submissions.cancel(submissions.submit(TRAINING, ADMIN).id, ADMIN)

    job = submissions.submit(OTHER, ADMIN)

    assert job.state is JobState.QUEUED


def test_an_evaluation_means_the_version_that_the_alias_meant_when_it_was_submitted(
    submissions: Submissions, models: ModelStore
) -> None:
    models.publish(an_origin(job="a"), b"weights")

    job = submissions.submit(JobRequest(kind="evaluation", model="digits"), ADMIN)

    models.publish(an_origin(job="b"), b"weights")
    assert job.params["version"] == "1"


def test_an_evaluation_of_a_missing_version_is_refused(submissions: Submissions, jobs: JobStore) -> None:
    with pytest.raises(ModelNotFoundError, match="nothing"):
        submissions.submit(JobRequest(kind="evaluation", model="nothing"), ADMIN)

    assert jobs.newest(before=None, count=9) == []


def test_wrong_options_are_refused_before_anything_is_recorded(
    submissions: Submissions, jobs: JobStore
) -> None:
    request = JobRequest(kind="training", model="digits", params={"epoch": 2})

    with pytest.raises(InvalidInputError, match=r"params\.epoch: unknown field"):
        submissions.submit(request, ADMIN)

    assert jobs.newest(before=None, count=9) == []


def test_cancelling_a_job_that_is_not_there_says_so(submissions: Submissions) -> None:
    with pytest.raises(JobNotFoundError, match="nothing"):
        submissions.cancel("nothing", ADMIN)


def test_a_queued_job_is_cancelled_at_once(submissions: Submissions) -> None:
    job = submissions.submit(TRAINING, ADMIN)

    assert submissions.cancel(job.id, ADMIN).state is JobState.CANCELLED


def test_ids_sort_by_time_and_cannot_be_guessed_from_each_other() -> None:
    ids = [new_job_id() for _ in range(50)]

    assert [i[:11] for i in ids] == sorted(i[:11] for i in ids)
    assert len({i[11:] for i in ids}) == 50


def test_a_key_is_bound_to_its_user_and_its_request() -> None:
    bound = bind_key(ADMIN, "k", b"request")

    assert bound == bind_key(ADMIN, "k", b"request")
    assert bound.key != bind_key(GRACE, "k", b"request").key
    assert bound.digest != bind_key(ADMIN, "k", b"other").digest
    assert bind_key(ADMIN, None, b"request").key == ""


def test_a_calibration_of_a_chip_that_never_was_is_refused(submissions: Submissions, jobs: JobStore) -> None:
    request = JobRequest(kind="calibration", params={"chip": "nosuch"})

    with pytest.raises(NotFoundError, match="no chip 'nosuch'"):
        submissions.submit(request, ADMIN)

    assert jobs.unfinished() == []


def test_a_data_set_means_the_version_that_was_the_newest_at_submission(
    submissions: Submissions, datasets: DatasetStore
) -> None:
    datasets.publish(a_dataset_origin("grace~mine"), some_labelled(20), some_labelled(10, seed=1))
    dataset = {"mine": 20, "digits": 0.5}

    training = submissions.submit(
        JobRequest(kind="training", model="hand", params={"dataset": dataset}), GRACE
    )
    datasets.publish(a_dataset_origin("grace~mine"), some_labelled(30), some_labelled(10, seed=1))
    later = submissions.submit(JobRequest(kind="training", model="hand", params={"dataset": "mine"}), GRACE)

    assert training.params["dataset"] == {"grace~mine@1": 20, "digits": 0.5}
    assert later.params["dataset"] == "grace~mine@2"


def test_a_data_set_that_the_user_may_not_see_does_not_exist(
    submissions: Submissions, datasets: DatasetStore, jobs: JobStore
) -> None:
    datasets.publish(a_dataset_origin("ada~mine"), some_labelled(20), some_labelled(10, seed=1))

    for kind in ("training", "evaluation"):
        request = JobRequest(kind=kind, model="untrained", params={"dataset": "ada~mine"})
        with pytest.raises((DatasetNotFoundError, ModelNotFoundError)):
            submissions.submit(request, GRACE)

    assert jobs.newest(before=None, count=9) == []


def test_an_unknown_data_set_is_refused_with_those_of_a_similar_name(
    submissions: Submissions, datasets: DatasetStore
) -> None:
    datasets.publish(a_dataset_origin("grace~letters"), some_labelled(20), some_labelled(10, seed=1))
    request = JobRequest(kind="training", model="hand", params={"dataset": "grace~lettres"})

    with pytest.raises(
        DatasetNotFoundError, match=r"did you mean 'grace~letters'\? there are: grace~letters, auto"
    ):
        submissions.submit(request, GRACE)


@pytest.mark.parametrize(
    ("train", "test", "weight", "said"),
    [
        (20, 0, 1.0, "has no test crops"),
        (0, 20, 1.0, "has no training crops"),
        (3000, 9, 999.0, "smaller weights"),
    ],
)
def test_crops_of_which_nothing_can_be_learnt_are_refused(
    submissions: Submissions, datasets: DatasetStore, train: int, test: int, weight: float, said: str
) -> None:
    datasets.publish(a_dataset_origin("grace~mine"), some_labelled(train), some_labelled(test, seed=1))
    request = JobRequest(kind="training", model="hand", params={"dataset": {"mine": weight}})

    with pytest.raises(InvalidInputError, match=said):
        submissions.submit(request, GRACE)


def test_a_version_that_a_mixture_names_twice_is_refused(
    submissions: Submissions, datasets: DatasetStore
) -> None:
    datasets.publish(a_dataset_origin("grace~mine"), some_labelled(20), some_labelled(9, seed=1))
    request = JobRequest(kind="training", model="hand", params={"dataset": {"mine": 1, "mine@1": 20}})

    with pytest.raises(InvalidInputError, match="grace~mine@1 is named twice"):
        submissions.submit(request, GRACE)


def test_adapt_mixes_in_the_first_data_set_of_the_version_that_it_continues(
    submissions: Submissions, datasets: DatasetStore, models: ModelStore
) -> None:
    models.publish(an_origin(dataset={"name": "mnist", "sha256": "0"}), b"weights")
    datasets.publish(a_dataset_origin("grace~mine"), some_labelled(50), some_labelled(10, seed=1))
    params = {"recipe": "adapt", "start_from": "digits@latest", "dataset": "mine"}

    job = submissions.submit(JobRequest(kind="training", model="hand", params=params), GRACE)

    assert job.model == "grace~hand"
    assert job.params["start_from"] == "digits@1"
    assert job.params["dataset"] == {"mnist": 0.3, "grace~mine@1": 40.0}


def test_of_many_digits_of_ones_own_adapt_shows_a_part(
    submissions: Submissions, datasets: DatasetStore, models: ModelStore
) -> None:
    models.publish(an_origin(dataset={"parts": [{"name": "digits"}, {"name": "ada~x"}]}), b"weights")
    datasets.publish(a_dataset_origin("grace~mine"), some_labelled(4000), some_labelled(10, seed=1))
    params = {"recipe": "adapt", "start_from": "digits@latest", "dataset": "mine"}

    job = submissions.submit(JobRequest(kind="training", model="hand", params=params), GRACE)

    assert job.params["dataset"] == {"digits": 1.0, "grace~mine@1": 0.5}


def test_a_version_of_the_same_model_is_learnt_on_from_by_its_number(
    submissions: Submissions, models: ModelStore
) -> None:
    models.publish(an_origin(), b"weights")

    short, full = (
        submissions.submit(JobRequest(kind="training", model="digits", params={"start_from": start}), ADMIN)
        for start in ("latest", "digits@1")
    )

    assert short.params["start_from"] == full.params["start_from"] == "1"


def test_a_version_of_a_model_that_the_user_may_not_see_is_not_learnt_on_from(
    submissions: Submissions, models: ModelStore
) -> None:
    models.publish(an_origin(name="ada~digits"), b"weights")
    request = JobRequest(kind="training", model="hand", params={"start_from": "ada~digits@1"})

    with pytest.raises(ModelNotFoundError):
        submissions.submit(request, GRACE)

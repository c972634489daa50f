"""Two people share a running service: each trains, reads and shares under a token of their own."""

import numpy as np
import pytest
from numpy.typing import NDArray

from deploy.local import Local
from hxserve import Client
from hxserve.errors import ServiceError
from tests.system.conftest import TRAINING, wait_until


def test_a_users_model_is_trained_kept_private_and_shared(
    local: Local, client: Client, test_digits: tuple[NDArray[np.uint8], NDArray[np.int64]]
) -> None:
    crops = test_digits[0][:70]
    with (
        Client(local.url, client.users.add("ada")["token"]) as ada,
        Client(local.url, client.users.add("grace", quotas={"max_waiting_crops": 64})["token"]) as grace,
    ):
        job = ada.train("letters", wait=True, **(TRAINING | {"epochs": 1}))
        mine = ada.classify(crops, "letters")

        for attempt in (lambda: grace.job(job.id), lambda: grace.classify(crops[:1], "ada~letters")):
            with pytest.raises(ServiceError, match="HTTP 404"):
                attempt()
        ada.share("letters")
        theirs = grace.classify(crops[:64], "ada~letters")
        with pytest.raises(ServiceError, match="quota_exceeded"):
            grace.classify(crops, "ada~letters")

        assert job.model == "ada~letters"
        assert (len(mine), len(theirs)) == (70, 64)
        assert ada.me()["quotas"]["chip_seconds_per_day"]["used"] > 0
        assert [user["user"] for user in grace.usage()["users"]] == ["grace"]


def test_a_user_who_comes_late_does_not_wait_until_another_has_done_all_their_work(client: Client) -> None:
    long, short = TRAINING | {"epochs": 200}, TRAINING | {"epochs": 1}
    with (
        Client(client.url, client.users.add("joan")["token"]) as joan,
        Client(client.url, client.users.add("mary")["token"]) as mary,
    ):
        first, second = joan.train("first", **long), joan.train("second", **long)
        wait_until(lambda: joan.job(first.id).progress > 0)

        late = mary.train("late", wait=True, **short)
        begun, waiting = joan.job(first.id), joan.job(second.id)
        for job in (first, second):
            joan.cancel(job.id)
            joan.wait(job)

    assert late.state == "succeeded"
    assert begun.state in {"queued", "running"}
    assert (waiting.state, waiting.progress) == ("queued", 0.0)

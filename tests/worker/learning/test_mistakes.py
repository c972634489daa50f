"""The worst mistakes: found over mini-batches, in order, never more than are kept."""

import base64
import io

import numpy as np
import torch
from PIL import Image

from worker.activities.activity import with_pictures
from worker.learning.mistakes import KEPT, Mistake, add_mistakes, no_mistakes, read_mistakes


def _scores(answers: list[int], margins: list[float]) -> torch.Tensor:
    scores = torch.zeros(len(answers), 10)
    for row, (answer, margin) in enumerate(zip(answers, margins, strict=True)):
        scores[row, answer] = margin
    return scores


def test_what_is_read_rightly_is_no_mistake() -> None:
    table = add_mistakes(no_mistakes(), _scores([3, 7], [5, 9]), torch.tensor([3, 7]), first=0)

    assert read_mistakes(table) == []


def test_the_surest_mistake_comes_first_whatever_mini_batch_it_is_in() -> None:
    table = add_mistakes(no_mistakes(), _scores([3, 7, 1], [5, 9, 2]), torch.tensor([3, 2, 4]), first=0)
    table = add_mistakes(table, _scores([8, 0], [4, 100]), torch.tensor([5, 6]), first=500)

    assert read_mistakes(table) == [
        Mistake(501, 6, 0, 100),
        Mistake(1, 2, 7, 9),
        Mistake(500, 5, 8, 4),
        Mistake(2, 4, 1, 2),
    ]


def test_no_more_than_the_worst_are_kept() -> None:
    margins = [float(n) for n in range(1, 31)]

    table = add_mistakes(no_mistakes(), _scores([1] * 30, margins), torch.full((30,), 2), first=0)

    assert [mistake.margin for mistake in read_mistakes(table)] == margins[: -KEPT - 1 : -1]


def test_the_picture_of_a_mistake_is_its_crop() -> None:
    images = torch.randint(0, 256, (3, 28, 28), dtype=torch.uint8)

    [shown] = with_pictures([Mistake(2, 4, 9, 7.0)], images)

    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(shown.pop("png")))))
    assert shown == {"index": 2, "digit": 4, "answer": 9, "margin": 7.0}
    assert (picture == images[2].numpy()).all()

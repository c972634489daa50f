import pytest
import torch
from torch import Tensor

from hxtorch_emulator.vision import load_torchvision
from worker.learning.augmentation import _draw_boxes, _interpolation, crop_and_resize, distort, vary
from worker.learning.datasets import Dataset
from worker.learning.recipes import resolve


@pytest.fixture
def images() -> Tensor:
    """Seven images `(7, 28, 28)` of smooth blobs, not symmetrical in any way."""
    generator = torch.Generator().manual_seed(3)
    coarse = torch.rand(7, 1, 6, 6, generator=generator) * 255
    return torch.nn.functional.interpolate(coarse, size=(28, 28), mode="bilinear").squeeze(1).to(torch.uint8)


def test_every_augmentation_gives_crops_of_grey_values(images: Tensor) -> None:
    crops = [vary(images, resolve("strong", {"augmentation": name})) for name in ("none", "crop", "distort")]

    assert [crop.shape for crop in crops] == [(7, 784)] * 3
    assert all(0 <= float(crop.min()) < float(crop.max()) <= 255 for crop in crops)


def test_no_augmentation_keeps_the_pixels(images: Tensor) -> None:
    crops = vary(images, resolve("strong", {"augmentation": "none"}))

    assert torch.equal(crops.reshape(7, 28, 28), images.to(torch.float32))


def test_resizing_a_box_gives_torchvisions_pixels(images: Tensor) -> None:
    resized_crop = load_torchvision().transforms.functional.resized_crop
    boxes = torch.tensor([[0, 0, 28, 28], [3, 5, 20, 11], [10, 0, 9, 28], [27, 27, 1, 1], [4, 2, 7, 13]])
    top, left, height, width = boxes.to(torch.float32).t()
    some = images[: len(boxes)].to(torch.float32)

    resized = _interpolation(top, height) @ some @ _interpolation(left, width).transpose(1, 2)

    for image, box, result in zip(some, boxes.tolist(), resized, strict=True):
        expected = resized_crop(image.unsqueeze(0), *box, size=[28, 28], antialias=True).squeeze(0)
        torch.testing.assert_close(result, expected, rtol=0, atol=0.01)


def test_boxes_are_distributed_as_torchvisions() -> None:
    get_params = load_torchvision().transforms.RandomResizedCrop.get_params
    torch.manual_seed(1)
    blank = torch.zeros(1, 28, 28)
    theirs = torch.tensor([get_params(blank, (0.08, 1.0), (3 / 4, 4 / 3)) for _ in range(4000)])

    ours = torch.stack(_draw_boxes(40_000), 1)

    quantiles = torch.tensor([0.1, 0.3, 0.5, 0.7, 0.9])
    for column in range(4):
        expected = theirs[:, column].to(torch.float32).quantile(quantiles)
        torch.testing.assert_close(ours[:, column].quantile(quantiles), expected, rtol=0, atol=1.0)
    torch.testing.assert_close(ours.mean(0), theirs.to(torch.float32).mean(0), rtol=0, atol=0.4)


def test_boxes_lie_within_the_image() -> None:
    torch.manual_seed(2)

    top, left, height, width = _draw_boxes(5000)

    assert float(torch.minimum(top, left).min()) == 0
    assert float((top + height).max()) == 28
    assert float((left + width).max()) == 28


def test_a_distortion_without_extent_changes_nothing(images: Tensor) -> None:
    crops = distort(images, rotation_deg=0, scale=0, shear_deg=0, shift_px=0)

    assert torch.equal(crops.reshape(7, 28, 28), images.to(torch.float32))


def test_shifting_moves_pixels_by_no_more_than_the_extent() -> None:
    torch.manual_seed(3)
    images = torch.zeros(500, 28, 28, dtype=torch.uint8)
    images[:, 10, 17] = 255

    crops = distort(images, rotation_deg=0, scale=0, shear_deg=0, shift_px=2).reshape(500, 28, 28) > 0

    rows, columns = crops.any(0).nonzero().t()
    assert (rows.unique().tolist(), columns.unique().tolist()) == ([8, 9, 10, 11, 12], [15, 16, 17, 18, 19])


def test_rotation_keeps_the_centre_and_turns_both_ways() -> None:
    torch.manual_seed(4)
    images = torch.zeros(300, 28, 28, dtype=torch.uint8)
    images[:, 2:26, 13:15] = 255

    crops = distort(images, rotation_deg=20, scale=0, shear_deg=0, shift_px=0).reshape(300, 28, 28) > 0

    assert bool(crops[:, 13, 13:15].all())
    assert bool(crops[:, 4, 9].any())
    assert bool(crops[:, 4, 18].any())
    assert not bool(crops[:, 13:15, :10].any())


def test_each_crop_gets_its_own_variation(digits: Dataset) -> None:
    torch.manual_seed(5)
    same = digits.train_images[:1].expand(50, 28, 28)

    for crops in (crop_and_resize(same), vary(same, resolve("strong"))):
        assert len({tuple(crop) for crop in crops.tolist()}) > 40


def test_the_global_generator_decides_the_variation(images: Tensor) -> None:
    recipe = resolve("strong")
    torch.manual_seed(6)
    first = vary(images, recipe)

    torch.manual_seed(6)
    again = vary(images, recipe)

    assert torch.equal(first, again)

"""Random variations of a whole mini-batch of crops at once, drawn from torch's global generator."""

import math
from typing import assert_never

import torch
from torch import Tensor

from worker.learning.recipes import Recipe

SIDE = 28
_CROP_ATTEMPTS = 10


def vary(images: Tensor, recipe: Recipe) -> Tensor:
    """Vary images `(batch, 28, 28)` uint8 as the recipe says: crops `(batch, 784)` float32, 0..255."""
    match recipe.augmentation:
        case "none":
            return images.reshape(len(images), SIDE * SIDE).to(torch.float32)
        case "crop":
            return crop_and_resize(images)
        case "distort":
            return distort(
                images,
                rotation_deg=recipe.rotation_deg,
                scale=recipe.scale,
                shear_deg=recipe.shear_deg,
                shift_px=recipe.shift_px,
            )
        case _:
            assert_never(recipe.augmentation)


def crop_and_resize(images: Tensor) -> Tensor:
    """Vary images as torchvision's `RandomResizedCrop(28)` with its defaults.

    Each image gets its own random box, 8 to 100 % of the area and 3/4 to 4/3 in aspect ratio, scaled to 28 x
    28 with bilinear interpolation. Both directions are one matrix product each, with one matrix per image.
    Scaling up, the antialiasing torchvision does by default changes nothing.

    Args:
        images: `(batch, 28, 28)` uint8, 0..255.

    Returns:
        `(batch, 784)` float32, 0..255.

    Source: torchvision.transforms.RandomResizedCrop, `get_params` and its default arguments, torchvision
    0.28.
    """
    top, left, height, width = _draw_boxes(len(images))
    rows = _interpolation(top, height)
    columns = _interpolation(left, width)
    resized = rows @ images.to(torch.float32) @ columns.transpose(1, 2)
    return resized.reshape(len(images), SIDE * SIDE)


def _draw_boxes(batch: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Draw top, left, height and width of one box per image, each `(batch,)` float32 holding integers.

    Torchvision draws up to ten times until a box fits, then takes the whole image; here all ten are drawn at
    once and the first that fits is taken.
    """
    area = SIDE * SIDE * torch.empty(batch, _CROP_ATTEMPTS).uniform_(0.08, 1.0)
    ratio = torch.empty(batch, _CROP_ATTEMPTS).uniform_(math.log(3 / 4), math.log(4 / 3)).exp_()
    width = (area * ratio).sqrt_().round_()
    height = (area / ratio).sqrt_().round_()
    fits = (width > 0) & (width <= SIDE) & (height > 0) & (height <= SIDE)
    first = fits.to(torch.uint8).argmax(1, keepdim=True)
    found = fits.any(1)
    width = torch.where(found, width.gather(1, first).squeeze(1), SIDE)
    height = torch.where(found, height.gather(1, first).squeeze(1), SIDE)
    top = torch.floor(torch.rand(batch) * (SIDE - height + 1))
    left = torch.floor(torch.rand(batch) * (SIDE - width + 1))
    return top, left, height, width


def _interpolation(start: Tensor, length: Tensor) -> Tensor:
    """Build matrices `(batch, 28, 28)` that scale pixels start..start+length-1, each `(batch,)`, to 28.

    Row i holds the two weights of bilinear interpolation at (i + 1/2) * length / 28 - 1/2, clamped to the
    box.
    """
    pixel = torch.arange(SIDE, dtype=torch.float32)
    position = (pixel + 0.5) * (length / SIDE).unsqueeze(1) - 0.5
    position = torch.minimum(position.clamp_(min=0.0), (length - 1).unsqueeze(1)) + start.unsqueeze(1)
    return (1 - (position.unsqueeze(2) - pixel).abs_()).clamp_(min=0.0)


def distort(
    images: Tensor, *, rotation_deg: float, scale: float, shear_deg: float, shift_px: float
) -> Tensor:
    """Vary images by a random affine map each, with the nearest pixel taken.

    Args:
        images: `(batch, 28, 28)` uint8, 0..255.
        rotation_deg: Angles are uniform in plus or minus this.
        scale: Factors are uniform in 1 - scale to 1 + scale.
        shear_deg: Horizontal shear angles are uniform in plus or minus this.
        shift_px: Shifts in x and y are uniform in plus or minus this.

    Returns:
        `(batch, 784)` float32, 0..255; pixels from outside the image are 0.
    """
    batch = len(images)
    angle, factor, shear, shift_x, shift_y = torch.empty(5, batch, 1).uniform_(-1.0, 1.0)
    angle = angle * math.radians(rotation_deg)
    factor = 1.0 + factor * scale
    tangent = (shear * math.radians(shear_deg)).tan_()
    cosine, sine = angle.cos() / factor, angle.sin() / factor

    # The grid counts from -1 to 1 across the image. It is a sum of a part that depends on the column and one that
    # depends on the row, which is five times as fast to build as with torch's affine_grid.
    place = (torch.arange(SIDE) + 0.5) * (2 / SIDE) - 1.0
    shift = shift_px * (2 / SIDE)
    by_column = torch.stack((cosine * place + shift_x * shift, sine * place + shift_y * shift), 1)
    by_row = torch.stack(((cosine * tangent - sine) * place, (sine * tangent + cosine) * place), 1)
    grid = (by_row.unsqueeze(3) + by_column.unsqueeze(2)).permute(0, 2, 3, 1)
    sampled = torch.nn.functional.grid_sample(
        images.unsqueeze(1).to(torch.float32), grid, mode="nearest", padding_mode="zeros", align_corners=False
    )
    return sampled.reshape(batch, SIDE * SIDE)

"""Pictures of digits as crops: whatever their size, tone, depth and place."""

import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from services.errors import InvalidImagesError, TooLargeError
from services.images import read_image, read_images
from tests.api.requests import bright_on_dark, picture, png


def _seven(size: int = 200, left: int = 60, top: int = 40, ink: int = 0, paper: int = 255) -> Image.Image:
    """A seven, 80 x 120 pixels at (left, top), drawn on paper of `size` x `size`."""
    image = Image.new("L", (size, size), paper)
    pen = ImageDraw.Draw(image)
    pen.line([(left, top), (left + 80, top), (left + 30, top + 120)], fill=ink, width=14, joint="curve")
    return image


def _centre_of_mass(crop: NDArray[np.uint8]) -> tuple[float, float]:
    rows, columns = np.indices(crop.shape)
    return float((rows * crop).sum() / crop.sum()), float((columns * crop).sum() / crop.sum())


def _alike(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


REFERENCE = read_image(picture(_seven()), "reference")


def test_a_crop_that_is_bright_on_dark_is_taken_untouched() -> None:
    crop = bright_on_dark()

    assert (read_image(png(crop), "it") == crop).all()


def test_a_crop_that_is_dark_on_light_is_inverted() -> None:
    crop = bright_on_dark()

    read = read_image(png(255 - crop), "it")

    assert read[0, 0] == 0
    assert _centre_of_mass(read) == pytest.approx((13.5, 13.5), abs=0.6)


def test_a_picture_becomes_a_digit_within_20_by_20_about_its_centre_of_mass() -> None:
    ink = np.argwhere(REFERENCE > 0)

    assert REFERENCE.shape == (28, 28)
    assert (ink.max(axis=0) - ink.min(axis=0) + 1).max() == 20
    assert _centre_of_mass(REFERENCE) == pytest.approx((13.5, 13.5), abs=0.6)
    assert REFERENCE.max() == 255


@pytest.mark.parametrize(
    "image",
    [
        pytest.param(_seven(left=110, top=70), id="off-centre"),
        pytest.param(_seven(size=900, left=10, top=700), id="in a corner of a big picture"),
        pytest.param(_seven(ink=255, paper=0), id="bright on dark"),
        pytest.param(_seven(ink=90, paper=200), id="faint"),
        pytest.param(_seven(ink=20, paper=120), id="on grey"),
        pytest.param(_seven().convert("RGB"), id="in colour"),
        pytest.param(_seven().convert("P"), id="palette"),
        pytest.param(_seven().convert("1"), id="black and white"),
        pytest.param(_seven().convert("LA"), id="grey with alpha"),
        pytest.param(_seven().resize((900, 900)), id="large"),
    ],
)
def test_the_same_digit_is_the_same_crop(image: Image.Image) -> None:
    read = read_image(picture(image), "it")

    assert _alike(read, REFERENCE) > 0.93


def test_a_picture_of_16_bits_is_read_like_one_of_8() -> None:
    deep = np.asarray(_seven(), np.uint16) * 257

    assert _alike(read_image(png(deep), "it"), REFERENCE) > 0.99


def test_what_is_transparent_is_paper() -> None:
    image = Image.new("RGBA", (200, 200), (0, 0, 0, 0))
    image.paste((0, 0, 0, 255), mask=_seven(ink=255, paper=0))

    assert _alike(read_image(picture(image), "it"), REFERENCE) > 0.99


def test_a_transparent_colour_of_a_palette_is_paper() -> None:
    image = _seven().convert("P")

    content = picture(image, transparency=image.getpixel((0, 0)))

    assert _alike(read_image(content, "it"), REFERENCE) > 0.97


def test_a_transparent_tone_of_16_bits_is_paper() -> None:
    deep = Image.fromarray(np.asarray(_seven(), np.uint16) * 257)

    content = picture(deep, transparency=65535)

    assert _alike(read_image(content, "it"), REFERENCE) > 0.97


def test_a_photograph_is_turned_the_way_it_was_held() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    lying = _seven().rotate(90, expand=True)

    read = read_image(picture(lying, "JPEG", exif=exif, quality=95), "it")

    assert _alike(read, REFERENCE) > 0.95


def test_a_jpeg_in_the_colours_of_printers_is_read() -> None:
    content = picture(_seven().convert("CMYK"), "JPEG", quality=95)

    assert _alike(read_image(content, "it"), REFERENCE) > 0.9


_LARGE = _seven().resize((3000, 4000))


@pytest.mark.parametrize(
    ("image", "kind"),
    [
        pytest.param(_LARGE, "JPEG", id="JPEG"),
        pytest.param(_LARGE.convert("RGB"), "JPEG", id="JPEG in colour"),
        pytest.param(_LARGE.convert("CMYK"), "JPEG", id="JPEG for printers"),
        pytest.param(_LARGE.convert("RGB"), "MPO", id="JPEG of several views"),
        pytest.param(_LARGE, "PNG", id="PNG"),
        pytest.param(_LARGE.convert("1"), "PNG", id="black and white"),
        pytest.param(_LARGE.convert("P"), "PNG", id="palette"),
        pytest.param(_LARGE.convert("RGBA"), "PNG", id="with alpha"),
        pytest.param(Image.fromarray(np.asarray(_LARGE, np.uint16) * 257), "PNG", id="16 bits"),
    ],
)
def test_a_photograph_of_12_million_pixels_is_read_in_little_memory(image: Image.Image, kind: str) -> None:
    content = picture(image, kind, compress_level=1)
    wanted = read_image(picture(_seven().resize((375, 500))), "it")

    tracemalloc.start()
    read = read_image(content, "it")
    _, most_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert _alike(read, wanted) > 0.98
    assert most_bytes < 16 * 2**20


def test_a_large_photograph_is_turned_the_way_it_was_held() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    lying = _seven().resize((1200, 1500)).rotate(90, expand=True)

    contents = [picture(lying, kind, exif=exif) for kind in ("JPEG", "PNG")]

    wanted = read_image(picture(_seven().resize((400, 500))), "it")
    assert all(_alike(read_image(content, "it"), wanted) > 0.98 for content in contents)


def test_a_large_picture_on_transparent_paper_is_read() -> None:
    image = Image.new("RGBA", (1500, 1300), (0, 0, 0, 0))
    image.paste((0, 0, 0, 255), mask=_seven(size=200, ink=255, paper=0).resize((1500, 1300)))

    wanted = read_image(picture(_seven().resize((450, 390))), "it")

    assert _alike(read_image(picture(image), "it"), wanted) > 0.98


@pytest.mark.parametrize("size", [(1, 1), (1, 30), (30, 1), (2, 2), (300, 3)])
def test_a_picture_of_any_shape_is_read_or_refused_clearly(size: tuple[int, int]) -> None:
    image = Image.new("L", size, 255)
    image.putpixel((0, 0), 0)

    try:
        crop = read_image(picture(image), "it")
    except InvalidImagesError as error:
        assert "no digit" in error.message  # noqa: PT017 one of two outcomes
    else:
        assert crop.shape == (28, 28)


@pytest.mark.parametrize("tone", [0, 127, 255])
def test_a_blank_picture_shows_no_digit(tone: int) -> None:
    content = picture(Image.new("L", (60, 40), tone))

    with pytest.raises(InvalidImagesError, match="image 3 shows no digit"):
        read_image(content, "image 3")


def _png_of(width: int, height: int) -> bytes:
    """A PNG that promises a size and holds nothing."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


@pytest.mark.parametrize(
    "size", [(10_000, 10_000), (30_000, 30_000), (2**31 - 1, 2**31 - 1), (41_000_000, 1)]
)
def test_a_picture_that_would_fill_the_memory_is_refused_by_its_header(size: tuple[int, int]) -> None:
    with pytest.raises(TooLargeError, match="at most 16 million"):
        read_image(_png_of(*size), "it")


def test_pictures_that_would_fill_the_memory_together_are_refused_by_the_header_of_the_first_too_many() -> (
    None
):
    page = Image.new("1", (4000, 4000), 1)
    page.paste(_seven().convert("1"), (1800, 1800))
    allowed = [(picture(page), f"image {number}") for number in range(4)]

    crops = read_images([*allowed, (_png_of(1, 1), "image 4")])

    assert len([next(crops) for _ in allowed]) == 4
    with pytest.raises(TooLargeError, match=r"with image 4 .* 64000001 pixels; .* 64 million per request"):
        next(crops)


@pytest.mark.parametrize("size", [(0, 0), (0, 5), (28, 28)])
def test_a_picture_without_content_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(InvalidImagesError, match="it is"):
        read_image(_png_of(*size), "it")


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_a_truncated_picture_is_refused(kind: str, part: float) -> None:
    content = picture(Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 60), np.uint8)), kind)

    with pytest.raises(InvalidImagesError, match="it is"):
        read_image(content[: int(part * len(content))], "it")


@pytest.mark.parametrize("kind", ["PPM", "TGA", "PCX"])
def test_pictures_of_other_kinds_are_refused(kind: str) -> None:
    with pytest.raises(InvalidImagesError, match="not a picture of a known format; send PNG, JPEG"):
        read_image(picture(_seven(), kind), "it")


def _row_of_sevens(count: int) -> Image.Image:
    row = Image.new("L", (200 * count, 200), 255)
    for place in range(count):
        row.paste(_seven(), (200 * place, 0))
    return row


@pytest.mark.parametrize("count", [2, 3, 5])
def test_several_digits_are_counted_and_refused(count: int) -> None:
    with pytest.raises(InvalidImagesError, match=f"image 1 shows {count} digits; send one picture of each"):
        read_image(picture(_row_of_sevens(count)), "image 1")


@pytest.mark.parametrize("size", [(28, 28), (280, 280), (300, 400), (1200, 900)])
@pytest.mark.parametrize("sigma", [8, 40, 200])
def test_noise_shows_no_digit(size: tuple[int, int], sigma: int) -> None:
    noise = np.random.default_rng(sigma).normal(128, sigma, size).clip(0, 255).astype(np.uint8)

    with pytest.raises(InvalidImagesError, match="it shows no"):
        read_image(png(noise), "it")


def test_a_page_of_text_shows_no_single_digit() -> None:
    page = Image.new("L", (560, 700), 245)
    pen = ImageDraw.Draw(page)
    for line in range(12):
        pen.text((20, 30 + 52 * line), "the quick brown fox jumps over", fill=20, font_size=32)

    with pytest.raises(InvalidImagesError, match="text or many marks"):
        read_image(picture(page), "it")


@pytest.mark.parametrize("end", [100, 240])
def test_a_change_of_light_on_an_empty_page_is_no_digit(end: int) -> None:
    light = np.tile(np.linspace(end, 240, 400), (300, 1)) + np.random.default_rng(0).normal(0, 3, (300, 400))

    with pytest.raises(InvalidImagesError, match="it shows no digit"):
        read_image(png(light.clip(0, 255).astype(np.uint8)), "it")


@pytest.mark.parametrize("tone", [0, 255])
def test_an_empty_crop_shows_no_digit(tone: int) -> None:
    with pytest.raises(InvalidImagesError, match="it shows no digit"):
        read_image(png(np.full((28, 28), tone, np.uint8)), "it")

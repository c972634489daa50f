"""Images in every form that a program may have them in."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hxserve.errors import InvalidImagesError
from hxserve.images import pack_images

CROPS = (np.arange(3 * 784) % 256).astype(np.uint8).reshape(3, 28, 28)


def _file(name: str = "seven.png", mode: str = "L") -> Path:
    Image.new(mode, (40, 30), 1).save(name)
    return Path(name)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I;16", "F"])
def test_a_picture_of_pillows_is_sent_as_png(mode: str) -> None:
    (parcel,) = pack_images(Image.new(mode, (40, 30)))

    assert parcel.media_type == "image/png"
    with Image.open(io.BytesIO(parcel.body)) as received:
        assert received.size == (40, 30)


def test_a_turned_photo_of_pillows_is_turned_as_its_file_says() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("L", (40, 30)).save("photo.jpg", exif=exif)

    (parcel,) = pack_images(Image.open("photo.jpg"))

    assert parcel.sources == ("photo.jpg",)
    with Image.open(io.BytesIO(parcel.body)) as received:
        assert received.size == (30, 40)


def test_an_open_file_is_read() -> None:
    with _file().open("rb") as file:
        (parcel,) = pack_images(file)

    assert parcel.sources == ("seven.png",)
    assert parcel.body == Path("seven.png").read_bytes()
    assert pack_images(io.BytesIO(b"\0" * 1568))[0].sources == ("", "")


def test_a_file_open_as_text_is_refused_with_the_remedy() -> None:
    with pytest.raises(InvalidImagesError, match="open it with mode 'rb'"):
        pack_images(io.StringIO("text"))


def test_a_list_may_mix_everything_and_keeps_its_order() -> None:
    path = _file()
    np.save("crops.npy", CROPS)
    images: list[Any] = [
        CROPS[0],
        "crops.npy",
        path,
        Image.new("L", (28, 28)),
        path.read_bytes(),
        CROPS.reshape(3, 784),
    ]

    crops, pictures, more = pack_images(images)

    assert crops.sources == ("", "crops.npy", "crops.npy", "crops.npy")
    assert crops.body == CROPS[0].tobytes() + CROPS.tobytes()
    assert pictures.sources == ("seven.png", "", "")
    assert pictures.media_type.startswith("multipart/form-data")
    assert more.body == CROPS.tobytes()


@pytest.mark.parametrize(
    "images",
    [
        CROPS,
        CROPS.reshape(3, 784),
        CROPS[:, None],
        list(CROPS),
        CROPS / 255,
        iter(list(CROPS)),
        CROPS.tobytes(),
    ],
    ids=["n x 28 x 28", "n x 784", "n x 1 x 28 x 28", "list", "floats", "iterator", "bytes"],
)
def test_arrays_of_crops_are_one_request(images: Any) -> None:
    (parcel,) = pack_images(images)

    assert parcel.body == CROPS.tobytes()


def test_files_of_crops_travel_together() -> None:
    for number in range(12):
        np.save(f"{number}.npy", CROPS[number % 3])

    (parcel,) = pack_images([f"{number}.npy" for number in range(12)])

    assert parcel.sources[11] == "11.npy"
    assert len(parcel.thumbnails()) == 10


@pytest.mark.parametrize("images", [None, 7, {"a": 1}, object()])
def test_what_is_no_image_is_named(images: Any) -> None:
    with pytest.raises(InvalidImagesError):
        pack_images(images)

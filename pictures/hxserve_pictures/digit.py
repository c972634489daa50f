"""A digit as it was found in a picture."""

from dataclasses import dataclass

from hxserve_pictures.ink import Plane


class NotOneDigitError(Exception):
    """A picture does not show one digit; the message says what was seen."""


@dataclass(frozen=True, slots=True)
class Digit:
    """A digit as it was found.

    Attributes:
        ink: the whole picture's, 0..255.
        mask: 1 where the digit has ink, in its box.
        box: left, top, right, bottom.
        is_dark: the ink is darker than the ground.
        full: ink of a full stroke.
        contrast: tones between the ink and the ground behind it.
        threshold: ink from which on a pixel belonged to a stroke.
        pieces: parts that it is made of.
        others: further parts of a digit's size in the picture, side by side or on other lines.
        share: the part of the digit and these in the picture's ink, without what lies at the edges and around.
        evenness: share of the pixels about the ink that are ground.
        sharpness: fall of the ink across its outline, as a part of a full stroke's.
        merit: how likely this is a digit and not the ground between strokes; for a comparison of both.
        is_certain: it has an outline and level ground about it.
        is_blob: it is a solid patch, or has uneven ground about it, as paper and shadows have.
        origin: where the left upper corner of `ink` is in the picture, px.
        scale: px of the picture for one of `ink`.
    """

    ink: Plane
    mask: Plane
    box: tuple[int, int, int, int]
    is_dark: bool
    full: float
    contrast: float
    threshold: float
    pieces: int
    others: int
    share: float
    evenness: float
    sharpness: float
    merit: float
    is_certain: bool
    is_blob: bool
    origin: tuple[float, float] = (0.0, 0.0)
    scale: float = 1.0

    @property
    def at_edge(self) -> bool:
        """True if the digit touches the picture's edge."""
        left, top, right, bottom = self.box
        height, width = self.ink.shape
        return left == 0 or top == 0 or right == width or bottom == height

    @property
    def size(self) -> int:
        """The longer side of the box."""
        left, top, right, bottom = self.box
        return max(right - left, bottom - top)

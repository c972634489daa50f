"""Facts about the crops of a request that were seen when they were made, and that its answer carries."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

Box = tuple[int, int, int, int]
"""Left, top, right, bottom in px of the upright picture."""


@dataclass(frozen=True, slots=True)
class Remarks:
    """What the answer says beside the predictions.

    Attributes:
        warnings: sentences about crops that look wrong.
        places: of each crop from a segmented picture, the picture's number and the digit's box; otherwise empty.
    """

    warnings: tuple[str, ...] = ()
    places: tuple[tuple[int, Box], ...] = ()

    @classmethod
    def of_params(cls, params: Mapping[str, Any]) -> Self:
        """Return the remarks that `as_params` put into the params of a job."""
        kept = params.get("remarks", {})
        return cls(
            tuple(kept.get("warnings", ())),
            tuple((picture, tuple(box)) for picture, box in kept.get("places", ())),
        )

    def as_params(self) -> dict[str, Any]:
        """Return params for the record of a job; none if there is nothing to say."""
        return {"remarks": asdict(self)} if self != NO_REMARKS else {}

    def mark(self, crops: Sequence[dict[str, Any]]) -> None:
        """Add to each crop of an answer where it was."""
        if self.places:
            for crop, (picture, box) in zip(crops, self.places, strict=True):
                crop |= {"picture": picture, "box": list(box)}


NO_REMARKS: Final = Remarks()

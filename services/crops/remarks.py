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
        most: the largest confidence that the reading of each crop deserves, 0..1; empty for any.
    """

    warnings: tuple[str, ...] = ()
    places: tuple[tuple[int, Box], ...] = ()
    most: tuple[float, ...] = ()

    @classmethod
    def of_params(cls, params: Mapping[str, Any]) -> Self:
        """Return the remarks that `as_params` put into the params of a job."""
        kept = params.get("remarks", {})
        return cls(
            tuple(kept.get("warnings", ())),
            tuple((picture, tuple(box)) for picture, box in kept.get("places", ())),
            tuple(kept.get("most", ())),
        )

    def as_params(self) -> dict[str, Any]:
        """Return params for the record of a job; none if there is nothing to say."""
        return {"remarks": asdict(self)} if self != NO_REMARKS else {}

    def mark(self, crops: Sequence[dict[str, Any]]) -> None:
        """Add to each crop of an answer where it was."""
        if self.places:
            for crop, (picture, box) in zip(crops, self.places, strict=True):
                crop |= {"picture": picture, "box": list(box)}

    def bound(self, predictions: Sequence[dict[str, Any]]) -> None:
        """Lower the confidence in readings of crops that do not look like digits."""
        if self.most:
            for prediction, most in zip(predictions, self.most, strict=True):
                prediction["confidence"] = min(prediction["confidence"], most)


NO_REMARKS: Final = Remarks()

"""The chip's readings of images."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Self, overload

from hxserve.errors import AnswerNotUnderstoodError

_ROWS_SHOWN: Final = 10


@dataclass(frozen=True, slots=True)
class LayerActivations:
    """The activations of a hidden layer for one crop: `values` of `shape`, row by row, 0..31 or 0..127."""

    layer: str
    shape: tuple[int, ...]
    values: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class MockPrediction:
    """What mock arithmetic read in one crop: digit, confidence (0..1) and scores (LSB)."""

    digit: int
    confidence: float
    scores: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Prediction:
    """The digit seen in one crop.

    `scores` are what the chip's ADC gave per digit, in LSB; `confidence` is 0..1. The crop went through the
    chip in slot `slot` of a batch of `batch_size` crops. `source` is the file it came from, if any; `box` is where it
    is in a segmented picture: left, top, right, bottom in px. `answer` and `index` name its place in the service's
    answer, for `Client.correct`. `activations` are those of the hidden layers and `mock` is what mock arithmetic
    read, if they were asked for.
    """

    digit: int
    confidence: float
    scores: tuple[int, ...]
    batch_size: int
    slot: int
    source: str = ""
    box: tuple[int, int, int, int] | None = None
    answer: str = ""
    index: int = 0
    activations: tuple[LayerActivations, ...] = ()
    mock: MockPrediction | None = None

    @property
    def runner_up(self) -> int:
        """The digit that came second."""
        return max((d for d in range(len(self.scores)) if d != self.digit), key=self.scores.__getitem__)


@dataclass(frozen=True, slots=True, repr=False)
class Predictions(Sequence[Prediction]):
    """One prediction per crop in the order sent, and how they came about.

    `backend` is hxtorch, emulator or mock. `transferred` says that the model learnt in the loop of another
    chip. `timing` holds `waiting_ms`, `chip_ms` and, if known, `total_ms`. `warnings` are about crops that look wrong.
    `thumbnails` are media types and contents of the first pictures, for notebooks.
    """

    items: tuple[Prediction, ...]
    model: str
    version: str
    chip: str
    backend: str
    calibration: Mapping[str, Any] | None
    transferred: bool
    timing: Mapping[str, float]
    warnings: tuple[str, ...] = ()
    thumbnails: tuple[tuple[str, bytes], ...] = field(default=(), compare=False)

    @classmethod
    def from_document(
        cls,
        document: Mapping[str, Any],
        sources: Sequence[str] | None = None,
        thumbnails: Sequence[tuple[str, bytes]] = (),
    ) -> Self:
        """Read the predictions of one answer; `sources` names the file of each crop, `thumbnails` shows some.

        Raises:
            AnswerNotUnderstoodError: the answer is not one prediction per crop.
        """
        try:
            found = document["predictions"]
            if sources and any("picture" in p for p in found):
                sources = [sources[p["picture"]] for p in found]
                thumbnails = [thumbnails[p["picture"]] for p in found if p["picture"] < len(thumbnails)]
            return cls(
                tuple(
                    Prediction(
                        p["digit"],
                        p["confidence"],
                        tuple(p["scores"]),
                        p["batch_size"],
                        p["slot"],
                        source,
                        tuple(p["box"]) if "box" in p else None,
                        document.get("id", ""),
                        index,
                        tuple(
                            LayerActivations(layer["layer"], tuple(layer["shape"]), tuple(layer["values"]))
                            for layer in p.get("activations", ())
                        ),
                        _mock_of(p.get("mock")),
                    )
                    for index, (p, source) in enumerate(zip(found, sources or [""] * len(found), strict=True))
                ),
                model=document["model"],
                version=str(document["version"]),
                chip=document["chip"],
                backend=document["backend"],
                calibration=document.get("calibration"),
                transferred=document["transferred"],
                timing=document["timing"],
                warnings=tuple(document.get("warnings", ())),
                thumbnails=tuple(thumbnails),
            )
        except (IndexError, KeyError, TypeError, ValueError) as error:
            raise AnswerNotUnderstoodError(
                f"the service sent predictions that cannot be read ({error!r})"
            ) from None

    @classmethod
    def joined(cls, parts: Iterable[Self]) -> Self:
        """Join the predictions of one call that took several requests, one after the other."""
        first, *others = parts
        if not others:
            return first
        everything = [first, *others]
        timing = {name: sum(part.timing.get(name, 0.0) for part in everything) for name in first.timing}
        return cls(
            tuple(p for part in everything for p in part.items),
            first.model,
            first.version,
            first.chip,
            first.backend,
            first.calibration,
            any(part.transferred for part in everything),
            timing,
            tuple(warning for part in everything for warning in part.warnings),
            tuple(_first_thumbnails(everything)),
        )

    @property
    def digits(self) -> list[int]:
        """The digits alone."""
        return [p.digit for p in self.items]

    @property
    def confidences(self) -> list[float]:
        """The confidences alone, 0..1."""
        return [p.confidence for p in self.items]

    @overload
    def __getitem__(self, index: int) -> Prediction: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Prediction, ...]: ...
    def __getitem__(self, index: int | slice) -> Prediction | tuple[Prediction, ...]:
        return self.items[index]

    def __iter__(self) -> Iterator[Prediction]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def __repr__(self) -> str:
        digits = str(self.digits[:_ROWS_SHOWN])[:-1] + (", ..." if len(self) > _ROWS_SHOWN else "") + "]"
        return f"Predictions({digits}, {len(self)} by {self.origin})"

    @property
    def origin(self) -> str:
        """Model and chip in one phrase."""
        learnt = ", learnt on another chip" if self.transferred else ""
        return f"{self.model} version {self.version} on {self.chip} ({self.backend}{learnt})"

    def _repr_html_(self) -> str:
        from hxserve.notebook import predictions_html  # noqa: PLC0415 only notebooks need it

        return predictions_html(self)


def _first_thumbnails(parts: Iterable[Predictions]) -> Iterator[tuple[str, bytes]]:
    """Yield thumbnails as long as there is one for each prediction."""
    for part in parts:
        yield from part.thumbnails
        if len(part.thumbnails) < len(part):
            return


def _mock_of(document: Mapping[str, Any] | None) -> MockPrediction | None:
    if document is None:
        return None
    return MockPrediction(document["digit"], document["confidence"], tuple(document["scores"]))

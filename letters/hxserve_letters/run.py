"""The result of a run of the letter centre."""

from dataclasses import dataclass, field

from hxserve_letters.decisions import Decision
from hxserve_letters.sending import Sender


@dataclass(frozen=True, slots=True)
class Run:
    """The result of a run: the decisions in order, and the time and requests it took.

    `elapsed_s` is from the first letter on the belt to the last decision; flat out, only while crops were sent.
    """

    decisions: list[Decision]
    threshold: float
    elapsed_s: float
    crops: int
    refused: int
    paused_s: float
    stalled_s: float = 0.0
    starved_s: float = 0.0
    origin: dict[str, object] = field(default_factory=dict)


def origin_of(sender: Sender) -> dict[str, object]:
    """Return model, version and chip of the answers."""
    answer = sender.origin
    if answer is None:
        return {}
    return {
        "model": answer.model,
        "version": answer.version,
        "chip": answer.chip,
        "backend": answer.backend,
        "transferred": answer.transferred,
    }

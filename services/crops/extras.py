"""What an answer may have beyond digits, scores and confidences."""

from enum import IntFlag


class Extras(IntFlag):
    """What a request asks for besides the digits; one integer in Redis.

    `ACTIVATIONS` are the hidden activations of the chip call, `MOCK` is what mock arithmetic reads in the same crops.
    """

    NONE = 0
    ACTIVATIONS = 1
    MOCK = 2

    @property
    def names(self) -> list[str]:
        """Their names, as options of a request."""
        return [str(extra.name).lower() for extra in self]

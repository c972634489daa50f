"""Errors of the letter centre itself."""

from hxserve.errors import ClientError


class DigitsMissingError(ClientError):
    """There are no handwritten digits to write envelopes with; give a folder that holds MNIST with --mnist."""

    code = "digits_missing"


class TooFewLettersError(ClientError):
    """There are too few letters to choose a threshold on."""

    code = "too_few_letters"

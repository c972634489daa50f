"""What can go wrong in the letter centre, beside what the service refuses."""

from client.errors import ClientError


class LettersMissingError(ClientError):
    """The letter centre needs OpenCV; install it with `pip install 'hxserve[letters]'`."""

    code = "letters_not_installed"


class DigitsMissingError(ClientError):
    """There are no handwritten digits to write envelopes with; give a folder that holds MNIST with --mnist."""

    code = "digits_missing"


class TooFewLettersError(ClientError):
    """There are too few letters to choose a threshold on."""

    code = "too_few_letters"

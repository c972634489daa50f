"""Challenges: fool the chip, sixty seconds, beat its worst mistakes. What counts is what this service reads itself."""

import base64
import json
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from services.challenges.store import ChallengeStore, Fool
from services.classes.nicknames import clean_nickname, seat_of
from services.crops.classification import Classifications
from services.crops.requests import CropRequest, JobReference
from services.errors import ConflictError, InvalidInputError, UnavailableError
from services.jobs.submission import Submissions
from services.models.registry import Registry
from services.names import class_of, group_of
from services.users.authentication import User

SIXTY_S: Final = 60.0
_GRACE_S: Final = 1.5
"""The answer to a drawing that was finished in time may take this long."""
_PROMPTS: Final = 150
_READINGS: Final = 5
"""Readings of a drawing that is to fool the chip, so that its noise alone fools nobody."""
_WAIT_S: Final = 5.0
SERVICE_BOARD: Final = "service"


@dataclass(frozen=True, slots=True)
class Prompt:
    """The state of a game of sixty seconds: the digit to draw next, None when it is over."""

    game: str
    place: int
    digit: int | None
    right: int
    left_s: float
    read: int | None = None


@dataclass(frozen=True, slots=True)
class Quiz:
    """A game of pictures that a version misread: PNG in base64."""

    game: str
    model: str
    pictures: list[str]


@dataclass(frozen=True, slots=True)
class Guess:
    """A picture of a quiz after its end: its digit, what the network read, what the person did."""

    digit: int
    read: int
    yours: int | None


class Challenges:
    """Runs the challenges of a user, on the board of the user's class, or the service's."""

    def __init__(
        self,
        store: ChallengeStore,
        classifications: Classifications,
        submissions: Submissions,
        registry: Registry,
    ) -> None:
        self._store = store
        self._classifications = classifications
        self._submissions = submissions
        self._registry = registry

    def begin_sixty(self, user: User, model: str, version: str) -> Prompt:
        """Begin sixty seconds of prompts, which a version reads.

        Raises:
            ModelNotFoundError: there is no such version for the user.
        """
        self._registry.find(user, model, version)
        prompts = [random.randrange(10)]
        while len(prompts) < _PROMPTS:
            prompts.append(random.choice([digit for digit in range(10) if digit != prompts[-1]]))
        facts = {"model": model, "version": version}
        game = self._store.begin_sixty(user.name, prompts, SIXTY_S + _GRACE_S, facts)
        return Prompt(game, 0, prompts[0], 0, SIXTY_S)

    def answer(self, user: User, game: str, place: int, crop: bytes | None) -> Prompt:
        """Read a drawing for the prompt at `place`, or go on without one if it is None.

        Raises:
            GameNotFoundError: the user has no such game.
            HxserveError: the drawing could not be read.
        """
        known = self._store.game(user.name, game)
        read = None if crop is None else self._read(user, known["model"], known["version"], crop)
        over, at, right = self._store.answer_prompt(user.name, game, place, read, board_of(user))
        left_s = max(0.0, float(known["ends"]) - _GRACE_S - time.time())
        digit = int(known["prompts"][at]) if not over and at < len(known["prompts"]) else None
        return Prompt(game, at, digit, right, left_s, read)

    def try_to_fool(
        self, user: User, model: str, version: str, digit: int, crop: bytes
    ) -> tuple[int, Fool | None]:
        """Return what the chip reads in a drawing of `digit`, and the drawing for the others' votes if it is fooled.

        Raises:
            HxserveError: the drawing could not be read.
        """
        if not any(crop):
            raise InvalidInputError("the drawing is empty; draw a digit")
        read = self._read(user, model, version, crop, repeats=_READINGS)
        if read == digit:
            return read, None
        shown = base64.b64encode(crop).decode()
        return read, self._store.add_fool(board_of(user), user.name, digit, read, shown)

    def fools_to_judge(self, user: User) -> list[Fool]:
        """Return the drawings of others that wait for the user's vote."""
        board = board_of(user)
        voted = self._store.voted(board, user.name)
        return [each for each in self._store.fools(board) if each.user != user.name and each.id not in voted]

    def own_fools(self, user: User) -> list[Fool]:
        """Return the user's drawings that fooled the chip."""
        return [each for each in self._store.fools(board_of(user)) if each.user == user.name]

    def vote(self, user: User, fool: str, digit: int) -> Fool:
        """Vote on what a drawing of another shows.

        Raises:
            GameNotFoundError: it is gone, the user's own, or the user voted on it before.
        """
        return self._store.vote(board_of(user), fool, user.name, digit)

    def begin_mistakes(self, user: User, model: str, version: str) -> Quiz:
        """Begin a quiz of the worst mistakes of a version in its last test.

        Raises:
            ModelNotFoundError: there is no such version for the user.
            ConflictError: no mistakes of it are known.
        """
        reference = self._registry.find(user, model, version)
        known: list[dict[str, Any]] = list(self._registry.manifest(reference).metrics.get("mistakes") or [])
        if not known:
            raise ConflictError(
                f"no mistakes of {reference.model}@{reference.version} are known; choose another version"
            )
        random.shuffle(known)
        wanted, read = ([int(each[name]) for each in known] for name in ("digit", "answer"))
        game = self._store.begin_mistakes(user.name, wanted, read)
        return Quiz(game, f"{reference.model}@{reference.version}", [each["png"] for each in known])

    def end_mistakes(self, user: User, game: str, digits: Sequence[int | None]) -> list[Guess]:
        """End a quiz with the person's digits, None for no idea; return what each picture shows.

        Raises:
            GameNotFoundError: the user has no such quiz; each is answered once.
            InvalidInputError: there are more or fewer digits than pictures.
        """
        known = self._store.game(user.name, game)
        wanted, read = (json.loads(known.get(name, "[]")) for name in ("wanted", "read"))
        if len(digits) != len(wanted):
            raise InvalidInputError(
                f"digits: {len(digits)} for {len(wanted)} pictures; send one for each, or null"
            )
        guesses = [Guess(*each) for each in zip(wanted, read, digits, strict=True)]
        right = sum(guess.digit == guess.yours for guess in guesses)
        self._store.end_mistakes(user.name, game, board_of(user), right)
        return guesses

    def show_me(self, user: User, nickname: str | None) -> str | None:
        """Put the user on the board under a nickname, a pupil's own one for a pupil; take the user off if it is None.

        Raises:
            InvalidInputError: it is no nickname.
            ConflictError: another on the board has it.
        """
        board = board_of(user)
        if nickname is None:
            self._store.hide_player(board, user.name)
            return None
        shown = user.nickname or clean_nickname(nickname)
        seat = seat_of(shown, "")
        for other, name in self._store.players(board).items():
            if other != user.name and seat == seat_of(name, ""):
                raise ConflictError(f"the nickname {shown!r} is taken; choose another")
        self._store.show_player(board, user.name, shown)
        return shown

    def _read(self, user: User, model: str, version: str, crop: bytes, repeats: int = 1) -> int:
        request = CropRequest(user, model, version, crop, _WAIT_S, _WAIT_S, repeats)
        answered = self._classifications.classify(request)
        if isinstance(answered, JobReference):
            self._submissions.cancel(answered.job_id, user)
            raise UnavailableError("the chip is busy; try again in a moment")
        return answered.answers[0].digits[0]


def board_of(user: User) -> str:
    """Return the board on which a user's scores are: of the class, else the service's."""
    return group_of(user.name) if class_of(user.name) else SERVICE_BOARD

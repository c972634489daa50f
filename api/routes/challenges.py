"""Challenges: fool the chip, sixty seconds, beat its worst mistakes, and the board."""

import base64
from typing import Annotated, Any

from flask import Blueprint
from pydantic import Field, StrictInt

from api.application import application
from api.authentication import current_user
from api.crops.payloads import read_crops
from api.documentation import SPEC, answers
from api.routes.desk import Crop
from api.schemas import Schema
from services.challenges.challenges import board_of
from services.challenges.store import CHALLENGES, Score
from services.classes.nicknames import MOST_CHARACTERS
from services.names import ModelName, Name, class_of

routes = Blueprint("challenges", __name__, url_prefix="/v1/challenges")

Digit = Annotated[StrictInt, Field(ge=0, le=9)]
_RAW = "application/octet-stream"


class BoardLine(Schema):
    """A score of one who wants to be on the board."""

    nickname: str
    score: int
    you: bool


class BoardAnswer(Schema):
    """The best scores of your class, or of the service without one: the number of drawings or pictures."""

    code: Annotated[str | None, Field(description="Of your class.")]
    nickname: Annotated[str | None, Field(description="Yours on the board; null when you are not on it.")]
    yours: Annotated[dict[str, int], Field(description="Your best score, by challenge.")]
    fool: list[BoardLine]
    sixty: list[BoardLine]
    mistakes: list[BoardLine]


class BoardBody(Schema):
    """Your nickname on the board, or null to leave it; pupils have that of their class."""

    nickname: Annotated[str, Field(min_length=1, max_length=MOST_CHARACTERS)] | None


class VersionBody(Schema):
    """The version to play against."""

    model: ModelName
    version: Name = "latest"


class PromptAnswer(Schema):
    """A game of sixty seconds: draw `digit`, and answer at `place`; null when the game is over."""

    game: str
    place: int
    digit: int | None
    right: int
    left_s: float
    read: Annotated[int | None, Field(description="The digit read in the drawing before.")]


class PromptBody(Schema):
    """A drawing for the prompt at `place`; null goes on to the next one."""

    place: Annotated[int, Field(ge=0, strict=True)]
    crop: Crop | None


class FoolBody(VersionBody):
    """A drawing of a digit that the chip is to misread."""

    digit: Digit
    crop: Crop


class FoolAnswer(Schema):
    """What the chip read, most often of five times; `id` is that of the drawing if it was fooled."""

    read: int
    fooled: bool
    id: str | None


class FoolToJudge(Schema):
    """A drawing that waits for your vote."""

    id: str
    crop: str


class JudgedFool(Schema):
    """A drawing that fooled the chip: it counts once two others voted, and more than half read `digit`."""

    id: str
    crop: str
    digit: int
    read: int
    votes: int
    agreed: int
    counts: bool


class FoolsAnswer(Schema):
    """Drawings of others for your vote, and yours."""

    judge: list[FoolToJudge]
    yours: list[JudgedFool]


class VoteBody(Schema):
    """The digit that you read."""

    digit: Digit


class QuizAnswer(Schema):
    """Pictures that a version misread, as PNG in base64."""

    game: str
    model: str
    pictures: list[str]


class QuizBody(Schema):
    """The digits that you read, in the order of the pictures; null for no idea."""

    digits: Annotated[list[Digit | None], Field(max_length=100)]


class QuizGuess(Schema):
    """A picture after the end of a quiz."""

    digit: int
    read: int
    yours: int | None


class QuizResult(Schema):
    """The end of a quiz."""

    right: int
    guesses: list[QuizGuess]


@routes.get("/board")
@SPEC.validate(resp=answers(200, BoardAnswer), tags=["challenges"])
def show_board() -> BoardAnswer:
    """Show the board of your class, or the service's if you are a pupil of none."""
    return _board()


@routes.put("/board")
@SPEC.validate(resp=answers(200, BoardAnswer, 409, 415), tags=["challenges"])
def change_board(json: BoardBody) -> BoardAnswer:
    """Put yourself on the board, or take yourself off it; nobody is on it who did not ask for it."""
    application().challenges.show_me(current_user(), json.nickname)
    return _board()


@routes.post("/sixty")
@SPEC.validate(resp=answers(201, PromptAnswer, 404, 415), tags=["challenges"])
def begin_sixty(json: VersionBody) -> Any:
    """Begin sixty seconds: draw as many prompted digits as you can so that the version reads them right."""
    begun = application().challenges.begin_sixty(current_user(), json.model, json.version)
    return PromptAnswer.model_validate(begun), 201


@routes.post("/sixty/<game>/answers")
@SPEC.validate(resp=answers(200, PromptAnswer, 404, 409, 415), tags=["challenges"])
def answer_prompt(game: str, json: PromptBody) -> PromptAnswer:
    """Send a drawing, which is scaled, centred and read here; the next prompt comes when it is read right."""
    crop = _centred(json.crop) if json.crop else None
    prompt = application().challenges.answer(current_user(), game, json.place, crop)
    return PromptAnswer.model_validate(prompt)


@routes.get("/fools")
@SPEC.validate(resp=answers(200, FoolsAnswer), tags=["challenges"])
def list_fools() -> FoolsAnswer:
    """List the drawings that fooled the chip: those of others for your vote, and yours with the votes."""
    challenges, user = application().challenges, current_user()
    judge = [FoolToJudge(id=each.id, crop=each.crop) for each in challenges.fools_to_judge(user)]
    return FoolsAnswer(judge=judge, yours=[_judged(each) for each in challenges.own_fools(user)])


@routes.post("/fools")
@SPEC.validate(resp=answers(201, FoolAnswer, 404, 409, 415), tags=["challenges"])
def try_to_fool(json: FoolBody) -> Any:
    """Send a drawing of `digit` that the version is to misread; the others vote on it if it does."""
    read, fool = application().challenges.try_to_fool(
        current_user(), json.model, json.version, json.digit, _centred(json.crop)
    )
    return FoolAnswer(read=read, fooled=fool is not None, id=fool.id if fool else None), 201


@routes.post("/fools/<fool>/votes")
@SPEC.validate(resp=answers(201, JudgedFool, 404, 415), tags=["challenges"])
def vote(fool: str, json: VoteBody) -> Any:
    """Vote on what another's drawing shows, once; the answer has what was meant and what the chip read."""
    return _judged(application().challenges.vote(current_user(), fool, json.digit)), 201


@routes.post("/mistakes")
@SPEC.validate(resp=answers(201, QuizAnswer, 404, 409, 415), tags=["challenges"])
def begin_mistakes(json: VersionBody) -> Any:
    """Begin a quiz of the test pictures that a version misread worst when it was trained."""
    quiz = application().challenges.begin_mistakes(current_user(), json.model, json.version)
    return QuizAnswer.model_validate(quiz), 201


@routes.post("/mistakes/<game>/answers")
@SPEC.validate(resp=answers(200, QuizResult, 404, 415), tags=["challenges"])
def end_mistakes(game: str, json: QuizBody) -> QuizResult:
    """End a quiz with the digits that you read; each is answered once."""
    guesses = application().challenges.end_mistakes(current_user(), game, json.digits)
    shown = [QuizGuess.model_validate(guess) for guess in guesses]
    return QuizResult(right=sum(guess.digit == guess.yours for guess in guesses), guesses=shown)


def lines(scores: list[Score], you: str) -> list[BoardLine]:
    """Return the lines of a board for a user."""
    return [BoardLine(nickname=each.nickname, score=each.score, you=each.user == you) for each in scores]


def _board() -> BoardAnswer:
    boards, user = application().boards, current_user()
    board = board_of(user)
    best = boards.best(board)
    return BoardAnswer.model_validate(
        {
            "code": class_of(user.name),
            "nickname": boards.players(board).get(user.name),
            "yours": {name: boards.score(board, name, user.name) for name in CHALLENGES},
            **{name: lines(scores, user.name) for name, scores in best.items()},
        }
    )


def _judged(fool: object) -> JudgedFool:
    shown = {name: getattr(fool, name) for name in JudgedFool.model_fields}
    return JudgedFool.model_validate(shown)


def _centred(crop: str) -> bytes:
    body = base64.b64decode(crop)
    return read_crops(body, _RAW, 1, centre=True)[0]

"""Games, scores and votes of challenges in Redis; all of them expire."""

import json
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from services.errors import GameNotFoundError
from services.names import group_of
from services.store import keys
from services.store.connection import Connection

CHALLENGES: Final = ("fool", "sixty", "mistakes")
KEEP_S: Final = 7 * 86_400
"""The life of a board after its last score."""
MOST_FOOLS: Final = 200
MOST_SHOWN: Final = 20
_GAME_S: Final = 900
_SKIP: Final = 10


@dataclass(frozen=True, slots=True)
class Fool:
    """A drawing that its user reads as `digit` and the chip as `read`; `crop` is 784 bytes in base64.

    `counts` once two others voted, and more than half of the voters read `digit`.
    """

    id: str
    user: str
    digit: int
    read: int
    crop: str
    votes: int = 0
    agreed: int = 0
    counts: bool = False


@dataclass(frozen=True, slots=True)
class Score:
    """A line of a board."""

    user: str
    nickname: str
    score: int


class ChallengeStore:
    """Reads and writes what belongs to challenges, by board."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def begin_sixty(self, user: str, prompts: Sequence[int], seconds: float, facts: Mapping[str, str]) -> str:
        """Record a game of prompts that ends in `seconds`; return its id."""
        ends = f"{time.time() + seconds:.3f}"
        fields = {"prompts": "".join(map(str, prompts)), "at": "0", "right": "0", "ends": ends}
        return self._begin(user, {**facts, **fields})

    def begin_mistakes(self, user: str, wanted: Sequence[int], read: Sequence[int]) -> str:
        """Record a game of misread pictures, of the digits `wanted`; return its id."""
        return self._begin(user, {"wanted": json.dumps(wanted), "read": json.dumps(read)})

    def _begin(self, user: str, fields: Mapping[str, str]) -> str:
        game = secrets.token_hex(8)
        key = keys.game_key(user, game)
        with self._connection.client.pipeline() as pipeline:
            for name, value in fields.items():
                pipeline.hset(key, name, value)
            pipeline.expire(key, _GAME_S)
            if group_of(user) != user:
                pipeline.sadd(keys.traces_of(user), key)
            pipeline.execute()
        return game

    def game(self, user: str, game: str) -> dict[str, str]:
        """Return the fields of a game.

        Raises:
            GameNotFoundError: the user has none of this id.
        """
        stored: Any = self._connection.client.hgetall(keys.game_key(user, game)) if ":" not in game else {}
        if not stored:
            raise GameNotFoundError
        return {name.decode(): value.decode() for name, value in stored.items()}

    def answer_prompt(
        self, user: str, game: str, place: int, read: int | None, board: str
    ) -> tuple[bool, int, int]:
        """Take the reading for a prompt, None to go on without.

        Returns:
            Whether the game is over, the next place, and the number of right readings.

        Raises:
            GameNotFoundError: the user has none of this id.
        """
        answer = self._connection.run(
            "challenges/answer_prompt", user, game, place, _SKIP if read is None else read, board, KEEP_S
        )
        if answer[0] == b"missing":
            raise GameNotFoundError
        return answer[0] == b"over", int(answer[1]), int(answer[2])

    def end_mistakes(self, user: str, game: str, board: str, right: int) -> None:
        """Forget a game of misread pictures and keep its score, if it is the user's best."""
        scores = keys.scores_of(board, "mistakes")
        with self._connection.client.pipeline() as pipeline:
            pipeline.delete(keys.game_key(user, game))
            pipeline.zadd(scores, {user: right}, gt=True)
            pipeline.expire(scores, KEEP_S)
            pipeline.execute()

    def add_fool(self, board: str, user: str, digit: int, read: int, crop: str) -> Fool:
        """Record a drawing that fooled the chip."""
        fool = Fool(f"{time.time_ns() // 1_000_000:011x}{secrets.token_hex(3)}", user, digit, read, crop)
        text = json.dumps(asdict(fool))
        self._connection.run("challenges/add_fool", board, fool.id, text, MOST_FOOLS, KEEP_S)
        return fool

    def fools(self, board: str) -> list[Fool]:
        """Return the drawings of a board, the newest first."""
        stored: Any = self._connection.client.hgetall(keys.fools_of(board))
        return [Fool(**json.loads(text)) for _, text in sorted(stored.items(), reverse=True)]

    def voted(self, board: str, user: str) -> set[str]:
        """Return the ids of the drawings on which a user voted."""
        stored: Any = self._connection.client.hkeys(keys.votes_of(board))
        votes = (name.decode().split(":", 1) for name in stored)
        return {fool for fool, voter in votes if voter == user}

    def vote(self, board: str, fool: str, user: str, digit: int) -> Fool:
        """Take the vote of a user on a drawing.

        Raises:
            GameNotFoundError: it is gone, the user's own, or the user voted on it before.
        """
        text = self._connection.run("challenges/vote_fool", board, fool, user, digit, KEEP_S)
        if not text:
            raise GameNotFoundError(
                "there is no such drawing for your vote; it is yours, was voted on or is gone"
            )
        return Fool(**json.loads(text))

    def players(self, board: str) -> dict[str, str]:
        """Return the nicknames of those who want to be on a board, by user."""
        stored: Any = self._connection.client.hgetall(keys.players_of(board))
        return {user.decode(): nickname.decode() for user, nickname in stored.items()}

    def show_player(self, board: str, user: str, nickname: str) -> None:
        """Put a user on a board under a nickname."""
        with self._connection.client.pipeline() as pipeline:
            pipeline.hset(keys.players_of(board), user, nickname)
            pipeline.expire(keys.players_of(board), KEEP_S)
            pipeline.execute()

    def hide_player(self, board: str, user: str) -> None:
        """Take a user off a board."""
        self._connection.client.hdel(keys.players_of(board), user)

    def best(self, board: str) -> dict[str, list[Score]]:
        """Return the best scores of those who want to be on a board, by challenge."""
        players = self.players(board)
        with self._connection.client.pipeline(transaction=False) as pipeline:
            for challenge in CHALLENGES:
                pipeline.zrevrange(keys.scores_of(board, challenge), 0, -1, withscores=True)
            found = pipeline.execute()
        return {
            challenge: [
                Score(user.decode(), players[user.decode()], int(score))
                for user, score in scores
                if user.decode() in players
            ][:MOST_SHOWN]
            for challenge, scores in zip(CHALLENGES, found, strict=True)
        }

    def score(self, board: str, challenge: str, user: str) -> int:
        """Return the best score of a user, 0 without one."""
        stored: Any = self._connection.client.zscore(keys.scores_of(board, challenge), user)
        return int(stored or 0)

    def forget_player(self, board: str, user: str) -> None:
        """Delete all that a board has of a user."""
        client = self._connection.client
        mine = [fool.id for fool in self.fools(board) if fool.user == user]
        stored: Any = client.hkeys(keys.votes_of(board))
        votes = [name for name in stored if name.decode().split(":", 1)[1] == user]
        with client.pipeline() as pipeline:
            pipeline.hdel(keys.players_of(board), user)
            for challenge in CHALLENGES:
                pipeline.zrem(keys.scores_of(board, challenge), user)
            for name, fields in ((keys.fools_of(board), mine), (keys.votes_of(board), votes)):
                if fields:
                    pipeline.hdel(name, *fields)
            pipeline.execute()

    def forget_board(self, board: str) -> None:
        """Delete a board."""
        scores = [keys.scores_of(board, challenge) for challenge in CHALLENGES]
        self._connection.client.delete(
            keys.players_of(board), keys.fools_of(board), keys.votes_of(board), *scores
        )

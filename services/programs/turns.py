"""The turns of waiting operations: their order as far as it is known before the worker chooses."""

from collections.abc import Mapping
from itertools import zip_longest


def in_turns(waiting: Mapping[str, tuple[str, str, float]]) -> list[str]:
    """Return the ids of operations in the order in which they will run: their users in turns, each user's oldest first.

    Only the worker knows whose turn was the last one. Here the user whose operation came first goes first.

    Args:
        waiting: the operations of one chip, with session, user and arrival time.
    """
    of_user: dict[str, list[str]] = {}
    for operation_id, (_, user, _) in sorted(waiting.items(), key=lambda each: (each[1][2], each[0])):
        of_user.setdefault(user, []).append(operation_id)
    return [each for turns in zip_longest(*of_user.values()) for each in turns if each is not None]


def position_of(waiting: Mapping[str, tuple[str, str, float]], session_id: str) -> int | None:
    """Return the number of operations that go before the next one of a session; None if none of its own waits."""
    places = (place for place, each in enumerate(in_turns(waiting)) if waiting[each][0] == session_id)
    return next(places, None)

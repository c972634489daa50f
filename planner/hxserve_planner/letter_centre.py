"""A letter centre in simulated time, as `hxserve letters` is one: belts, a sorter with few connections, a deadline."""

import random
from collections import deque
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, Final

import simpy

from hxserve_planner.crop_lanes import ANY, Request
from hxserve_planner.load import Setting, Source

Steps = Generator[simpy.Event, Any, None]

_PAUSE_S: Final = 1.0
"""Wait of a client after a temporary refusal, as in the service's Retry-After."""
_TIME_FOR_LOOK: Final = 0.5
"""As in letters/hxserve_letters/sorter.py: share of the deadline after which there is no time for a second look."""


@dataclass(slots=True)
class _Letter:
    passed_at: float
    looks: int = 0


class Centre(Source):
    """A letter centre: belts that pass a camera, and a sorter that sends crops on a few connections."""

    def __init__(self, setting: Setting, number: int, letters_per_hour: float) -> None:
        super().__init__(setting)
        question = self._question
        self._rng = random.Random(f"{question.seed}/centre/{number}")
        self._user = f"centre-{number}"
        self._home = number % question.chips if question.bound_to_chips else ANY
        self._reference = f"letters-{number}@1" if question.bound_to_chips else "letters@1"
        self._most_per_s = letters_per_hour / 3600
        self._waiting: deque[_Letter] = deque()
        self._sent: dict[int, list[_Letter]] = {}
        self._inside = 0
        self._free = question.connections_per_centre
        self._env.process(self._pass_letters())

    def delay(self, seconds: float) -> None:
        """Make all letters younger, because no time has passed for them."""
        for letters in (self._waiting, *self._sent.values()):
            for letter in letters:
                letter.passed_at += seconds

    def resume(self) -> None:
        """Send the crops that waited while nothing was simulated."""
        self._send()

    def _pass_letters(self) -> Steps:
        env, rng, pool = self._env, self._rng, self._pool
        while True:
            per_s = self._most_per_s * self._activity.of_letters(env.now)
            left_s = self._activity.next_hour_s(env.now)
            gap_s = rng.expovariate(per_s) if per_s > 0 else left_s
            yield env.timeout(min(gap_s, left_s))
            if not pool.is_detailed:
                yield self._gate.opens
            elif gap_s < left_s:
                pool.count_event()
                if self._inside >= self._question.buffer_per_centre:
                    if pool.is_watched:
                        pool.interval.held_up += 1
                    continue
                self._inside += 1
                self._waiting.append(_Letter(env.now))
                self._send()

    def _send(self) -> None:
        question = self._question
        while self._free and self._waiting and self._pool.is_detailed:
            batch: list[_Letter] = []
            crops = 0
            while self._waiting:
                letter = self._waiting[0]
                more = question.crops_per_second_look if letter.looks else question.crops_per_letter
                if batch and crops + more > question.batch_crops:
                    break
                crops += more
                batch.append(self._waiting.popleft())
            request = Request(self._user, self._reference, self._home, crops, self._env.now, self._answered)
            self._free -= 1
            self._sent[id(request)] = batch
            if not self._admission.take_crops(request, has_quotas=False):
                self._env.process(self._try_again(request))

    def _try_again(self, request: Request) -> Steps:
        while True:
            yield self._env.timeout(_PAUSE_S)
            if not self._pool.is_detailed:
                yield self._gate.opens
            request.sent_at = self._env.now
            if self._admission.take_crops(request, has_quotas=False):
                return

    def _answered(self, request: Request) -> None:
        question, now, pool = self._question, self._env.now, self._pool
        self._free += 1
        is_counted = pool.is_watched and pool.is_detailed
        if is_counted:
            pool.interval.centre_waited_s.append(request.begun_at - request.sent_at)
            pool.interval.centre_answered_s.append(now - request.sent_at)
        for letter in self._sent.pop(id(request)):
            letter.looks += 1
            age_s = now - letter.passed_at
            has_time = age_s < _TIME_FOR_LOOK * question.letter_deadline_s
            wants_second = letter.looks == 1 and self._rng.random() < question.second_looks
            if wants_second and has_time:
                self._waiting.appendleft(letter)
                continue
            self._inside -= 1
            if is_counted:
                pool.interval.letters_s.append(age_s)
                pool.interval.hurried += wants_second
        self._send()

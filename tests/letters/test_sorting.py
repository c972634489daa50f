"""Belts, sorter and decisions: nothing is lost, what is late is counted, and a full queue slows the belts down."""

import threading
import time
from collections import deque

import numpy as np
import pytest

from hxserve import Client
from hxserve.errors import ServiceError
from hxserve_letters.belts import Belts, Pace
from hxserve_letters.camera_pool import Scan
from hxserve_letters.decisions import Decision, Reason, choose_threshold, decide
from hxserve_letters.directory import Directory
from hxserve_letters.errors import TooFewLettersError
from hxserve_letters.plots import rates_over_threshold
from hxserve_letters.reading import Reading
from hxserve_letters.report import rates_of, summarise
from hxserve_letters.run import Run
from hxserve_letters.sending import Sender
from hxserve_letters.sorter import Sorter
from tests.client.service import TOKEN, Service, problem
from tests.letters.test_reading import FIVE, some_cuts


class Clock:
    """A clock that advances only by `sleep`."""

    def __init__(self) -> None:
        self.time = 100.0

    def now(self) -> float:
        """The time."""
        return self.time

    def sleep(self, seconds: float) -> None:
        """Lets so much time pass."""
        self.time += seconds


def a_decision(
    number: int, confidence: float, read: str, written: str = "10115", **changes: object
) -> Decision:
    reading = Reading(read, confidence, confidence, (0, 1, 2, 3, 4), read)
    route, reason = decide(reading, was_found=True, threshold=0.5, is_late=bool(changes.get("is_late")))
    return Decision(number, number % 2, written, reading, route, reason, 0.1 * number, 1)


def test_letters_pass_evenly_at_the_rate_of_all_machines() -> None:
    clock = Clock()
    belts = Belts(Pace(4, 9000, 2.0, 10), now=clock.now, sleep=clock.sleep)
    passed: list[float] = []
    for number in range(5):
        belts.drawn(number)

    belts.run(5, lambda _, moment: passed.append(moment))

    assert passed == pytest.approx([100.0, 100.1, 100.2, 100.3, 100.4])
    assert belts.stalled_s == 0


def test_a_full_buffer_stops_the_belts_until_a_letter_has_left() -> None:
    belts = Belts(Pace(1, 3_600_000, 2.0, 2))
    passed: list[int] = []
    for number in range(3):
        belts.drawn(number)
    thread = threading.Thread(target=belts.run, args=(3, lambda number, _: passed.append(number)))

    thread.start()
    thread.join(0.2)
    before = list(passed)
    belts.left()
    thread.join(5)

    assert before == [0, 1]
    assert passed == [0, 1, 2]
    assert belts.stalled_s > 0.1


def test_a_letter_that_is_not_drawn_yet_is_waited_for() -> None:
    belts = Belts(Pace(1, 3_600_000, 2.0, 5))
    passed: list[int] = []
    thread = threading.Thread(target=belts.run, args=(1, lambda number, _: passed.append(number)))

    thread.start()
    thread.join(0.1)
    before = list(passed)
    belts.drawn(0)
    thread.join(5)

    assert before == []
    assert passed == [0]
    assert belts.starved_s > 0


def test_a_full_queue_holds_the_sender_up_and_loses_nothing(service: Service) -> None:
    clock = Clock()
    service.faults = deque([problem(429, "queue_full", "too many crops wait", "7")] * 2)
    with Client(service.url, TOKEN, retries=0) as client:
        sender = Sender(client, "digits", "latest", now=clock.now, sleep=clock.sleep)

        scores, _ = sender.read(np.zeros((12, 28, 28), np.uint8))

    assert scores.shape == (12, 10)
    assert sender.refused == 2
    assert sender.paused_s == pytest.approx(14)
    assert sender.crops == 12


def test_a_service_that_stays_full_is_given_up_after_a_while(service: Service) -> None:
    clock = Clock()
    service.faults = deque([problem(429, "queue_full", "too many crops wait", "50")] * 9)
    with Client(service.url, TOKEN, retries=0) as client:
        sender = Sender(client, "digits", "latest", now=clock.now, sleep=clock.sleep)

        with pytest.raises(ServiceError, match="queue_full"):
            sender.read(np.zeros((1, 28, 28), np.uint8))


def sort_five(
    service: Service, directory: Directory, clock: Clock, deadline_s: float, letters: int = 5
) -> list[Decision]:
    """The decisions on letters whose crops the service reads as 0, 1, 2, 3, 4."""
    decisions: list[Decision] = []
    with Client(service.url, TOKEN, retries=0) as client:
        sorter = Sorter(
            Sender(client, "digits", "latest", now=clock.now, sleep=clock.sleep),
            directory,
            threshold=0.0,
            deadline_s=deadline_s,
            crops_per_request=10,
            on_decision=decisions.append,
            now=clock.now,
        )
        for number in range(letters):
            sorter.put(Scan(number, "01234", some_cuts(FIVE, 5)), 0, clock.now())
        sorter.put(Scan(letters, "99999", None), 0, clock.now())
        sorter.close()
        sorter.work()
    return decisions


def test_every_letter_is_decided_on_once(service: Service, directory: Directory) -> None:
    decisions = sort_five(service, directory, Clock(), deadline_s=2.0)

    assert sorted(decision.number for decision in decisions) == list(range(6))
    assert next(d for d in decisions if d.number == 5).reason is Reason.NOT_FOUND
    assert all(d.reading is not None for d in decisions if d.number < 5)


def test_a_letter_that_waited_too_long_for_a_full_queue_is_late(
    service: Service, directory: Directory
) -> None:
    service.faults = deque([problem(429, "queue_full", "too many crops wait", "3")])

    decisions = sort_five(service, directory, Clock(), deadline_s=2.0, letters=2)

    assert [d.reason for d in decisions if d.number < 2] == [Reason.LATE, Reason.LATE]
    assert all(d.latency_s == pytest.approx(3.0) and d.route is None for d in decisions if d.number < 2)


def test_a_threshold_keeps_the_errors_below_the_limit() -> None:
    random = np.random.default_rng(0)
    confidences = random.random(2000)
    are_right = random.random(2000) < confidences**0.2

    threshold = choose_threshold(confidences.tolist(), are_right.tolist(), 0.05)

    routed = confidences >= threshold
    assert 0.2 < routed.mean() < 1
    assert 1 - are_right[routed].mean() <= 0.05


def test_a_threshold_without_errors_routes_everything_that_was_read() -> None:
    confidences = [0.3 + number / 1000 for number in range(200)]

    assert choose_threshold(confidences, [True] * 200, 0.01) == pytest.approx(0.3)


def test_few_letters_choose_no_threshold() -> None:
    with pytest.raises(TooFewLettersError, match="99"):
        choose_threshold([0.5] * 99, [True] * 99, 0.01)


def test_rates_are_those_of_the_trade() -> None:
    decisions = [
        a_decision(0, 0.9, "10115"),
        a_decision(1, 0.9, "10117"),
        a_decision(2, 0.9, "80331"),
        a_decision(3, 0.2, "10115"),
        a_decision(4, 0.9, "10115", is_late=True),
    ]

    rates = rates_of(decisions)

    assert rates["read_rate"] == pytest.approx(3 / 5)
    assert rates["postcode_error_rate"] == pytest.approx(2 / 3, abs=1e-6)
    assert rates["error_rate"] == pytest.approx(1 / 3, abs=1e-6)
    assert rates["reject_rate"] == pytest.approx(2 / 5)


def test_the_report_counts_each_machine_and_what_was_late() -> None:
    decisions = [a_decision(number, 0.9, "10115", is_late=number == 3) for number in range(4)]
    run = Run(decisions, 0.5, 2.0, crops=40, refused=1, paused_s=0.5)

    report = summarise(run, Pace(2, 3600, 2.0, 5))

    assert report["letters_per_s"] == 2.0
    assert report["digits_per_s"] == 20.0
    assert report["missed_deadlines"] == 1
    assert [row["missed_deadlines"] for row in report["machines"]] == [0, 1]
    assert report["latency_ms"]["max"] == pytest.approx(300.0)


def test_a_higher_threshold_never_routes_more() -> None:
    decisions = [a_decision(number, number / 50, "10115" if number % 7 else "80331") for number in range(50)]

    thresholds, read_rates, error_rates = rates_over_threshold(decisions)

    assert (np.diff(read_rates) <= 0).all()
    assert read_rates[0] == 1
    assert error_rates[0] == pytest.approx(8 / 50)
    assert thresholds[-1] == 1


def test_the_desk_lets_its_workers_go_when_it_is_closed(service: Service, directory: Directory) -> None:
    with Client(service.url, TOKEN, retries=0) as client:
        sorter = Sorter(
            Sender(client, "digits", "latest"),
            directory,
            threshold=0.5,
            deadline_s=None,
            crops_per_request=10,
            on_decision=lambda _: None,
            now=time.monotonic,
        )
        worker = threading.Thread(target=sorter.work)
        worker.start()

        sorter.close()
        worker.join(5)

    assert not worker.is_alive()

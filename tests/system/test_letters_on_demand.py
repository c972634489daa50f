"""The letter centre that admins start from the page, with real processes: ordered, stopped, and killed."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import psutil  # type: ignore[import-untyped]  # ships no types
import pytest

from deploy.local import Local, running
from hxserve import Client
from services.settings import load_settings

pytestmark = pytest.mark.timeout(600)

PATIENCE_S: Final = 200.0
"""A run draws two hundred letters before its belt moves, which takes long beside other work."""
SHORT: Final[dict[str, Any]] = {"model": "untrained", "version": "1", "letters": 40, "rate": 40_000}
ENDLESS: Final[dict[str, Any]] = SHORT | {"letters": 100, "machines": 1, "rate": 1000}


@pytest.fixture(scope="module")
def centre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    """A service as `hxserve up` starts it, with a process that waits for orders."""
    settings = load_settings(data_dir=tmp_path_factory.mktemp("centre"), chip="mock", port=0)
    with running(settings, letters=True) as local:
        yield local


@pytest.fixture
def admin(centre: Local) -> Iterator[Client]:
    """A client of the service, once orders are carried out."""
    with Client(centre.url, centre.token) as client:
        wait_until(lambda: bool(client.letter_orders.show()["ready"]))
        yield client
        client.letter_orders.stop()
        wait_until(lambda: _state(client) in {"ended", "stopped", "lost"})


def wait_until(condition: Callable[[], bool]) -> None:
    """Return when the condition holds; ask seldom, as the run shares the processor with this test."""
    until = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.3)


def _state(client: Client) -> str:
    order = client.letter_orders.show()["order"]
    return str(order["state"])


def _done(client: Client, order: dict[str, Any]) -> int:
    """The letters that the centre of an order has sorted, as the page shows them."""
    centres = client._transport.call_json("GET", "/v1/letters")["centres"]
    return sum(centre["done"] for centre in centres if centre["letters"] == order["letters"])


def _run_of(centre: Local) -> list[psutil.Process]:
    """The processes of the letter centre that the waiting one has started."""
    found: list[psutil.Process] = psutil.Process(centre.processes["letters"].pid).children(recursive=True)
    return found


def test_an_ordered_run_sorts_all_its_letters_and_a_second_order_is_refused_meanwhile(admin: Client) -> None:
    placed = admin.letter_orders.place(**SHORT)
    with pytest.raises(Exception, match="sorts already"):
        admin.letter_orders.place(**SHORT)

    wait_until(lambda: _state(admin) == "ended")

    order = admin.letter_orders.show()["order"]
    assert (order["id"], order["problem"]) == (placed["order"]["id"], None)
    assert _done(admin, SHORT) == 40


def test_a_run_is_stopped_and_its_processes_end(centre: Local, admin: Client) -> None:
    admin.letter_orders.place(**ENDLESS)
    wait_until(lambda: _done(admin, ENDLESS) > 0)
    processes = _run_of(centre)

    admin.letter_orders.stop()
    wait_until(lambda: _state(admin) == "stopped")

    assert len(processes) >= 2  # the centre, and its camera
    psutil.wait_procs(processes, timeout=10)
    assert not [process for process in processes if process.is_running()]
    assert admin.letter_orders.show()["order"]["problem"] is None


def test_an_error_of_the_run_comes_back_in_words(admin: Client) -> None:
    admin.letter_orders.place(**SHORT | {"model": "nothing"})

    wait_until(lambda: _state(admin) == "ended")

    problem = admin.letter_orders.show()["order"]["problem"]
    assert problem["code"] == "model_not_found"
    assert "there is no model 'nothing'" in problem["message"]


def test_a_killed_process_loses_its_order_and_the_next_one_takes_another(
    centre: Local, admin: Client
) -> None:
    letters = centre.processes["letters"]
    admin.letter_orders.place(**ENDLESS)
    wait_until(lambda: bool(_run_of(centre)) and _state(admin) == "running")
    processes = _run_of(centre)

    os.kill(letters.pid, signal.SIGKILL)
    wait_until(letters.revive)

    wait_until(lambda: _state(admin) == "lost")
    psutil.wait_procs(processes, timeout=10)
    assert not [process for process in processes if process.is_running()]
    again = admin.letter_orders.place(**SHORT)["order"]["id"]
    wait_until(lambda: _state(admin) == "ended")
    assert admin.letter_orders.show()["order"]["id"] == again

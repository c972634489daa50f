"""Opening a chip, and closing it on every exit."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import assert_never

from services.settings import ChipChoice
from worker.chip.hxtorch_connection import is_hxtorch_installed
from worker.chip.hxtorch_session import open_hxtorch
from worker.chip.mock_session import open_mock
from worker.chip.session import ChipSession
from worker.chip.virtual_choice import VirtualChoice
from worker.chip.virtual_session import open_virtual

_log = logging.getLogger(__name__)


@contextmanager
def open_chip(
    choice: ChipChoice,
    chip: str,
    calibration: Path | None,
    *,
    calibrations: Path = Path("data", "calibrations"),
    virtual: VirtualChoice | None = None,
    canary_limit: float = 1.3,
) -> Iterator[ChipSession]:
    """Open a chip and test it; it is closed when the context ends.

    A worker that must end at once (its lease is lost) leaves closing to the operating system.

    Args:
        choice: `mock` is hxtorch's mock arithmetic without a chip, `emulator` the virtual chip; `auto` takes the
            real chip where hxtorch is installed, else the virtual one, and says which.
        chip: the chip's name in the service.
        calibration: the calibration to load: a file, a folder with one, or a tree of chips with links `latest`.
        calibrations: folder of the calibrations made here; used when `calibration` names none.
        virtual: which virtual chip, where it is one; None for the default.
        canary_limit: how many times its reference the canary's score may be.

    Raises:
        ChipUnavailableError: the chip asked for is not here; no other one replaces it.
        ChipError: the chip does not pass its self-test.
        StorageError: a calibration made on the spot cannot be kept.
    """
    if choice == "auto":
        choice = "hxtorch" if is_hxtorch_installed() else "emulator"
        _log.warning("chip: auto takes %s", choice)
    match choice:
        case "mock":
            yield open_mock(chip, calibration, canary_limit=canary_limit)
        case "emulator":
            virtual_chip = (virtual or VirtualChoice()).make()
            with open_virtual(
                chip, virtual_chip, calibration, calibrations, canary_limit=canary_limit
            ) as session:
                yield session
        case "hxtorch":
            with open_hxtorch(chip, calibration, calibrations, canary_limit=canary_limit) as session:
                yield session
        case _:
            assert_never(choice)

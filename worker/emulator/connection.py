"""Opening and closing the chip of this process, under hxtorch's names."""

_is_open = False


def init_hardware(hwdb_path: object = None, ann: bool = False) -> None:  # noqa: ARG001 - hxtorch's signature
    """Open the chip."""
    global _is_open  # noqa: PLW0603 - hxtorch has one connection per process
    _is_open = True


def release_hardware() -> None:
    """Close the chip; harmless when it is closed."""
    global _is_open  # noqa: PLW0603 - hxtorch has one connection per process
    _is_open = False


def open_chip() -> None:
    """The chip in use.

    Raises:
        RuntimeError: none is open.
    """
    if not _is_open:
        raise RuntimeError("No connection allocated. Call init_hardware() first, or pass mock=True.")

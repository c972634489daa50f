"""The connection to a real chip, described by the environment variables of its software."""

import ipaddress
from collections.abc import Mapping
from typing import Final

from services.errors import ChipUnavailableError

VARIABLES: Final = (
    "QUIGGELDY_ENABLED",
    "QUIGGELDY_IP",
    "QUIGGELDY_PORT",
    "QUIGGELDY_USER_NO_MUNGE",
    "SLURM_FPGA_IPS",
)
"""Read here; hxtorch reads them itself, all that happens here is that a wrong one is named."""
_YES: Final = frozenset({"1", "true", "on", "yes"})
_NO: Final = frozenset({"", "0", "false", "off", "no"})


def way_to_chip(environment: Mapping[str, str]) -> str:
    """Return how hxtorch will reach the chip, in words for the log.

    The shared-chip server quiggeldy goes before a board given by Slurm. Source: hxcomm asks in this order.

    Raises:
        ChipUnavailableError: the variables name no connection, or only half of one; the message names the
            variables that are set, the expected ones and the remedy.
    """
    enabled = environment.get("QUIGGELDY_ENABLED", "").strip().lower()
    if enabled in _YES:
        return _quiggeldy(environment)
    if enabled not in _NO:
        raise _refused(environment, "QUIGGELDY_ENABLED is neither 1 nor 0", "set it to 1 to use quiggeldy")
    if "SLURM_FPGA_IPS" in environment:
        return _slurm(environment)
    raise _refused(
        environment,
        "no variable says where the chip is",
        "set QUIGGELDY_ENABLED=1, QUIGGELDY_IP and QUIGGELDY_PORT for a shared chip, or start the worker in a Slurm "
        "allocation of a chip, which sets SLURM_FPGA_IPS",
    )


def _quiggeldy(environment: Mapping[str, str]) -> str:
    address = environment.get("QUIGGELDY_IP", "").strip()
    if not address or any(character.isspace() for character in address):
        raise _refused(
            environment,
            "QUIGGELDY_ENABLED is on, but QUIGGELDY_IP is no address",
            "set QUIGGELDY_IP to the address of the quiggeldy server",
        )
    port = environment.get("QUIGGELDY_PORT", "").strip()
    if not (port.isascii() and port.isdigit() and 1 <= int(port) <= 65_535):
        raise _refused(
            environment,
            "QUIGGELDY_ENABLED is on, but QUIGGELDY_PORT is no port",
            "set QUIGGELDY_PORT to a number from 1 to 65535",
        )
    user = environment.get("QUIGGELDY_USER_NO_MUNGE")
    if user is not None and not user.strip():
        raise _refused(
            environment,
            "QUIGGELDY_USER_NO_MUNGE is set but empty",
            "set it to the user's name, or unset it where munge authenticates",
        )
    return f"quiggeldy at {address}:{port}" + (f" as {user.strip()}" if user else "")


def _slurm(environment: Mapping[str, str]) -> str:
    addresses = [part.strip() for part in environment["SLURM_FPGA_IPS"].split(",")]
    try:
        boards = [str(ipaddress.ip_address(address)) for address in addresses]
    except ValueError:
        raise _refused(
            environment,
            "SLURM_FPGA_IPS holds something that is no IP address",
            "let Slurm set it, or give the board's address, several separated by commas",
        ) from None
    return f"the board {', '.join(boards)} of this Slurm allocation"


def _refused(environment: Mapping[str, str], wrong: str, remedy: str) -> ChipUnavailableError:
    values = ", ".join(f"{name}={environment[name]!r}" for name in VARIABLES if name in environment)
    return ChipUnavailableError(f"{wrong} (set: {values or 'none of ' + ', '.join(VARIABLES)}); {remedy}")

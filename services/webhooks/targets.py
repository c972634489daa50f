"""The addresses to which webhooks may be sent: public ones, and networks that an operator allows."""

import ipaddress
import re
import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from services.errors import InvalidInputError

LONGEST_URL: Final = 1000
_CHARACTERS: Final = re.compile(r"[A-Za-z0-9\-._~:/?\[\]@!$&'()*+,;=%]+")
"""The characters of an address without a fragment (RFC 3986); none needs an escape in JSON."""

_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_PORTS: Final = {"http": 80, "https": 443}

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
LookUp = Callable[[str, int], Sequence[tuple[Any, ...]]]
"""Looks a name up, as `socket.getaddrinfo` does."""


def look_up(host: str, port: int) -> Sequence[tuple[Any, ...]]:
    """Return the addresses of a host."""
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)


def networks_of(text: str) -> tuple[Network, ...]:
    """Return the networks that a setting names, joined by commas.

    Raises:
        ValueError: one is none.
    """
    return tuple(ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip())


class TargetRefusedError(Exception):
    """An address to which nothing is sent; the message says why."""


@dataclass(frozen=True, slots=True)
class Target:
    """The parts of an address of a receiver."""

    is_tls: bool
    host: str
    port: int
    path: str

    @property
    def host_header(self) -> str:
        """The host as a request names it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS["https" if self.is_tls else "http"] else f"{host}:{self.port}"


class Targets:
    """Decides which addresses are sent to."""

    def __init__(self, allowed: Iterable[Network] = (), look_up: LookUp = look_up) -> None:
        self._allowed = tuple(allowed)
        self._look_up = look_up

    def check(self, url: str) -> None:
        """Raise InvalidInputError if an address cannot be that of a webhook; names are not looked up here."""
        target = _parse(url)
        try:
            address = ipaddress.ip_address(target.host)
        except ValueError:
            return
        if not self.admits(address):
            raise InvalidInputError(f"url: {_refusal(target.host)}")

    def admits(self, address: Address) -> bool:
        """Return whether an address may be connected to, itself and any that is within it."""
        within = _within(address)
        return any(each in network for network in self._allowed for each in (address, within)) or (
            _is_public(address) and _is_public(within)
        )

    def resolve(self, url: str) -> tuple[Target, list[tuple[int, tuple[Any, ...]]]]:
        """Return a target, and the family and socket address of each of its addresses that may be connected to.

        Raises:
            TargetRefusedError: there is none.
        """
        try:
            target = _parse(url)
            found = self._look_up(target.host, target.port)
        except InvalidInputError as error:
            raise TargetRefusedError(error.message) from None
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise TargetRefusedError(f"the host {target.host!r} has no address ({reason})") from None
        addresses = [ipaddress.ip_address(str(each[4][0]).partition("%")[0]) for each in found]
        admitted = [
            (each[0], each[4]) for each, address in zip(found, addresses, strict=True) if self.admits(address)
        ]
        if not admitted:
            raise TargetRefusedError(_refusal(target.host))
        return target, admitted


def _parse(url: str) -> Target:
    if len(url) > LONGEST_URL or not _CHARACTERS.fullmatch(url):
        raise InvalidInputError(
            f"url: expected an address of at most {LONGEST_URL} characters without a fragment, "
            "with what is not ASCII in %-escapes"
        )
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname
    except ValueError as error:
        raise InvalidInputError(f"url: {error}") from None
    if parts.scheme not in _PORTS or not host:
        raise InvalidInputError("url: expected an address such as https://example.org/hook (https or http)")
    if "@" in parts.netloc:
        raise InvalidInputError("url: leave user name and password out; the signature tells who sends")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme == "https", host, port or _PORTS[parts.scheme], path)


def _within(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 address leads to, else the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else address)


def _is_public(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        return True  # as public as the address within it
    return address.is_global and not (
        address.is_multicast or address.is_reserved or address.is_unspecified or address.is_link_local
    )


def _refusal(host: str) -> str:
    """Return why nothing is sent to a host; its addresses are not told, they may be those of a network inside."""
    return (
        f"nothing is sent to {host}: it has no public address; an operator allows networks with "
        "HXSERVE_WEBHOOK_NETWORKS"
    )

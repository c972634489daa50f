"""Where webhooks are sent, and where not."""

import ipaddress
import socket
from collections.abc import Sequence
from typing import Any

import pytest

from services.errors import InvalidInputError
from services.webhooks.sending import Sender
from services.webhooks.targets import TargetRefusedError, Targets, networks_of
from tests.services.webhooks.receiver import open_receiver

HOME = networks_of("127.0.0.0/8")

INSIDE = [
    "127.0.0.1",
    "127.8.9.10",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "169.254.169.254",
    "0.0.0.0",  # noqa: S104 nothing binds it
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::1",
    "::",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "fe80::1",
    "fc00::1",
    "fd12:3456::1",
    "ff02::1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "2002:7f00:1::1",
    "2002:a00:1::",
    "2001:0:7f00:1::1",
    "2001:db8::1",
]
PUBLIC = ["1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "::ffff:1.1.1.1"]


def _found(*addresses: str) -> Any:
    """A look-up that finds these addresses, whatever is asked."""

    def look_up(host: str, port: int) -> Sequence[tuple[Any, ...]]:
        del host
        return [
            (
                socket.AF_INET6 if ":" in address else socket.AF_INET,
                socket.SOCK_STREAM,
                6,
                "",
                (address, port),
            )
            for address in addresses
        ]

    return look_up


@pytest.mark.parametrize("address", INSIDE)
def test_nothing_is_sent_to_an_address_that_is_not_public(address: str) -> None:
    url = f"http://[{address}]/" if ":" in address else f"http://{address}/"

    assert not Targets().admits(ipaddress.ip_address(address))
    with pytest.raises(InvalidInputError, match="no public address"):
        Targets().check(url)
    with pytest.raises(TargetRefusedError, match="no public address"):
        Targets(look_up=_found(address)).resolve("http://receiver.example/")


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_sent_to(address: str) -> None:
    assert Targets().admits(ipaddress.ip_address(address))
    target, found = Targets(look_up=_found(address)).resolve("https://receiver.example/a?b=c")

    assert (target.is_tls, target.port, target.path) == (True, 443, "/a?b=c")
    assert [where[0] for _, where in found] == [address]


def test_of_a_name_with_several_addresses_only_public_ones_are_connected_to() -> None:
    _, found = Targets(look_up=_found("127.0.0.1", "1.1.1.1", "::1")).resolve("http://receiver.example/")

    assert [where[0] for _, where in found] == ["1.1.1.1"]


def test_an_operator_may_allow_networks_and_only_those() -> None:
    targets = Targets(networks_of("10.20.0.0/16, fd00::/8"))

    for address, is_admitted in {
        "10.20.3.4": True,
        "::ffff:10.20.3.4": True,
        "fd00::1": True,
        "10.21.0.1": False,
        "127.0.0.1": False,
    }.items():
        assert targets.admits(ipaddress.ip_address(address)) is is_admitted


@pytest.mark.parametrize("host", ["2130706433", "0177.0.0.1", "0x7f.1", "0x7f000001", "127.1", "localhost"])
def test_other_ways_to_write_loopback_are_seen_through(host: str) -> None:
    with open_receiver() as receiver:
        answer = Sender(Targets()).send(receiver.url.replace("127.0.0.1", host), {}, b"{}")

        assert answer.status is None
        assert "no public address" in str(answer.problem)
        assert receiver.received == []


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.org/",
        "file:///etc/passwd",
        "gopher://example.org/",
        "example.org",
        "http://",
        "http:///path",
        "http://ada:secret@example.org/",
        "http://example.org:99999/",
        "http://example.org/#part",
        "http://example.org/a b",
        'http://example.org/"',
        "http://example.org/\r\nHost: other",
        "http://ex\u00e4mple.org/",
        "http://[::1/",
        "https://example.org/" + 1000 * "a",
    ],
)
def test_what_is_no_address_of_a_receiver_is_refused(url: str) -> None:
    with pytest.raises(InvalidInputError, match=r"^url: "):
        Targets().check(url)
    with pytest.raises(TargetRefusedError):
        Targets().resolve(url)


def test_a_name_that_leads_home_after_it_was_checked_is_not_followed() -> None:
    """The address that is connected to is the one that was checked: a name is looked up once for both."""
    with open_receiver() as receiver:
        port = int(receiver.url.split(":")[2].split("/")[0])
        asked: list[str] = []

        def rebind(host: str, _: int) -> Sequence[tuple[Any, ...]]:
            asked.append(host)
            address = "127.0.0.1" if len(asked) == 1 else "127.0.0.2"
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

        answer = Sender(Targets(networks_of("127.0.0.1/32"), rebind)).send(
            "http://receiver.example/", {}, b"{}"
        )

        assert (answer.status, asked, len(receiver.received)) == (200, ["receiver.example"], 1)
        assert receiver.received[0].headers["host"] == "receiver.example"

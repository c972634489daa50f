"""The way to a real chip: half a way is refused, and the message says what is set and what to do."""

import pytest

from services.errors import ChipUnavailableError
from worker.chip.environment import way_to_chip

QUIGGELDY = {"QUIGGELDY_ENABLED": "1", "QUIGGELDY_IP": "192.0.2.7", "QUIGGELDY_PORT": "5666"}


def test_a_shared_chip_is_reached_through_quiggeldy() -> None:
    assert way_to_chip(QUIGGELDY) == "quiggeldy at 192.0.2.7:5666"


def test_a_user_without_munge_is_named() -> None:
    assert way_to_chip(QUIGGELDY | {"QUIGGELDY_USER_NO_MUNGE": "ada"}).endswith(" as ada")


def test_the_board_of_a_slurm_allocation_is_taken() -> None:
    assert "192.0.2.1, 192.0.2.2" in way_to_chip({"SLURM_FPGA_IPS": "192.0.2.1, 192.0.2.2"})


def test_quiggeldy_goes_before_a_board() -> None:
    assert "quiggeldy" in way_to_chip(QUIGGELDY | {"SLURM_FPGA_IPS": "192.0.2.1"})


def test_quiggeldy_switched_off_leaves_the_board() -> None:
    environment = QUIGGELDY | {"QUIGGELDY_ENABLED": "0", "SLURM_FPGA_IPS": "192.0.2.1"}

    assert "board 192.0.2.1" in way_to_chip(environment)


@pytest.mark.parametrize(
    ("environment", "wrong"),
    [
        ({}, r"no variable says where the chip is \(set: none of QUIGGELDY_ENABLED.*SLURM_FPGA_IPS"),
        ({"QUIGGELDY_IP": "192.0.2.7"}, "no variable says where"),
        ({"QUIGGELDY_ENABLED": "maybe"}, r"neither 1 nor 0 \(set: QUIGGELDY_ENABLED='maybe'\); set it to 1"),
        ({"QUIGGELDY_ENABLED": "1"}, "QUIGGELDY_IP is no address"),
        (QUIGGELDY | {"QUIGGELDY_IP": "a b"}, "QUIGGELDY_IP is no address"),
        (QUIGGELDY | {"QUIGGELDY_PORT": ""}, "QUIGGELDY_PORT is no port"),
        (QUIGGELDY | {"QUIGGELDY_PORT": "65536"}, "number from 1 to 65535"),
        (QUIGGELDY | {"QUIGGELDY_PORT": "²"}, "QUIGGELDY_PORT is no port"),
        (QUIGGELDY | {"QUIGGELDY_USER_NO_MUNGE": " "}, "QUIGGELDY_USER_NO_MUNGE is set but empty"),
        ({"SLURM_FPGA_IPS": ""}, "no IP address"),
        ({"SLURM_FPGA_IPS": "192.0.2.1,"}, "no IP address"),
        ({"SLURM_FPGA_IPS": "board-3"}, r"set: SLURM_FPGA_IPS='board-3'"),
    ],
)
def test_half_a_way_is_refused(environment: dict[str, str], wrong: str) -> None:
    with pytest.raises(ChipUnavailableError, match=wrong):
        way_to_chip(environment)

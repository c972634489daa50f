"""Sources of the address of a service."""

from pathlib import Path

import pytest

from hxserve.addresses import Address, find_address
from hxserve.errors import AddressError


def test_the_line_that_up_prints_is_an_address_with_its_token() -> None:
    address = find_address("http://node:8000/?token=s3cret", environment={})

    assert address == Address("http://node:8000", "s3cret")


def test_a_path_before_the_interface_is_kept() -> None:
    assert find_address("https://lab.example/hx/", environment={}).url == "https://lab.example/hx"


def test_the_environment_names_the_service() -> None:
    environment = {"HXSERVE_URL": "http://node:8000", "HXSERVE_TOKEN": "s3cret"}

    assert find_address(environment=environment) == Address("http://node:8000", "s3cret")


def test_what_is_given_comes_before_the_environment() -> None:
    environment = {"HXSERVE_URL": "http://node:8000", "HXSERVE_TOKEN": "other"}

    assert find_address("http://here:1?token=mine", environment=environment) == Address(
        "http://here:1", "mine"
    )


def test_a_data_folder_that_is_named_comes_before_the_environment(tmp_path: Path) -> None:
    _start_in(tmp_path)
    environment = {"HXSERVE_URL": "http://node:8000", "HXSERVE_TOKEN": "other"}

    address = find_address(data_dir=tmp_path, environment=environment)

    assert address == Address("http://127.0.0.1:4000", "local-token")


def test_the_data_folder_here_is_used_when_nothing_else_is_known(tmp_path: Path) -> None:
    _start_in(tmp_path / "data")

    assert find_address(environment={}) == Address("http://127.0.0.1:4000", "local-token")


def test_the_environment_names_the_data_folder(tmp_path: Path) -> None:
    _start_in(tmp_path / "elsewhere")

    address = find_address(environment={"HXSERVE_DATA_DIR": str(tmp_path / "elsewhere")})

    assert address == Address("http://127.0.0.1:4000", "local-token")


def test_the_token_of_a_data_folder_is_not_shown_to_another_service(tmp_path: Path) -> None:
    _start_in(tmp_path)

    assert find_address("http://elsewhere:1", data_dir=tmp_path, environment={}).token is None


def test_the_token_of_a_data_folder_is_shown_to_its_own_service(tmp_path: Path) -> None:
    _start_in(tmp_path)

    address = find_address("http://127.0.0.1:4000/", data_dir=tmp_path, environment={})

    assert address == Address("http://127.0.0.1:4000", "local-token")


def test_without_any_address_the_error_says_how_to_start_a_service() -> None:
    with pytest.raises(AddressError, match="hxserve up"):
        find_address(environment={})


@pytest.mark.parametrize(
    "text", ["localhost:8000", "ftp://node", "http://", "http://node:port", "http://[::1"]
)
def test_what_is_not_an_address_is_refused(text: str) -> None:
    with pytest.raises(AddressError, match="not an address"):
        find_address(text, environment={})


def test_an_address_does_not_show_its_token() -> None:
    assert "s3cret" not in repr(Address("http://node:8000", "s3cret"))


def _start_in(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "url").write_text("http://127.0.0.1:4000\n")
    (folder / "admin-token").write_text("local-token\n")

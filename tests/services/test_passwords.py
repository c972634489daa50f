"""Secrets in files and addresses: read whole, put in their place, and never shown."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import ConnectionPool

from services.errors import SettingsError
from services.passwords import has_password, read_secret, with_password
from services.settings import load_settings


@given(st.text(min_size=1, max_size=40))
@pytest.mark.parametrize(
    "url",
    [
        "redis://hxserve-api@store:6379/0",
        "unix://hxserve-api@/run/redis.sock",
        "rediss://hxserve-api:old@store",
    ],
)
def test_any_password_arrives_as_it_was(url: str, password: str) -> None:
    parsed = ConnectionPool.from_url(with_password(url, password)).connection_kwargs

    assert (parsed["username"], parsed["password"]) == ("hxserve-api", password)
    assert has_password(with_password(url, password))


@pytest.mark.parametrize("content", ["", "short", "two words that are long enough", "tökén" * 5])
def test_what_is_no_secret_is_refused_and_not_shown(tmp_path: Path, content: str) -> None:
    (tmp_path / "password").write_text(content)

    with pytest.raises(SettingsError, match="openssl rand") as raised:
        read_secret(tmp_path / "password", "password")

    assert not content or content not in raised.value.message


def test_settings_take_the_password_from_its_file_and_do_not_show_it(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("a-long-enough-password\n")

    settings = load_settings(
        {}, redis_url="redis://hxserve-api@store:6379/0", redis_password_file=tmp_path / "password"
    )

    assert settings.redis_url == "redis://hxserve-api:a-long-enough-password@store:6379/0"
    assert "a-long-enough-password" not in repr(settings)


def test_an_address_that_is_none_is_not_shown_for_it_may_hold_a_password() -> None:
    with pytest.raises(SettingsError) as raised:
        load_settings({}, redis_url="redsi://user:a-password@store")

    assert "a-password" not in raised.value.message
    assert "redis://" in raised.value.message

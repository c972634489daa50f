"""Tokens: compared as hashes, kept in a file that only its owner reads."""

import stat
from pathlib import Path

import pytest

from services.errors import NotAuthenticatedError, SettingsError
from services.users import ADMIN, Tokens, ensure_admin_token, read_admin_token

TOKEN = "a-token-long-enough"  # noqa: S105 of the tests alone


def test_the_admins_token_stands_for_the_admin() -> None:
    assert Tokens(TOKEN).user_of(TOKEN) == ADMIN


@pytest.mark.parametrize(
    "token", [None, "", "x", TOKEN[:-1], TOKEN + "x", TOKEN.upper(), "tökén", " " + TOKEN]
)
def test_any_other_token_stands_for_nobody(token: str | None) -> None:
    with pytest.raises(NotAuthenticatedError, match="Authorization: Bearer"):
        Tokens(TOKEN).user_of(token)


def test_tokens_are_not_kept_as_they_are() -> None:
    assert TOKEN not in repr(vars(Tokens(TOKEN)))


def test_a_token_is_made_once_and_readable_by_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "admin-token"

    made = ensure_admin_token(path)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert ensure_admin_token(path) == made
    assert len(made) >= 32


def test_two_made_tokens_differ(tmp_path: Path) -> None:
    assert ensure_admin_token(tmp_path / "a") != ensure_admin_token(tmp_path / "b")


def test_a_token_somebody_wrote_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "admin-token"
    path.write_text(f"  {TOKEN}\n")

    assert ensure_admin_token(path) == TOKEN
    assert path.read_text() == f"  {TOKEN}\n"


def test_a_token_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"admin-token.*HXSERVE_ADMIN_TOKEN_FILE"):
        read_admin_token(tmp_path / "admin-token")


@pytest.mark.parametrize("content", [b"", b"\n", b"short", b"\xff" * 20])
def test_a_file_without_a_proper_token_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "admin-token"
    path.write_bytes(content)

    with pytest.raises(SettingsError, match="admin token"):
        read_admin_token(path)

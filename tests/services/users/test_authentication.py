"""Tokens: compared as hashes, kept in a file that only its owner reads."""

import stat
from pathlib import Path

import pytest

from services.errors import NotAuthenticatedError, RedisUnavailableError, SettingsError
from services.store.connection import Connection
from services.users.accounts import Role
from services.users.authentication import (
    ADMIN,
    LONGEST_MEMORY_S,
    Tokens,
    User,
    ensure_admin_token,
    read_admin_token,
)
from services.users.quotas import Quotas
from services.users.store import Found, UserStore

TOKEN = "a-token-long-enough"  # noqa: S105 of the tests alone


def test_the_admins_token_stands_for_the_admin() -> None:
    assert Tokens(TOKEN).user_of(TOKEN) == ADMIN


@pytest.mark.parametrize(
    "token", [None, "", "x", TOKEN[:-1], TOKEN + "x", TOKEN.upper(), "tökén", " " + TOKEN]
)
def test_any_other_token_has_no_user(token: str | None) -> None:
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


def test_an_existing_token_file_is_left_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "admin-token"
    path.write_text(f"  {TOKEN}\n")

    assert ensure_admin_token(path) == TOKEN
    assert path.read_text() == f"  {TOKEN}\n"


def test_a_token_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"HXSERVE_ADMIN_TOKEN_FILE.*admin-token"):
        read_admin_token(tmp_path / "admin-token")


@pytest.mark.parametrize("content", [b"", b"\n", b"short", b"\xff" * 20])
def test_a_file_without_a_proper_token_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "admin-token"
    path.write_bytes(content)

    with pytest.raises(SettingsError, match="admin token"):
        read_admin_token(path)


class _Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


class _CountingStore(UserStore):
    """Counts what it is asked."""

    asked = 0

    def find(self, digest: str) -> Found | None:
        """The same, counted."""
        self.asked += 1
        return super().find(digest)


@pytest.fixture
def store(connection: Connection) -> _CountingStore:
    return _CountingStore(connection)


def test_a_token_stands_for_its_user_with_their_role_and_quotas(store: UserStore) -> None:
    tokens = Tokens(TOKEN, store, Quotas(max_queued_jobs=3))
    adas = store.add("ada", own_quotas={"max_waiting_crops": 7})[1].secret
    roots = store.add("root", Role.ADMIN)[1].secret

    assert tokens.user_of(adas) == User("ada", quotas=Quotas(max_queued_jobs=3, max_waiting_crops=7))
    assert tokens.user_of(roots) == User("root", is_admin=True)
    assert tokens.user_of(TOKEN) == ADMIN


def test_who_was_found_is_remembered_for_a_while(store: _CountingStore) -> None:
    clock = _Clock()
    tokens = Tokens(TOKEN, store, clock=clock)
    secret = store.add("ada")[1].secret

    for _ in range(50):
        tokens.user_of(secret)
        with pytest.raises(NotAuthenticatedError):
            tokens.user_of("nobody's")

    assert store.asked == 2
    clock.now += LONGEST_MEMORY_S
    tokens.user_of(secret)
    assert store.asked == 3


def test_who_is_disabled_is_out_once_the_memory_ends_and_in_again_when_enabled(store: UserStore) -> None:
    clock = _Clock()
    tokens = Tokens(TOKEN, store, clock=clock)
    secret = store.add("ada")[1].secret
    tokens.user_of(secret)

    store.change("ada", {"disabled": True})
    clock.now += LONGEST_MEMORY_S
    with pytest.raises(NotAuthenticatedError, match="'ada' is disabled"):
        tokens.user_of(secret)

    store.change("ada", {"disabled": False})
    clock.now += LONGEST_MEMORY_S
    assert tokens.user_of(secret).name == "ada"


def test_a_token_ends_with_its_life_though_it_is_remembered(store: UserStore, connection: Connection) -> None:
    clock = _Clock()
    tokens = Tokens(TOKEN, store, clock=clock)
    secret = store.add("ada", expires_in_s=0.5)[1].secret
    tokens.user_of(secret)
    [digest] = connection.client.hkeys("hx:tokens")

    connection.client.hset("hx:user:ada:tokens", digest, "5.000 1000000000.000")
    clock.now += 0.5 + 0.001  # ends are kept in whole milliseconds

    with pytest.raises(NotAuthenticatedError, match="expired at 2001-09-09 01:46 UTC"):
        tokens.user_of(secret)


def test_a_revoked_token_is_out_once_the_memory_ends(store: UserStore) -> None:
    clock = _Clock()
    tokens = Tokens(TOKEN, store, clock=clock)
    old = store.add("ada")[1].secret
    tokens.user_of(old)

    new = store.issue_token("ada", revoke=True).secret
    clock.now += LONGEST_MEMORY_S

    assert tokens.user_of(new).name == "ada"
    with pytest.raises(NotAuthenticatedError):
        tokens.user_of(old)


def test_many_wrong_tokens_do_not_fill_the_memory(store: UserStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.users.authentication._MOST_REMEMBERED", 10)
    tokens = Tokens(TOKEN, store)

    for number in range(25):
        with pytest.raises(NotAuthenticatedError):
            tokens.user_of(f"wrong-{number}")

    assert len(tokens._remembered) <= 10


def test_without_redis_the_admin_still_gets_in_and_others_learn_why_not() -> None:
    tokens = Tokens(TOKEN, UserStore(Connection("redis://127.0.0.1:1/0", retries=0)))

    assert tokens.user_of(TOKEN) == ADMIN
    with pytest.raises(RedisUnavailableError):
        tokens.user_of("another")

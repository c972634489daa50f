"""Users in Redis: tokens kept as digests, each change one step."""

import hashlib

import pytest

from services.errors import ConflictError, UserNotFoundError
from services.store.connection import Connection
from services.users.accounts import Role
from services.users.quotas import Quotas
from services.users.store import UserStore

DEFAULTS = Quotas(max_queued_jobs=3, max_waiting_crops=50, chip_seconds_per_day=60.0)


@pytest.fixture
def users(connection: Connection) -> UserStore:
    return UserStore(connection)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def test_a_new_user_is_found_by_the_digest_of_their_token(users: UserStore) -> None:
    account, issued = users.add("ada", Role.ADMIN)

    found = users.find(_digest(issued.secret))

    assert found is not None
    assert (found.account, found.left_s) == (account, None)
    assert (account.name, account.role, account.disabled) == ("ada", Role.ADMIN, False)
    assert users.find(_digest(issued.secret + "x")) is None


def test_no_token_stands_in_redis(users: UserStore, connection: Connection) -> None:
    secrets = [users.add("ada")[1].secret, users.issue_token("ada").secret]

    stored = repr([connection.client.dump(key) for key in connection.client.scan_iter()])

    assert not [secret for secret in secrets if secret in stored or secret.split("_", 1)[1] in stored]


def test_tokens_are_long_and_differ(users: UserStore) -> None:
    users.add("ada")

    secrets = {users.issue_token("ada").secret for _ in range(20)}

    assert len(secrets) == 20
    assert all(len(secret) >= 43 for secret in secrets)


def test_a_name_is_taken_once_and_the_first_token_still_opens(users: UserStore) -> None:
    _, issued = users.add("ada")

    with pytest.raises(ConflictError, match="hxserve users token ada"):
        users.add("ada", Role.ADMIN)

    assert users.get("ada").role is Role.USER
    assert users.find(_digest(issued.secret))
    assert len(users.tokens("ada")) == 1


@pytest.mark.parametrize("name", ["admin", "system"])
def test_the_names_of_the_service_itself_are_not_given(users: UserStore, name: str) -> None:
    with pytest.raises(ConflictError, match=name):
        users.add(name)

    assert users.all() == []


def test_a_token_has_the_life_it_was_given(users: UserStore) -> None:
    _, issued = users.add("ada", expires_in_s=100)

    found = users.find(_digest(issued.secret))

    assert found is not None
    assert found.left_s is not None
    assert 90 < found.left_s <= 100 + 0.001  # ends are kept in whole milliseconds
    assert issued.token.expires_at == pytest.approx(issued.token.created_at + 100, abs=0.01)


def test_expired_tokens_are_swept_when_a_new_one_is_issued(users: UserStore, connection: Connection) -> None:
    _, old = users.add("ada")
    connection.client.hset("hx:user:ada:tokens", _digest(old.secret), "5.000 10.000")

    issued = users.issue_token("ada")

    assert users.tokens("ada") == [issued.token]
    assert users.find(_digest(old.secret)) is None


def test_a_replacing_token_voids_the_others_of_its_user_alone(users: UserStore) -> None:
    first = [users.add("ada")[1].secret, users.issue_token("ada").secret]
    _, graces = users.add("grace")

    new = users.issue_token("ada", revoke=True)

    assert [users.find(_digest(secret)) for secret in first] == [None, None]
    assert users.find(_digest(new.secret))
    assert users.find(_digest(graces.secret))


def test_one_token_or_all_are_revoked(users: UserStore) -> None:
    _, first = users.add("ada")
    second, third = users.issue_token("ada"), users.issue_token("ada")

    assert users.revoke_tokens("ada", second.token.id) == 1
    assert users.find(_digest(second.secret)) is None
    assert users.find(_digest(third.secret))
    assert users.revoke_tokens("ada") == 2
    assert users.find(_digest(first.secret)) is None
    assert users.tokens("ada") == []


def test_own_quotas_stand_before_the_defaults_until_they_are_given_back(users: UserStore) -> None:
    account, _ = users.add("ada", own_quotas={"max_queued_jobs": 1, "max_waiting_crops": None})
    assert account.quotas(DEFAULTS) == Quotas(max_queued_jobs=1, chip_seconds_per_day=60.0)

    account = users.change("ada", {"chip_seconds_per_day": 5}, defaulted=["max_waiting_crops"])

    assert account.quotas(DEFAULTS) == Quotas(1, 50, 5)


def test_admins_have_no_limits_but_their_own(users: UserStore) -> None:
    account, _ = users.add("ada", Role.ADMIN, {"max_queued_jobs": 2})

    assert account.quotas(DEFAULTS) == Quotas(max_queued_jobs=2)


def test_users_are_listed_by_name(users: UserStore) -> None:
    for name in ("grace", "ada", "edith"):
        users.add(name)
    users.change("grace", {"disabled": True})

    assert [(account.name, account.disabled) for account in users.all()] == [
        ("ada", False),
        ("edith", False),
        ("grace", True),
    ]


def test_who_is_not_there_is_not_changed_into_being(users: UserStore) -> None:
    for attempt in (
        lambda: users.get("ada"),
        lambda: users.get("ada:tokens"),
        lambda: users.change("ada", {"disabled": True}),
        lambda: users.issue_token("ada"),
        lambda: users.revoke_tokens("ada"),
    ):
        with pytest.raises(UserNotFoundError, match="'ada"):
            attempt()

    assert users.all() == []

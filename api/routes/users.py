"""Users and their tokens, for admins."""

from typing import Annotated, Any, Literal, Self

from flask import Blueprint
from pydantic import Field, StrictBool

from api.application import Application, application
from api.authentication import only_admins
from api.documentation import SPEC, answers
from api.schemas import Moment, Schema
from services.names import Name
from services.users.accounts import Account, Role
from services.users.quotas import Quotas
from services.users.store import IssuedToken

routes = Blueprint("users", __name__, url_prefix="/v1/users")
routes.before_request(only_admins)

Count = Annotated[int, Field(ge=0, strict=True)]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False, strict=True)]
Rate = Annotated[float, Field(gt=0, allow_inf_nan=False, strict=True)]
Lifetime = Annotated[
    float | None,
    Field(gt=0, le=3_153_600_000, strict=True, description="Seconds until the token expires; never if null."),
]


class QuotasBody(Schema):
    """Limits of a user; null follows the service's default again."""

    max_queued_jobs: Count | Literal["unlimited"] | None = None
    max_waiting_crops: Count | Literal["unlimited"] | None = None
    chip_seconds_per_day: Amount | Literal["unlimited"] | None = None
    requests_per_second: Rate | Literal["unlimited"] | None = None
    operations_per_second: Rate | Literal["unlimited"] | None = None
    operation_bytes_per_second: Rate | Literal["unlimited"] | None = None
    kept_crops: Count | Literal["unlimited"] | None = None
    open_corrections: Count | Literal["unlimited"] | None = None
    dataset_bytes: Count | Literal["unlimited"] | None = None

    def split(self) -> tuple[dict[str, float | None], list[str]]:
        """Return the quotas to set, None for no limit, and the names of those to reset to the defaults."""
        given: dict[str, Any] = self.model_dump(exclude_unset=True)
        own = {
            name: None if limit == "unlimited" else limit
            for name, limit in given.items()
            if limit is not None
        }
        return own, [name for name, limit in given.items() if limit is None]


class NewUserBody(Schema):
    """A user to add; quotas that are left out follow the service's defaults."""

    name: Name
    role: Role = Role.USER
    expires_in: Lifetime = None
    quotas: QuotasBody = QuotasBody()


class ChangedUserBody(Schema):
    """Changes of a user; what is left out stays as it is."""

    role: Role | None = None
    disabled: StrictBool | None = None
    quotas: QuotasBody = QuotasBody()


class NewTokenBody(Schema):
    """The lifetime of a new token, and whether the user's other tokens end."""

    expires_in: Lifetime = None
    revoke: StrictBool = False


class TokenFacts(Schema):
    """A token, by its id."""

    id: str
    created_at: Moment
    expires_at: Moment | None


class UserAnswer(Schema):
    """A user."""

    name: str
    role: Role
    disabled: bool
    created_at: Moment
    quotas: Quotas
    tokens: list[TokenFacts]

    @classmethod
    def of(cls, app: Application, account: Account, **more: Any) -> Self:
        """Describe a user with their limits and tokens."""
        shown = {name: getattr(account, name) for name in ("name", "role", "disabled", "created_at")}
        quotas, tokens = account.quotas(app.settings.user_quotas), app.users.tokens(account.name)
        return cls.model_validate({**shown, "quotas": quotas, "tokens": tokens, **more})


class UsersAnswer(Schema):
    """All users, by name."""

    users: list[UserAnswer]


class TokenAnswer(Schema):
    """A new token, shown this once."""

    token: str
    token_id: str
    expires_at: Moment | None


class NewUserAnswer(TokenAnswer, UserAnswer):
    """A new user with their token, shown this once."""


class RevokedAnswer(Schema):
    """The number of tokens revoked."""

    revoked: int


@routes.get("")
@SPEC.validate(resp=answers(200, UsersAnswer, 403), tags=["users"])
def list_users() -> UsersAnswer:
    """List the users, with their quotas."""
    app = application()
    return UsersAnswer(users=[UserAnswer.of(app, account) for account in app.users.all()])


@routes.post("")
@SPEC.validate(resp=answers(201, NewUserAnswer, 403, 409, 415), tags=["users"])
def add_user(json: NewUserBody) -> Any:
    """Add a user.

    The answer holds the user's token, which is shown this once and stored only as a digest. So an `Idempotency-Key`
    cannot be honoured: the same request sent again is a conflict.
    """
    app = application()
    own, _ = json.quotas.split()
    account, issued = app.users.add(json.name, json.role, own, expires_in_s=json.expires_in)
    answer = NewUserAnswer.of(app, account, **secret_of(issued))
    return answer, 201, {"Location": f"/v1/users/{account.name}"}


@routes.get("/<name>")
@SPEC.validate(resp=answers(200, UserAnswer, 403, 404), tags=["users"])
def show_user(name: str) -> UserAnswer:
    """Show a user."""
    app = application()
    return UserAnswer.of(app, app.users.get(name))


@routes.patch("/<name>")
@SPEC.validate(resp=answers(200, UserAnswer, 403, 404, 415), tags=["users"])
def change_user(name: str, json: ChangedUserBody) -> UserAnswer:
    """Change a user's role or quotas, disable them or enable them again.

    What is left out stays as it is. Requests of a disabled user get 401 from a second later on; the jobs submitted
    before still run unless they are cancelled.
    """
    app = application()
    own, defaulted = json.quotas.split()
    changes = own | json.model_dump(include={"role", "disabled"}, exclude_none=True)
    return UserAnswer.of(app, app.users.change(name, changes, defaulted))


@routes.post("/<name>/tokens")
@SPEC.validate(resp=answers(201, TokenAnswer, 403, 404, 415), tags=["users"])
def issue_token(name: str, json: NewTokenBody) -> Any:
    """Give a user a new token.

    It is shown this once. With `revoke`, all earlier tokens of the user end at the same moment.
    """
    issued = application().users.issue_token(name, expires_in_s=json.expires_in, revoke=json.revoke)
    return TokenAnswer.model_validate(secret_of(issued)), 201


@routes.delete("/<name>/tokens")
@routes.delete("/<name>/tokens/<token_id>")
@SPEC.validate(resp=answers(200, RevokedAnswer, 403, 404), tags=["users"])
def revoke_tokens(name: str, token_id: str | None = None) -> RevokedAnswer:
    """Revoke all tokens of a user, or one by its id."""
    return RevokedAnswer(revoked=application().users.revoke_tokens(name, token_id))


def secret_of(issued: IssuedToken) -> dict[str, Any]:
    """Return the fields of a `TokenAnswer`."""
    return {"token": issued.secret, "token_id": issued.token.id, "expires_at": issued.token.expires_at}

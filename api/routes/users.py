"""Routes of users, for admins."""

from typing import Any

from flask import Blueprint, Response, jsonify

from api.application import Application, application
from api.authentication import only_admins
from api.documentation import SPEC, answers
from api.representation import iso
from api.schemas import (
    ChangedUserBody,
    NewTokenBody,
    NewUserAnswer,
    NewUserBody,
    QuotasBody,
    RevokedAnswer,
    TokenAnswer,
    UserAnswer,
    UsersAnswer,
)
from services.users.accounts import Account, Role, Token
from services.users.store import IssuedToken

routes = Blueprint("users", __name__, url_prefix="/v1/users")
routes.before_request(only_admins)


@routes.get("")
@SPEC.validate(resp=answers(200, UsersAnswer, 403), tags=["users"])
def list_users() -> Response:
    """List the users, with their quotas."""
    app = application()
    return jsonify({"users": [_user_json(app, account) for account in app.users.all()]})


@routes.post("")
@SPEC.validate(json=NewUserBody, resp=answers(201, NewUserAnswer, 403, 409, 415), tags=["users"])
def add_user(json: NewUserBody) -> Response:
    """Add a user.

    The answer holds their token, which is shown this once and kept only as a digest. So an `Idempotency-Key` cannot be
    honoured: the same request again is a conflict.
    """
    app = application()
    own, _ = _own_quotas(json.quotas)
    account, issued = app.users.add(json.name, Role(json.role), own, expires_in_s=json.expires_in)
    response = jsonify(_user_json(app, account) | _secret_json(issued))
    response.status_code = 201
    response.headers["Location"] = f"/v1/users/{account.name}"
    return response


@routes.get("/<name>")
@SPEC.validate(resp=answers(200, UserAnswer, 403, 404), tags=["users"])
def show_user(name: str) -> Response:
    """Show a user."""
    app = application()
    return jsonify(_user_json(app, app.users.get(name)))


@routes.patch("/<name>")
@SPEC.validate(json=ChangedUserBody, resp=answers(200, UserAnswer, 403, 404, 415), tags=["users"])
def change_user(name: str, json: ChangedUserBody) -> Response:
    """Change a user's role or quotas, disable them or enable them again.

    What is left out stays as it is. A user who is disabled gets no further than 401 a second later; what they
    submitted before is still done, unless it is cancelled.
    """
    app = application()
    own, defaulted = _own_quotas(json.quotas)
    changes: dict[str, float | str | bool | None] = {**own}
    if json.role is not None:
        changes["role"] = json.role
    if json.disabled is not None:
        changes["disabled"] = json.disabled
    return jsonify(_user_json(app, app.users.change(name, changes, defaulted)))


@routes.post("/<name>/tokens")
@SPEC.validate(json=NewTokenBody, resp=answers(201, TokenAnswer, 403, 404, 415), tags=["users"])
def issue_token(name: str, json: NewTokenBody) -> Response:
    """Give a user a new token.

    It is shown this once. With `revoke` all tokens they had before are void from the same moment.
    """
    issued = application().users.issue_token(name, expires_in_s=json.expires_in, revoke=json.revoke)
    response = jsonify(_secret_json(issued))
    response.status_code = 201
    return response


@routes.delete("/<name>/tokens")
@SPEC.validate(resp=answers(200, RevokedAnswer, 403, 404), tags=["users"])
def revoke_tokens(name: str) -> Response:
    """Make all tokens of a user void."""
    return jsonify({"revoked": application().users.revoke_tokens(name)})


@routes.delete("/<name>/tokens/<token_id>")
@SPEC.validate(resp=answers(200, RevokedAnswer, 403, 404), tags=["users"])
def revoke_token(name: str, token_id: str) -> Response:
    """Make one token of a user void, by its id."""
    return jsonify({"revoked": application().users.revoke_tokens(name, token_id)})


def _own_quotas(body: QuotasBody) -> tuple[dict[str, float | None], list[str]]:
    """Quotas that the request sets, None for no limit, and those that it gives back to the defaults."""
    given: dict[str, Any] = body.model_dump(exclude_unset=True)
    own = {
        quota: None if value == "unlimited" else value for quota, value in given.items() if value is not None
    }
    return own, [quota for quota, value in given.items() if value is None]


def _user_json(app: Application, account: Account) -> dict[str, Any]:
    return {
        "name": account.name,
        "role": account.role,
        "disabled": account.disabled,
        "created_at": iso(account.created_at),
        "quotas": dict(account.quotas(app.settings.user_quotas).items()),
        "tokens": [_token_json(token) for token in app.users.tokens(account.name)],
    }


def _token_json(token: Token) -> dict[str, Any]:
    return {"id": token.id, "created_at": iso(token.created_at), "expires_at": iso(token.expires_at)}


def _secret_json(issued: IssuedToken) -> dict[str, Any]:
    return {"token": issued.secret, "token_id": issued.token.id, "expires_at": iso(issued.token.expires_at)}

"""Each user's view of themselves: quotas, tokens, the choice to keep answers, and a second device."""

from typing import Annotated, Any

from flask import Blueprint, request
from pydantic import Field, StrictBool

from api.application import application
from api.authentication import authenticator, current_user
from api.documentation import SPEC, answers
from api.qr import qr_svg
from api.routes.users import Lifetime, RevokedAnswer, TokenAnswer, TokenFacts, secret_of
from api.schemas import Moment, Schema, rounded
from services.errors import ConflictError, NotFoundError
from services.users.accounts import Role, token_id
from services.users.authentication import ADMIN

routes = Blueprint("me", __name__, url_prefix="/v1/me")


class QuotaAnswer(Schema):
    """A limit, the part of it in use, and the rest; null where there is none."""

    limit: int | float | None
    used: Annotated[int | float, rounded(3)] | None
    remaining: Annotated[int | float, rounded(3)] | None


class MyQuotasAnswer(Schema):
    """Your quotas; chip seconds are counted from midnight UTC."""

    max_queued_jobs: QuotaAnswer
    max_waiting_crops: QuotaAnswer
    chip_seconds_per_day: QuotaAnswer
    requests_per_second: QuotaAnswer
    operations_per_second: QuotaAnswer
    operation_bytes_per_second: QuotaAnswer
    kept_crops: QuotaAnswer
    open_corrections: QuotaAnswer
    dataset_bytes: QuotaAnswer


class KeepBody(Schema):
    """Whether crops and answers are kept for correction where a request does not say it."""

    keep: StrictBool


class MeAnswer(Schema):
    """The user whose token came with the request."""

    name: str
    role: Role
    keep: Annotated[bool, Field(description="Crops and answers are kept for correction.")]
    quotas: MyQuotasAnswer


class MyTokenBody(Schema):
    """The lifetime of a new token of yours; it ends with the token that asks for it at the latest."""

    expires_in: Lifetime = None


class MyTokenFacts(TokenFacts):
    """A token of yours; `current` is the one by which this request, or its session, was let in."""

    current: bool


class MyTokensAnswer(Schema):
    """Your tokens, newest first."""

    tokens: list[MyTokenFacts]


class SignInLinkAnswer(Schema):
    """A link that signs one other device in as you, once, and its QR code as an SVG image."""

    link: str
    qr: str
    expires_at: Moment


@routes.get("")
@SPEC.validate(resp=answers(200, MeAnswer), tags=["users"])
def show_me() -> MeAnswer:
    """Show your name, your quotas, and what is left of them."""
    app, user = application(), current_user()
    used = app.users.used(user.name) | {"dataset_bytes": app.imports.used_bytes(user)}
    quotas = {
        name: {
            "limit": limit,
            "used": used.get(name),
            "remaining": max(0, limit - used[name]) if limit is not None and name in used else None,
        }
        for name, limit in user.quotas.items()
    }
    role = Role.ADMIN if user.is_admin else Role.USER
    return MeAnswer.model_validate({"name": user.name, "role": role, "keep": user.keep, "quotas": quotas})


@routes.put("/keep")
@SPEC.validate(resp=answers(200, KeepBody, 409, 415), tags=["users"])
def set_keep(json: KeepBody) -> KeepBody:
    """Keep crops and answers of your requests for correction, or keep none.

    It holds for requests that do not say `keep` themselves, from a second later on. With `false`, all crops that are
    kept of you are deleted at once; corrections that you gave stay.
    """
    app, user = application(), current_user()
    if user == ADMIN and json.keep:
        raise ConflictError(
            "the bearer of the admin's token file has no record; send keep=true with each request"
        )
    if user == ADMIN:
        app.corrections.forget_kept(user)
    else:
        app.users.change(user.name, {"keep": json.keep})
    return json


@routes.get("/tokens")
@SPEC.validate(resp=answers(200, MyTokensAnswer), tags=["users"])
def list_my_tokens() -> MyTokensAnswer:
    """List your tokens, by their ids."""
    current = token_id(authenticator().digest_of(request))
    tokens = [
        {
            "id": token.id,
            "created_at": token.created_at,
            "expires_at": token.expires_at,
            "current": token.id == current,
        }
        for token in application().users.tokens(current_user().name)
    ]
    return MyTokensAnswer.model_validate({"tokens": tokens})


@routes.post("/tokens")
@SPEC.validate(resp=answers(201, TokenAnswer, 409, 415), tags=["users"])
def issue_my_token(json: MyTokenBody) -> Any:
    """Give yourself a new token, for another program or machine.

    It is shown this once. It expires with the token that asks for it at the latest: an end that an admin has set holds.
    """
    app, user = application(), current_user()
    if user == ADMIN:
        raise ConflictError(
            "the bearer of the admin's token file has no record; add a user, and give it a token"
        )
    asking = app.users.find(authenticator().digest_of(request))
    lives = [life for life in (json.expires_in, asking.left_s if asking else None) if life is not None]
    issued = app.users.issue_token(user.name, expires_in_s=min(lives, default=None))
    return TokenAnswer.model_validate(secret_of(issued)), 201


@routes.delete("/tokens/<token_id>")
@SPEC.validate(resp=answers(200, RevokedAnswer, 404), tags=["users"])
def revoke_my_token(token_id: str) -> RevokedAnswer:
    """Revoke a token of yours by its id; sessions that were opened with it end with it."""
    name = current_user().name
    known = {token.id for token in application().users.tokens(name)}
    if token_id not in known:
        raise NotFoundError(f"you have no token {token_id!r}")
    return RevokedAnswer(revoked=application().users.revoke_tokens(name, token_id))


@routes.post("/sign-in-links")
@SPEC.validate(resp=answers(201, SignInLinkAnswer), tags=["users"])
def make_sign_in_link() -> Any:
    """Make a link that signs one other device in as you.

    It works once, within two minutes, and never contains a token. The device's session ends when the token by which
    you made the link is revoked. The link's code is in its fragment, which browsers send to nobody.
    """
    code, expires_at = application().sessions.offer(authenticator().digest_of(request))
    # A browser names its origin, which a proxy before this server may have hidden.
    origin = request.headers.get("Origin") or request.host_url.rstrip("/")
    link = f"{origin}/login/link#{code}"
    return SignInLinkAnswer.model_validate({"link": link, "qr": qr_svg(link), "expires_at": expires_at}), 201

"""Webhooks: messages to your addresses when your jobs end, and their deliveries."""

from typing import Annotated, Any

from flask import Blueprint, Response
from pydantic import Field, StrictBool

from api.application import application
from api.authentication import current_user
from api.documentation import SPEC, answers
from api.schemas import Moment, Schema
from services.jobs.record import JobKind
from services.webhooks.record import DeliveryState, Event, Hook, Told
from services.webhooks.targets import LONGEST_URL
from services.webhooks.webhooks import ALL_EVENTS

routes = Blueprint("webhooks", __name__, url_prefix="/v1/webhooks")

_Url = Annotated[
    str, Field(min_length=1, max_length=LONGEST_URL, description="Of the receiver: https or http.")
]
_Events = Annotated[list[Event], Field(max_length=4, description="None: only jobs that name the webhook.")]
_Kinds = Annotated[list[JobKind], Field(max_length=20, description="None: all but classifications.")]
_Description = Annotated[str, Field(max_length=200)]


class WebhookBody(Schema):
    """A new webhook."""

    url: _Url
    events: _Events = Field(default=list(ALL_EVENTS))
    kinds: _Kinds = Field(default=[])
    description: _Description = ""


class WebhookChanges(Schema):
    """New values of a webhook; what is left out stays."""

    url: _Url | None = None
    events: _Events | None = None
    kinds: _Kinds | None = None
    description: _Description | None = None
    active: Annotated[StrictBool | None, Field(description="Switch it on or off.")] = None


class WebhookAnswer(Schema):
    """A webhook, without its secret."""

    id: str
    url: Annotated[str | None, Field(description="Null: sends to the addresses that jobs name.")]
    events: list[Event]
    kinds: list[JobKind]
    description: str
    created_at: Moment
    active: bool
    off: Annotated[str | None, Field(description="Why it is switched off.")]
    failing_since: Annotated[Moment | None, Field(description="Every try has failed since.")]

    @classmethod
    def shown(cls, hook: Hook) -> dict[str, Any]:
        """Return the members that describe a webhook."""
        members = {name: getattr(hook, name, None) for name in WebhookAnswer.model_fields}
        return members | {"active": hook.off is None}


class NewWebhookAnswer(WebhookAnswer):
    """A new webhook, with its secret for the only time."""

    secret: str


class SecretAnswer(Schema):
    """A new secret, shown this once."""

    secret: str


class WebhooksAnswer(Schema):
    """Your webhooks, the oldest first."""

    webhooks: list[WebhookAnswer]


class DeliveryAnswer(Schema):
    """A message to a webhook, and how far it has come."""

    id: Annotated[str, Field(description="Sent as `webhook-id`, the same with each try.")]
    hook: str
    event: Told
    job: str | None
    url: Annotated[str | None, Field(description="The address that the job names, if it does.")]
    state: DeliveryState
    created_at: Moment
    tries: int
    tried_at: Moment | None
    next_at: Annotated[Moment | None, Field(description="Time of the next try.")]
    status: Annotated[int | None, Field(description="HTTP status of the last answer.")]
    took_ms: Annotated[int | None, Field(description="Duration of the last try.")]
    problem: Annotated[str | None, Field(description="Why the last try failed.")]


class DeliveriesQuery(Schema):
    """A filter of deliveries, and a place in the list."""

    webhook: Annotated[str, Field(max_length=100)] | None = None
    limit: Annotated[int, Field(ge=1, le=200)] = 50
    cursor: Annotated[str, Field(max_length=200)] | None = None


class DeliveriesAnswer(Schema):
    """A page of deliveries, newest first."""

    deliveries: list[DeliveryAnswer]
    next_cursor: str | None


@routes.post("")
@SPEC.validate(resp=answers(201, NewWebhookAnswer, 403, 415), tags=["webhooks"])
def add_webhook(json: WebhookBody) -> Any:
    """Add a webhook.

    Its address hears of the ends of your jobs, signed as the Standard Webhooks specification has it. The secret is
    shown this once.
    """
    hook, secret = application().webhooks.add(
        current_user(), json.url, json.events, json.kinds, json.description
    )
    return NewWebhookAnswer.model_validate({**WebhookAnswer.shown(hook), "secret": secret}), 201


@routes.get("")
@SPEC.validate(resp=answers(200, WebhooksAnswer), tags=["webhooks"])
def list_webhooks() -> WebhooksAnswer:
    """List your webhooks.

    The one with the id `jobs` signs what is sent to addresses that jobs name; the first such job makes it.
    """
    hooks = application().webhooks.all(current_user())
    return WebhooksAnswer.model_validate({"webhooks": [WebhookAnswer.shown(hook) for hook in hooks]})


@routes.get("/<string(maxlength=9):webhook_id>")  # so that it is not `deliveries`
@SPEC.validate(resp=answers(200, WebhookAnswer, 404), tags=["webhooks"])
def show_webhook(webhook_id: str) -> WebhookAnswer:
    """Show a webhook."""
    return WebhookAnswer.model_validate(
        WebhookAnswer.shown(application().webhooks.get(current_user(), webhook_id))
    )


@routes.patch("/<string(maxlength=9):webhook_id>")
@SPEC.validate(resp=answers(200, WebhookAnswer, 404, 415), tags=["webhooks"])
def change_webhook(webhook_id: str, json: WebhookChanges) -> WebhookAnswer:
    """Change a webhook, or switch it on or off.

    One whose every try failed for three days, or whose receiver answers 410, is switched off by the service; `off` says
    why.
    """
    hook = application().webhooks.change(
        current_user(),
        webhook_id,
        url=json.url,
        events=json.events,
        kinds=json.kinds,
        description=json.description,
        active=json.active,
    )
    return WebhookAnswer.model_validate(WebhookAnswer.shown(hook))


@routes.delete("/<string(maxlength=9):webhook_id>")
@SPEC.validate(resp=answers(204, None, 404), tags=["webhooks"])
def delete_webhook(webhook_id: str) -> Response:
    """Delete a webhook; deliveries that wait have failed."""
    application().webhooks.delete(current_user(), webhook_id)
    return Response(status=204)


@routes.post("/<string(maxlength=9):webhook_id>/secret")
@SPEC.validate(resp=answers(201, SecretAnswer, 403, 404), tags=["webhooks"])
def renew_secret(webhook_id: str) -> Any:
    """Give a webhook a new secret.

    It signs every try from now on, and is shown this once. For the addresses that jobs name: the webhook `jobs`.
    """
    secret = application().webhooks.renew_secret(current_user(), webhook_id)
    return SecretAnswer(secret=secret), 201


@routes.post("/<string(maxlength=9):webhook_id>/test")
@SPEC.validate(resp=answers(202, DeliveryAnswer, 404, 409), tags=["webhooks"])
def test_webhook(webhook_id: str) -> Any:
    """Send a test: a signed message of the type `webhook.test`, which tells of no job."""
    delivery = application().webhooks.test(current_user(), webhook_id)
    return DeliveryAnswer.model_validate(delivery), 202


@routes.get("/deliveries")
@SPEC.validate(resp=answers(200, DeliveriesAnswer), tags=["webhooks"])
def list_deliveries(query: DeliveriesQuery) -> DeliveriesAnswer:
    """List your deliveries, newest first; they are kept for a week, the newest 1,000 of them."""
    page = application().webhooks.page(current_user(), query.limit, query.cursor, query.webhook)
    shown = [DeliveryAnswer.model_validate(delivery) for delivery in page.deliveries]
    return DeliveriesAnswer(deliveries=shown, next_cursor=page.next_cursor)


@routes.post("/deliveries/<delivery_id>/again")
@SPEC.validate(resp=answers(202, DeliveryAnswer, 404, 409), tags=["webhooks"])
def send_again(delivery_id: str) -> Any:
    """Send a delivery again, with the same id; one that waits is tried now."""
    delivery = application().webhooks.send_again(current_user(), delivery_id)
    return DeliveryAnswer.model_validate(delivery), 202

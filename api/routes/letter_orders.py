"""Orders of a letter centre, for admins: placed at the page, carried out by `hxserve letters --on-demand`."""

from typing import Annotated

from flask import Blueprint, Response
from pydantic import ConfigDict, Field, StrictBool

from api.application import application
from api.authentication import current_user, only_admins
from api.documentation import SPEC, answers
from api.schemas import Schema
from services.letters.orders import OrderState
from services.names import ModelName, Name

routes = Blueprint("letter_orders", __name__, url_prefix="/v1/letters/order")
routes.before_request(only_admins)

MOST_LETTERS = 5000
MOST_MACHINES = 10
FASTEST = 40_000
"""Letters per hour of one machine."""


class OrderBody(Schema):
    """A run of the letter centre: `rate` is letters per hour and machine."""

    model_config = ConfigDict(strict=True)

    model: ModelName = "digits"
    version: Annotated[Name, Field(description="A number or an alias.")] = "latest"
    letters: Annotated[int, Field(ge=1, le=MOST_LETTERS)] = 200
    machines: Annotated[int, Field(ge=1, le=MOST_MACHINES)] = 2
    rate: Annotated[int, Field(ge=100, le=FASTEST)] = 3600


class OrderProblem(Schema):
    """The error with which an order ended."""

    code: Annotated[str, Field(max_length=64)]
    message: Annotated[str, Field(max_length=2000)]


class OrderAnswer(Schema):
    """An order. It is `lost` if the process that carried it out has been silent for ten seconds."""

    id: str
    user: str
    state: OrderState
    params: OrderBody
    problem: OrderProblem | None


class OrdersAnswer(Schema):
    """The newest order of the last hour; orders are carried out if `ready`."""

    ready: bool
    order: OrderAnswer | None


class BeatBody(Schema):
    """A sign of life of a process that carries out orders: the order that it has, and whether that has ended."""

    id: Annotated[str, Field(max_length=32)] | None = None
    ended: StrictBool = False
    problem: OrderProblem | None = None


class BeatAnswer(Schema):
    """The order that the process shall carry out now; null: none, so one that it carries out is to be ended."""

    order: OrderAnswer | None


@routes.get("")
@SPEC.validate(resp=answers(200, OrdersAnswer, 403), tags=["letters"])
def show_order() -> OrdersAnswer:
    """Show the order of the service's letter centre."""
    return OrdersAnswer.model_validate(application().letter_orders.view())


@routes.post("")
@SPEC.validate(resp=answers(202, OrdersAnswer, 403, 409, 415), tags=["letters"])
def place_order(json: OrderBody) -> tuple[OrdersAnswer, int]:
    """Order a run of the letter centre; its belt is in `GET /v1/letters`."""
    orders = application().letter_orders
    orders.place(current_user().name, json.model_dump())
    return OrdersAnswer.model_validate(orders.view()), 202


@routes.delete("")
@SPEC.validate(resp=answers(204, None, 403), tags=["letters"])
def stop_order() -> Response:
    """Stop the run of the letter centre, if there is one."""
    application().letter_orders.stop()
    return Response(status=204)


@routes.post("/beats")
@SPEC.validate(resp=answers(200, BeatAnswer, 403, 415), tags=["letters"])
def beat(json: BeatBody) -> BeatAnswer:
    """Give a sign of life, once a second; an order that waits is handed out with the answer, to one process once."""
    problem = json.problem.model_dump() if json.problem else None
    order = application().letter_orders.beat(json.id, ended=json.ended, problem=problem)
    return BeatAnswer.model_validate({"order": order})

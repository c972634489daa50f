"""What a load run does: whom it asks, with how many clients, for how long, and what a right answer is."""

import base64
import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadPlan:
    """Clients that each send `requests` in turn over one connection, the next when the last is answered.

    `answers` holds, per request, what the groups of the regular expression `answer_pattern` must find in
    the body, in order; without a pattern only the status is checked. Every `check_every`-th response of a
    client is checked. With `renumbered` each request is sent with a head of its own. `idle_clients` further
    connections send `idle_request` and are left waiting.
    """

    port: int
    requests: tuple[bytes, ...]
    clients: int
    seconds: float
    warmup_s: float = 1.0
    status: int = 200
    answer_pattern: str = ""
    answers: tuple[tuple[str, ...], ...] = ()
    check_every: int = 1
    renumbered: bool = False
    idle_clients: int = 0
    idle_request: bytes = b""
    stalled_after_s: float = 10.0

    def __post_init__(self) -> None:
        """Refuses a plan that could not tell right from wrong.

        Raises:
            ValueError: when there is nothing to send or the answers do not fit the requests.
        """
        if not self.requests or self.clients < 1:
            raise ValueError("a load plan needs at least one request and one client")
        if self.answer_pattern and len(self.answers) != len(self.requests):
            raise ValueError(f"{len(self.requests)} requests need as many answers, not {len(self.answers)}")

    def to_json(self) -> str:
        """The plan as text, for the process that runs it."""
        fields = asdict(self)
        fields["requests"] = [base64.b64encode(request).decode() for request in self.requests]
        fields["idle_request"] = base64.b64encode(self.idle_request).decode()
        return json.dumps(fields)

    @classmethod
    def from_json(cls, text: str) -> "LoadPlan":
        """The plan that `to_json` wrote."""
        fields = json.loads(text)
        fields["requests"] = tuple(base64.b64decode(request) for request in fields["requests"])
        fields["idle_request"] = base64.b64decode(fields["idle_request"])
        fields["answers"] = tuple(tuple(answer) for answer in fields["answers"])
        return cls(**fields)

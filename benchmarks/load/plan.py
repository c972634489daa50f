"""The plan of a load run: the requests, the number of clients, the duration and the right answers."""

import json
from dataclasses import asdict, dataclass
from typing import Self


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadPlan:
    """Clients that each send `requests` in turn over one connection, the next when the last is answered.

    Attributes:
        port: Of the server, on 127.0.0.1.
        requests: Complete HTTP requests, or calls of gRPC.
        clients: Number of connections.
        seconds: Time that is counted, after `warmup_s`.
        status: The status that every response must have.
        answer_pattern: Regular expression whose group finds each answer in a body; empty: bodies are not checked.
        answers: Per request the answers that must be found, in order.
        renumbered: Send each request with a head of its own.
        is_grpc: The requests are calls as `build_call` makes them.
        stalled_after_s: Report a request as an error that is unanswered for longer at the end of the run.
    """

    port: int
    requests: tuple[bytes, ...]
    clients: int
    seconds: float
    warmup_s: float = 1.0
    status: int = 200
    answer_pattern: str = ""
    answers: tuple[tuple[str, ...], ...] = ()
    renumbered: bool = False
    is_grpc: bool = False
    stalled_after_s: float = 10.0

    def __post_init__(self) -> None:
        """Refuse a plan that could not tell right answers from wrong ones.

        Raises:
            ValueError: there is nothing to send, or the answers do not fit the requests.
        """
        if not self.requests or self.clients < 1:
            raise ValueError("a load plan needs at least one request and one client")
        if self.answer_pattern and len(self.answers) != len(self.requests):
            raise ValueError(f"{len(self.requests)} requests need as many answers, not {len(self.answers)}")

    def to_json(self) -> str:
        """Return the plan as one line of text."""
        return json.dumps(
            {**asdict(self), "requests": [request.decode("latin-1") for request in self.requests]}
        )

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read the plan that `to_json` wrote."""
        fields = json.loads(text)
        fields["requests"] = tuple(request.encode("latin-1") for request in fields["requests"])
        fields["answers"] = tuple(tuple(answer) for answer in fields["answers"])
        return cls(**fields)

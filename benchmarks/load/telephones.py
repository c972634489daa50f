"""`python -m benchmarks.load.telephones`: telephones on which a class draws live, in one cheap process.

Reads a plan from standard input, writes its figures to standard output. Each telephone joins the class by its link and
then does what the page does while somebody draws without a pause: it sends the drawing to be read, and the next one
when it is answered, at most every 25 ms.
"""

import asyncio
import json
import re
import sys
import time
from dataclasses import asdict, dataclass, field
from typing import Final, Self
from urllib.parse import urlencode

from benchmarks.load.messages import Response, build_request, take_response

_REST_S: Final = 0.025
_JOIN_S: Final = 30.0
_COOKIE: Final = re.compile(rb"\r\nset-cookie:\s*(hxserve-session[^;]+)", re.IGNORECASE)
_OURS: Final = {"Sec-Fetch-Site": "same-origin"}


@dataclass(frozen=True, slots=True)
class TelephonesPlan:
    """Telephones that draw for some seconds; `drawings` are crops in hexadecimal digits."""

    port: int
    code: str
    model: str
    telephones: int
    warmup_s: float
    seconds: float
    drawings: list[str]

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read the plan that `to_json` wrote."""
        return cls(**json.loads(text))

    def to_json(self) -> str:
        """Return the plan as one line of text."""
        return json.dumps(asdict(self))


@dataclass(slots=True)
class TelephonesReport:
    """Times from sending a drawing to its answer, in ms, after the warm-up; all drawings sent, and refusals."""

    drawn_ms: list[float] = field(default_factory=list)
    drawings: int = 0
    errors: int = 0
    first_error: str = ""


class _Connection:
    """A connection that is kept open, with one request at a time."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: bytes) -> Response:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        writer.write(request)
        received = b""
        while (response := take_response(received)) is None:
            more = await reader.read(2**16)
            if not more:
                raise ConnectionError("the service closed the connection")
            received += more
        if response.closing:
            writer.close()
            self._streams = None
        return response


async def _join(plan: TelephonesPlan, number: int) -> dict[str, str]:
    """Return the headers of a pupil."""
    body = urlencode({"nickname": f"pupil {number}"}).encode()
    headers = {**_OURS, "Content-Type": "application/x-www-form-urlencoded"}
    lines = build_request(f"/c/{plan.code}", body, headers=headers).replace(
        b"Content-Type: application/octet-stream\r\n", b""
    )
    response = await _Connection(plan.port).ask(lines)
    cookie = _COOKIE.search(response.head)
    if response.status != 303 or cookie is None:
        raise ConnectionError(f"pupil {number} could not join: {response.status}")
    return {**_OURS, "Cookie": cookie[1].decode()}


async def _draw(plan: TelephonesPlan, number: int, headers: dict[str, str], report: TelephonesReport) -> None:
    """Draw on one telephone until the time is up."""
    connection = _Connection(plan.port)
    path = f"/v1/models/{plan.model}/classify?centre=true&pixels=true"
    begins = time.monotonic() + plan.warmup_s
    ends, turn = begins + plan.seconds, number
    while (started := time.monotonic()) < ends:
        crop = bytes.fromhex(plan.drawings[turn % len(plan.drawings)])
        turn += 1
        answer = await connection.ask(build_request(path, crop, headers=headers))
        took_s = time.monotonic() - started
        report.drawings += 1
        if answer.status != 200:
            report.errors += 1
            report.first_error = report.first_error or f"{answer.status} {answer.body[:200]!r}"
        elif started >= begins:
            report.drawn_ms.append(round(1000 * took_s, 3))
        await asyncio.sleep(_REST_S - took_s)


async def _run(plan: TelephonesPlan) -> TelephonesReport:
    report = TelephonesReport()
    async with asyncio.timeout(_JOIN_S):
        pupils = [await _join(plan, number) for number in range(plan.telephones)]
    await asyncio.gather(*(_draw(plan, number, headers, report) for number, headers in enumerate(pupils)))
    return report


def main() -> None:
    """Run the plan of standard input."""
    plan = TelephonesPlan.from_json(sys.stdin.readline())
    print(json.dumps(asdict(asyncio.run(_run(plan)))))


if __name__ == "__main__":
    main()

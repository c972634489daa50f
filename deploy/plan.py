"""The simulation behind `hxserve plan`: a question on stdin, one JSON document a line on stdout.

Lines `{"progress": 0..1}` come first; the last is `{"answer": {...}}` or `{"problem": {"code", "message"}}`.
"""

import json
import sys
from typing import Any

from services.errors import HxserveError
from services.planning.answer import describe
from services.planning.question import read_question
from services.planning.search import find
from services.planning.simulation import simulate


def main() -> int:
    """Answers the question; the exit status."""
    try:
        question = read_question(sys.stdin.buffer.read())
        answer = (
            find(question, _progress)
            if question.find is not None
            else describe(simulate(question, _progress))
        )
    except HxserveError as error:
        _say({"problem": {"code": error.code, "message": error.message}})
        return 1
    except KeyboardInterrupt:
        return 130
    _say({"answer": answer})
    return 0


def _progress(part: float) -> None:
    _say({"progress": round(part, 4)})


def _say(document: dict[str, Any]) -> None:
    print(json.dumps(document), flush=True)  # noqa: T201 the answer's way out


if __name__ == "__main__":
    sys.exit(main())

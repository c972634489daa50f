"""Classes: pupils who join by a link, for a day."""

import os
from datetime import datetime
from pathlib import Path
from typing import Any

from hxserve.downloads import write_whole
from hxserve.transport import Transport, json_object, segment


class Classes:
    """Your classes: `client.classes`. A class is a dictionary, as `GET /v1/classes/{code}` describes it."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(self) -> list[dict[str, Any]]:
        """Return your classes, the newest first; admins see all."""
        classes: list[dict[str, Any]] = self._transport.call_json("GET", "/v1/classes")["classes"]
        return classes

    def start(self, title: str, until: datetime, *, seats: int = 25) -> dict[str, Any]:
        """Start a class; pupils join it at its `link`.

        Args:
            title: its name for people.
            until: its end, within 24 hours; without a time zone, by the clock of this machine.
            seats: the most pupils.
        """
        body = {"title": title, "seats": seats, "until": until.astimezone().isoformat()}
        # Sent once: a repetition would start another class.
        return json_object(self._transport.call("POST", "/v1/classes", json=body, retry=False))

    def show(self, code: str) -> dict[str, Any]:
        """Return a class with its `pupils`: their newest jobs, chip time and models."""
        return self._transport.call_json("GET", _path(code))

    def change(self, code: str, *, title: str | None = None, until: datetime | None = None) -> dict[str, Any]:
        """Change the title or the end of a class; return it."""
        given = {"title": title, "until": until.astimezone().isoformat() if until else None}
        return self._patch(code, {name: value for name, value in given.items() if value is not None})

    def pause(self, code: str) -> dict[str, Any]:
        """Refuse what pupils submit from now on, until `resume`; return the class."""
        return self._patch(code, {"paused": True})

    def resume(self, code: str) -> dict[str, Any]:
        """Let the pupils go on; return the class."""
        return self._patch(code, {"paused": False})

    def end(self, code: str) -> dict[str, Any]:
        """End a class; return it. What its pupils made is kept until `deleted_at`."""
        return self._transport.call_json("POST", f"{_path(code)}/end")

    def delete(self, code: str) -> dict[str, Any]:
        """End a class and delete it with everything that its pupils made, within seconds; return it as it is now."""
        return self._transport.call_json("DELETE", _path(code))

    def rename(self, code: str, seat: str, nickname: str) -> dict[str, Any]:
        """Give a pupil another nickname; return the pupil."""
        body = {"nickname": nickname}
        return self._transport.call_json("PATCH", f"{_path(code)}/seats/{segment(seat)}", json=body)

    def remove(self, code: str, seat: str) -> None:
        """Remove a pupil, and delete what the pupil made."""
        self._transport.call("DELETE", f"{_path(code)}/seats/{segment(seat)}")

    def let_back(self, code: str, seat: str) -> dict[str, Any]:
        """Return a `code` with which a pupil who lost the session enters the seat again, at `link`, once."""
        return self._transport.call_json("POST", f"{_path(code)}/seats/{segment(seat)}/return")

    def export(self, code: str, path: str | os.PathLike[str] = ".") -> Path:
        """Download what the pupils made as one zip; return its path.

        `path` is the file, or a folder for `class-<code>.zip`.

        Raises:
            OSError: the file cannot be written; an older one is untouched.
        """
        target = Path(path)
        if target.is_dir():
            target /= f"class-{code}.zip"
        write_whole(target, self._transport.call("GET", f"{_path(code)}/export").data)
        return target

    def _patch(self, code: str, body: dict[str, Any]) -> dict[str, Any]:
        return self._transport.call_json("PATCH", _path(code), json=body)


def _path(code: str) -> str:
    return f"/v1/classes/{segment(code.lower())}"

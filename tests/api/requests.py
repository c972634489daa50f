"""Requests for tests: pictures, arrays, forms, and what is said of those refused."""

import io
import struct
from typing import Any, Final, Protocol

import numpy as np
from flask import Flask
from flask.testing import FlaskClient
from numpy.typing import NDArray
from PIL import Image
from werkzeug.test import TestResponse

from services.users.accounts import Role

TOKEN: Final = "the-token-of-the-tests"  # noqa: S105 of the tests alone
CLASSIFY: Final = "/v1/models/digits/classify"
RAW: Final = "application/octet-stream"
NPY: Final = "application/x-npy"


class Clock:
    """A clock that goes on when it is told to; seconds."""

    now = 1000.0

    def __call__(self) -> float:
        """The time."""
        return self.now


class Enter(Protocol):
    """Makes users."""

    def __call__(self, name: str, role: Role = Role.USER, **own_quotas: float | None) -> FlaskClient:
        """A client with the token of a new user."""
        ...


def client_of(app: Flask, token: str) -> FlaskClient:
    """A client with a token."""
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    return client


def png(pixels: NDArray[Any], mode: str | None = None) -> bytes:
    """An array as a PNG file."""
    return picture(Image.fromarray(pixels) if mode is None else Image.fromarray(pixels).convert(mode))


def picture(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """A picture as a file."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def npy(array: NDArray[Any]) -> bytes:
    """An array as a .npy file."""
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def bright_on_dark(seed: int = 0) -> NDArray[np.uint8]:
    """A crop `(28, 28)` as MNIST has them: dark border, something bright in the middle."""
    crop = np.zeros((28, 28), np.uint8)
    crop[6:22, 8:20] = np.random.default_rng(seed).integers(0, 256, (16, 12), np.uint8)
    crop[14, 14] = 255
    return crop


def refused(response: TestResponse, status: int, code: str) -> str:
    """What a problem document says, once it is sure that it is one of this status and code."""
    assert response.content_type == "application/problem+json", response.get_data(as_text=True)
    body = response.get_json()
    assert (response.status_code, body["status"], body["code"]) == (status, status, code), body
    facts = {"quota", "limit", "used"} if code == "quota_exceeded" else set()
    assert set(body) == {"type", "title", "status", "detail", "code", "retryable", "error"} | facts
    assert body["type"] == f"urn:hxserve:problem:{code}"
    assert body["error"] == body["detail"]
    detail: str = body["detail"]
    return detail


def npy_header(text: str) -> bytes:
    """A .npy file with a header of one's own, and no data."""
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()
